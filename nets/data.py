"""Images with their classes, split into training and test: what a network's loss is averaged over.

A loss surface is a surface over parameters *for one fixed data set*: change a pixel and every
barcode may change. So a data set here is a value, checked once and named by the SHA-256 of its
tensors, and what is often random (the split of the digits) is fixed. No augmentation, no shuffling,
no loader: whoever draws mini-batches does so by index.

`load("digits")` needs no file; `load("fashion-mnist")` reads the four original IDX files, whether
from Debian's package `dataset-fashion-mnist` or as torchvision leaves them.
"""

import difflib
import gzip
import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction.errors import DataError

NAMES = ("digits", "fashion-mnist")

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


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Training and test images of one shape, with the class of each.

    The tensors are held, not copied (FashionMNIST is 220 MB): whoever writes into them changes the
    data set, and its `digest`. Raises DataError.
    """

    name: str
    train_inputs: Tensor  # (n, channels, height, width) float32, finite
    train_targets: Tensor  # (n,) int64, in 0 .. classes-1
    test_inputs: Tensor  # (m, channels, height, width) float32, finite
    test_targets: Tensor  # (m,) int64, in 0 .. classes-1
    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise DataError(
                f"classes is {self.classes} in {self.name}; a data set has at least one"
            )
        _check_part(self.name, "train", self.train_inputs, self.train_targets, self.classes)
        _check_part(self.name, "test", self.test_inputs, self.test_targets, self.classes)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise DataError(
                f"training images of {self.name} are {tuple(self.train_inputs.shape[1:])}, its "
                f"test images {tuple(self.test_inputs.shape[1:])}; one network must take both: "
                "resize one of the two"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        channels, height, width = self.train_inputs.shape[1:]
        return channels, height, width

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of the four tensors: shape, then little-endian bytes, of each.

        Neither name nor device enters it. It is computed anew at each call (FashionMNIST: 0.2 s).
        """
        sha = hashlib.sha256()
        for tensor, kind in (
            (self.train_inputs, "<f4"),
            (self.train_targets, "<i8"),
            (self.test_inputs, "<f4"),
            (self.test_targets, "<i8"),
        ):
            # the shape goes in too: the same bytes as 4x16 and as 8x8 images are two data sets
            sha.update(repr(tuple(tensor.shape)).encode())
            sha.update(np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype=kind).data)
        return sha.hexdigest()

    def subset(self, n: int) -> "ImageData":
        """The same data with the first `n` training images only; the test images stay.

        They are the first ones in the file's order: balance between the classes isn't promised.
        The tensors are shared with this data set. Raises DataError unless 1 <= n <= their number.
        """
        available = len(self.train_inputs)
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= available:
            raise DataError(
                f"subset of {n!r} training images asked of {self.name}, which has {available}; "
                f"give a whole number from 1 to {available}"
            )
        return replace(
            self, train_inputs=self.train_inputs[:n], train_targets=self.train_targets[:n]
        )


def load(name: str, folder: str | Path | None = None, download: bool = False) -> ImageData:
    """The data set called `name`, one of NAMES.

    `folder` and `download` belong to `fashion-mnist`: see `load_fashion_mnist`. The digits come
    with scikit-learn, so either is refused there. Raises DataError.
    """
    check_name("data set", name, NAMES)
    if name == "fashion-mnist":
        return load_fashion_mnist(folder, download)
    if folder is not None or download:
        option = f"folder {folder}" if folder is not None else "download"
        raise DataError(
            f"{option} given for digits, which come with scikit-learn and are read from nowhere "
            "else; leave out --data-dir and --download (`folder=`, `download=`), or load "
            "fashion-mnist"
        )
    return load_digits()


def load_digits() -> ImageData:
    """scikit-learn's 1,797 handwritten digits, 8x8, pixels / 16 (so in [0, 1]), as 1,437 + 360.

    The split draws nothing at random: with the images sorted by digit, and by their place in the
    file within a digit, every fifth is a test image, beginning with the first. So each digit gives
    a fifth of its images, to within one, and no version of a generator matters. Both parts then
    stand in the file's order. Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten
    Digits", UCI Machine Learning Repository (1998), test part.
    """
    # imported here: no other data set needs it, and it takes a second
    from sklearn import datasets

    pixels, digits = datasets.load_digits(return_X_y=True)
    images = torch.from_numpy(pixels.astype(np.float32)).div_(16).reshape(-1, 1, 8, 8)
    targets = torch.from_numpy(digits.astype(np.int64))
    is_test = torch.zeros(len(targets), dtype=torch.bool)
    is_test[torch.argsort(targets, stable=True)[::5]] = True
    return ImageData(
        "digits", images[~is_test], targets[~is_test], images[is_test], targets[is_test], classes=10
    )


