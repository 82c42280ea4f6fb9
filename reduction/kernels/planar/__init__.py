"""Kernels for points of the plane, as bars are: a k-d tree, and matchings by it."""
