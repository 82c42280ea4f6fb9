"""Simplices between minima of a loss: optimised, measured, and filtered by the loss's maximum."""

from reduction.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
