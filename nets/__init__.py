"""Networks: their loss as a function of one vector, their training, and the command line."""

from reduction.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
