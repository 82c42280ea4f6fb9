from nets.data.cifar10 import load_cifar10
from nets.data.digits import load_digits
from nets.data.fashion_mnist import load_fashion_mnist
from nets.data.images import ImageData
from nets.data.loading import load
from nets.names import DATA_SETS as NAMES

__all__ = [
    "NAMES",
    "ImageData",
    "load",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
]
