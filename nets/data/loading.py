"""A data set by its name, cut and resized."""

from pathlib import Path

from nets.data.cifar10 import load_cifar10
from nets.data.digits import load_digits
from nets.data.fashion_mnist import load_fashion_mnist
from nets.data.images import ImageData
from nets.names import DATA_SETS
from reduction.errors import DataError
from reduction.validation import check_name


def load(
    name: str,
    folder: str | Path | None = None,
    download: bool = False,
    *,
    subset: int | None = None,
    image_size: int | None = None,
) -> ImageData:
    """The data set called `name`, one of DATA_SETS.

    folder      of the files of `fashion-mnist` and `cifar-10`: see `load_fashion_mnist` and
                `load_cifar10`
    download    fetch those files first
    subset      number of training images, the first ones; None: all
    image_size  pixels of a side, to which images are resized afterwards; None: as they are
    The digits come with scikit-learn, so `folder` and `download` are refused there. Raises
    DataError, OptionError; CapacityError for images that do not fit into memory.
    """
    images = _load(name, folder, download)
    if subset is not None:
        images = images.subset(subset)
    return images if image_size is None else images.resized(image_size)


def _load(name: str, folder: str | Path | None, download: bool) -> ImageData:
    check_name("data set", name, DATA_SETS)
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
