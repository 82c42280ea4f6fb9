"""The data sets, by name.

`load("digits")` needs no file; `load("fashion-mnist")` reads the four original IDX files, whether
from Debian's package `dataset-fashion-mnist` or as torchvision leaves them; `load("cifar-10")` the
binary version of CIFAR-10.
"""

from pathlib import Path

from nets.data.cifar10 import load_cifar10
from nets.data.digits import load_digits
from nets.data.fashion_mnist import load_fashion_mnist
from nets.data.images import ImageData
from reduction.errors import DataError
from reduction.validation import check_name

__all__ = [
    "NAMES",
    "ImageData",
    "load",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
]

NAMES = ("digits", "fashion-mnist", "cifar-10")


def load(name: str, folder: str | Path | None = None, download: bool = False) -> ImageData:
    """The data set called `name`, one of NAMES.

    `folder` and `download` belong to `fashion-mnist` and `cifar-10`: see `load_fashion_mnist` and
    `load_cifar10`. The digits come with scikit-learn, so either is refused there. Raises DataError.
    """
    check_name("data set", name, NAMES)
    if name == "fashion-mnist":
        return load_fashion_mnist(folder, download)
    if name == "cifar-10":
        return load_cifar10(folder, download)
    if folder is not None or download:
        option = f"folder {folder}" if folder is not None else "download"
        raise DataError(
            f"{option} given for digits, which come with scikit-learn and are read from nowhere "
            "else; leave out --data-dir and --download (`folder=`, `download=`), or load "
            "fashion-mnist or cifar-10"
        )
    return load_digits()
