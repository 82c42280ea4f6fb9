"""Network families, by name; their recipes, and checkpoints of users' own."""

from reduction.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
