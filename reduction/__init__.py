"""Filtered simplicial complexes, their barcodes, and distances between barcodes."""

from reduction.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
