"""FashionMNIST, from its four original IDX files."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets.data.images import ImageData
from reduction.errors import DataError
from reduction.validation import as_bool, as_path

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
TORCHVISION_ROOT = Path("data")
"""Where torchvision's own examples put their data: `root`, below the working directory."""

FASHION_MNIST_MEAN, FASHION_MNIST_DEVIATION = 0.2860, 0.3530
"""Of the 60,000 training images' pixels / 255, to four digits."""

_FASHION_MNIST_CLASSES = 10
_FASHION_MNIST_SIZE = 28
_FASHION_MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_FETCH = (
    "apt-get install dataset-fashion-mnist, or name the folder that holds the files (--data-dir, "
    "`folder=`), or let torchvision fetch them (--download, `download=True`)"
)
_FETCH_ANEW = (
    "replace the file by the original one: apt-get install --reinstall dataset-fashion-mnist, "
    "or delete it and use --download (`download=True`)"
)


def load_fashion_mnist(folder: str | Path | None = None, download: bool = False) -> ImageData:
    """FashionMNIST, 60,000 + 10,000 images of 28x28, (pixel / 255 - 0.2860) / 0.3530.

    The four IDX files, gzipped or not, lie in a folder itself (as Debian's package has them) or in
    its FashionMNIST/raw (as torchvision has them). They are sought in `folder` alone where one
    is given, otherwise in Debian's /usr/share/datasets/fashion-mnist and then in torchvision's
    ./data/FashionMNIST/raw. With `download`, torchvision first puts them into `folder` (default
    ./data), unless they lie there in its layout, and those are read. How many images a file has is
    the file's affair; that they are 28x28, and of ten classes, is checked. Raises DataError,
    OptionError.
    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747 (2017).
    """
    folder = None if folder is None else as_path(folder)
    if as_bool("download", download):
        root = TORCHVISION_ROOT if folder is None else folder
        _download_unless_there(root)
        folders = [_raw_folder(root)]
    elif folder is not None:
        folders = [folder, _raw_folder(folder)]
    else:
        folders = [DEBIAN_FOLDER, _raw_folder(TORCHVISION_ROOT)]
    train_images, train_labels, test_images, test_labels = _find_files(folders)
    return ImageData(
        "fashion-mnist",
        *_read_images_and_labels(train_images, train_labels),
        *_read_images_and_labels(test_images, test_labels),
        classes=_FASHION_MNIST_CLASSES,
    )


def _raw_folder(root: Path) -> Path:
    return root / "FashionMNIST" / "raw"


def _files_in(folder: Path) -> dict[str, Path]:
    """Files of the data set in a folder, by name; plain before gzipped, where both are there."""
    return {
        name: path
        for name in _FASHION_MNIST_FILES
        for path in (folder / f"{name}.gz", folder / name)  # the later one stays
        if path.is_file()
    }


def _find_files(folders: Sequence[Path]) -> list[Path]:
    """The four files, all from the first of `folders` that has them all."""
    found = {folder: _files_in(folder) for folder in folders}
    for files in found.values():
        if len(files) == len(_FASHION_MNIST_FILES):
            return list(files.values())
    for folder, files in found.items():
        if files:
            missing = [name for name in _FASHION_MNIST_FILES if name not in files]
            raise DataError(
                f"FashionMNIST in {folder} lacks {', '.join(missing)} (gzipped or not); {_FETCH}"
            )
    sought = " or ".join(str(folder) for folder in folders)
    raise DataError(f"no FashionMNIST in {sought}; {_FETCH}")


def _download_unless_there(root: Path) -> None:
    """Let torchvision fetch the four files into its layout below `root`."""
    if len(_files_in(_raw_folder(root))) == len(_FASHION_MNIST_FILES):
        return
    # imported here: only a download needs it
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(root=root, download=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"torchvision could not download FashionMNIST into {root} ({reason}); check the "
            "network and that the folder can be written, or apt-get install "
            "dataset-fashion-mnist and leave out --download (`download=True`)"
        ) from error


def _read_images_and_labels(images_path: Path, labels_path: Path) -> tuple[Tensor, Tensor]:
    """Normalised images (n, 1, 28, 28) float32 and labels (n,) int64, n the same in both files."""
    pixels, labels = _read_idx(images_path, 3), _read_idx(labels_path, 1)
    side = _FASHION_MNIST_SIZE
    if pixels.shape[1:] != (side, side):
        raise DataError(
            f"{images_path} has images of {pixels.shape[1]} x {pixels.shape[2]} pixels, "
            f"FashionMNIST's are {side} x {side}; {_FETCH_ANEW}"
        )
    if len(pixels) != len(labels):
        raise DataError(
            f"{images_path} has {len(pixels)} images but {labels_path} has {len(labels)} labels, "
            f"and each image needs one; {_FETCH_ANEW}"
        )
    wrong = np.flatnonzero(labels >= _FASHION_MNIST_CLASSES)
    if wrong.size:
        raise DataError(
            f"{labels_path} has label {labels[wrong[0]]} at image {wrong[0]}, FashionMNIST's are "
            f"0 to {_FASHION_MNIST_CLASSES - 1}; {_FETCH_ANEW}"
        )
    images = torch.from_numpy(pixels.astype(np.float32)).unsqueeze(1)
    images.div_(255).sub_(FASHION_MNIST_MEAN).div_(FASHION_MNIST_DEVIATION)  # in place: 188 MB
    return images, torch.from_numpy(labels.astype(np.int64))


def _read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file, gzipped or not, with `ndim` axes.

    Bytes 0, 0, 8 (unsigned byte), ndim; the axes' lengths as big-endian 32-bit integers; the
    entries, last axis fastest. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of
    handwritten digits", section on the IDX file format.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":  # gzip's mark; IDX begins with two zeros
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}); {_FETCH_ANEW}") from error
    magic, header = bytes((0, 0, 8, ndim)), 4 + 4 * ndim
    if content[:4] != magic:
        raise DataError(
            f"{path} begins with bytes {content[:4].hex(' ') or 'none'}, an IDX file of "
            f"{ndim}-dimensional unsigned bytes with {magic.hex(' ')}; {_FETCH_ANEW}"
        )
    if len(content) < header:
        raise DataError(
            f"{path} is truncated within its header: {len(content)} bytes of {header}; "
            f"{_FETCH_ANEW}"
        )
    # Python integers: the product of three corrupt 32-bit lengths may overflow 64 bits
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", count=ndim, offset=4))
    expected = header + math.prod(shape)
    if len(content) != expected:
        fault = "is truncated" if len(content) < expected else "has trailing bytes"
        raise DataError(
            f"{path} {fault}: its header announces {' x '.join(map(str, shape))} entries, so "
            f"{expected} bytes, and it has {len(content)}; {_FETCH_ANEW}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
