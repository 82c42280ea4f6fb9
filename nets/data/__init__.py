"""The data sets, by name.

`load("digits")` needs no file; `load("fashion-mnist")` reads the four original IDX files, whether
from Debian's package `dataset-fashion-mnist` or as torchvision leaves them; `load("cifar-10")` the
binary version of CIFAR-10.
"""

from reduction.lazy import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