def load_fashion_mnist(folder: str | Path | None = None, download: bool = False) -> ImageData:
    """FashionMNIST, 60,000 + 10,000 images of 28x28, (pixel / 255 - 0.2860) / 0.3530.

    The four IDX files, gzipped or not, lie in a folder itself (as Debian's package has them) or in
    its FashionMNIST/raw (as torchvision has them). They are looked for in `folder` alone where one
    is given, otherwise in Debian's /usr/share/datasets/fashion-mnist and then in torchvision's
    ./data/FashionMNIST/raw. With `download`, torchvision first puts them into `folder` (default
    ./data), unless they lie there in its layout, and those are read. How many images a file has is
    the file's affair; that they are 28x28, and of ten classes, is checked. Raises DataError.
    Source: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", arXiv:1708.07747 (2017).
    """
    if download:
        root = TORCHVISION_ROOT if folder is None else Path(folder)
        _download_unless_there(root)
        places = [_raw_folder(root)]
    elif folder is not None:
        places = [Path(folder), _raw_folder(Path(folder))]
    else:
        places = [DEBIAN_FOLDER, _raw_folder(TORCHVISION_ROOT)]
    train_images, train_labels, test_images, test_labels = _find_files(places)
    return ImageData(
        "fashion-mnist",
        *_read_images_and_labels(train_images, train_labels),
        *_read_images_and_labels(test_images, test_labels),
        classes=_FASHION_MNIST_CLASSES,
    )


def check_name(kind: str, name: str, names: Sequence[str]) -> None:
    """Raise DataError, with the nearest of `names`, unless `name` is one of them."""
    if name in names:
        return
    nearest = difflib.get_close_matches(str(name).lower(), names, n=1)
    raise DataError(
        f"there is no {kind} {name!r}; choose from {', '.join(names)}"
        + (f": did you mean {nearest[0]}?" if nearest else "")
    )


def _check_part(name: str, part: str, inputs: Tensor, targets: Tensor, classes: int) -> None:
    if inputs.dtype != torch.float32 or inputs.ndim != 4 or inputs.numel() == 0:
        raise DataError(
            f"{part}_inputs of {name} is {inputs.dtype} of shape {tuple(inputs.shape)}; need "
            "float32 (n, channels, height, width), none of them zero: convert with .float() and "
            ".reshape()"
        )
    if targets.dtype != torch.int64 or targets.shape != inputs.shape[:1]:
        raise DataError(
            f"{part}_targets of {name} is {targets.dtype} of shape {tuple(targets.shape)}; need "
            f"int64 ({len(inputs)},), a class for each image: convert with .long()"
        )
    wrong = torch.nonzero((targets < 0) | (targets >= classes))
    if len(wrong):
        i = int(wrong[0])
        raise DataError(
            f"{part}_targets of {name} has class {int(targets[i])} at image {i}; need "
            f"0 <= class < {classes}: raise `classes` or relabel"
        )
    finite = torch.isfinite(inputs)
    if not finite.all():
        i = int(torch.nonzero(~finite)[0, 0])
        raise DataError(
            f"{part}_inputs of {name} is not finite in image {i}; the loss would be finite "
            "nowhere: drop that image"
        )


def _raw_folder(root: Path) -> Path:
    return root / "FashionMNIST" / "raw"


def _files_in(place: Path) -> dict[str, Path]:
    """Those of the four files that `place` has, by name; plain before gzipped, where both are."""
    return {
        name: path
        for name in _FASHION_MNIST_FILES
        for path in (place / f"{name}.gz", place / name)  # the later one stays
        if path.is_file()
    }


def _find_files(places: Sequence[Path]) -> list[Path]:
    """The four files, all from the first of `places` that has them all."""
    found = {place: _files_in(place) for place in places}
    for files in found.values():
        if len(files) == len(_FASHION_MNIST_FILES):
            return list(files.values())
    for place, files in found.items():
        if files:
            missing = [name for name in _FASHION_MNIST_FILES if name not in files]
            raise DataError(
                f"FashionMNIST in {place} lacks {', '.join(missing)} (gzipped or not); {_FETCH}"
            )
    looked = " or ".join(str(place) for place in places)
    raise DataError(f"no FashionMNIST in {looked}; {_FETCH}")


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
