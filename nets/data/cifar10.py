"""CIFAR-10, from the files of its binary version.

torchvision reads the Python version, which is pickled: a file that is loaded can run any program.
The binary version has the same images: it is read here, and downloaded.
Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009), and the page
of the data set for its format.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets.data.images import ImageData
from reduction.errors import DataError
from reduction.validation import as_bool, as_path

ROOT = Path("data")
FOLDER = "cifar-10-batches-bin"
PICKLED = "cifar-10-batches-py"
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = ("test_batch.bin",)
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CLASSES = 10
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes: a label, then red, green and blue, row by row

MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the 50,000 training images' pixels / 255, by channel, to four digits."""

_FETCH = (
    "unpack cifar-10-binary.tar.gz and name the folder (--data-dir, `folder=`), or download it "
    "(--download, `download=True`)"
)


def load_cifar10(folder: str | Path | None = None, download: bool = False) -> ImageData:
    """CIFAR-10, 50,000 + 10,000 images of 3 x 32 x 32, (pixel / 255 - MEAN) / DEVIATION.

    The six files data_batch_1.bin to data_batch_5.bin and test_batch.bin lie in `folder` (default
    ./data) itself or in its cifar-10-batches-bin. With `download`, torchvision first fetches and
    unpacks the archive there, unless the files lie there. How many images a file has is the file's
    affair. Raises DataError, OptionError.
    """
    root = ROOT if folder is None else as_path(folder)
    if as_bool("download", download) and not _has_all(root / FOLDER):
        _download(root)
    found = next((p for p in (root, root / FOLDER) if _has_all(p)), None)
    if found is None:
        raise DataError(_missing(root))
    return ImageData("cifar-10", *_read(found, TRAIN), *_read(found, TEST), classes=CLASSES)


def _has_all(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (*TRAIN, *TEST))


def _missing(root: Path) -> str:
    for folder in (root, root / FOLDER):
        lacking = [name for name in (*TRAIN, *TEST) if not (folder / name).is_file()]
        if len(lacking) < len(TRAIN) + len(TEST):
            return f"CIFAR-10 in {folder} lacks {', '.join(lacking)}; {_FETCH}"
    if (root / PICKLED).is_dir() or root.name == PICKLED:
        return (
            f"CIFAR-10 in {root} is the Python version, which is pickled and never loaded; {_FETCH}"
        )
    return f"no CIFAR-10 in {root} or {root / FOLDER}; {_FETCH}"


def _download(root: Path) -> None:
    """Let torchvision fetch, check and unpack the binary version below `root`."""
    # imported here: only a download needs it
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        download_and_extract_archive(URL, str(root), md5=MD5)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"torchvision could not download CIFAR-10 into {root} ({reason}); check the network "
            "and that the folder can be written, or unpack cifar-10-binary.tar.gz there and leave "
            "out --download (`download=True`)"
        ) from error


def _read(folder: Path, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Normalised images (n, 3, 32, 32) float32 and labels (n,) int64 of some files."""
    records = np.concatenate([_records(folder / name) for name in names])
    images = torch.from_numpy(records[:, 1:].reshape(-1, *SHAPE).astype(np.float32))
    mean, deviation = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, DEVIATION))
    images.div_(255).sub_(mean).div_(deviation)  # in place: 614 MB
    return images, torch.from_numpy(records[:, 0].astype(np.int64))


def _records(path: Path) -> NDArray[np.uint8]:
    """(n, RECORD): labels, each before its image."""
    content = np.fromfile(path, np.uint8)
    if not content.size or content.size % RECORD:
        raise DataError(
            f"{path} must be records of {RECORD} bytes, one or more, it has {content.size} bytes; "
            "fetch cifar-10-binary.tar.gz anew"
        )
    records = content.reshape(-1, RECORD)
    wrong = np.flatnonzero(records[:, 0] >= CLASSES)
    if wrong.size:
        raise DataError(
            f"{path} has label {records[wrong[0], 0]} at image {wrong[0]}, CIFAR-10's are 0 to "
            f"{CLASSES - 1}; fetch cifar-10-binary.tar.gz anew"
        )
    return records
