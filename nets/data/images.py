"""Images with their classes, split into training and test: a network's loss is their mean.

A loss surface is a surface over parameters *for one fixed data set*: change a pixel and every
barcode may change. So a data set here is a value, checked once and named by the SHA-256 of its
tensors, and the split of the digits, which is often random, is fixed. No augmentation, no
shuffling, no loader: mini-batches are drawn by index.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from reduction.errors import DataError
from reduction.memory import require
from reduction.validation import as_integer, is_whole, short_repr

AT_ONCE = 4096  # images that are resized at a time


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """Training and test images of one shape, with the class of each.

    The tensors are held, not copied (FashionMNIST is 220 MB): writing into them changes the
    data set, and its `digest`. Raises DataError.
    """

    name: str
    train_inputs: Tensor  # (n, channels, height, width) float32, finite
    train_targets: Tensor  # (n,) int64, in 0 .. classes-1
    test_inputs: Tensor  # (m, channels, height, width) float32, finite
    test_targets: Tensor  # (m,) int64, in 0 .. classes-1
    classes: int

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise DataError(f"a data set has a name, got {short_repr(self.name)}; give a str")
        if not is_whole(self.classes) or self.classes < 1:
            raise DataError(
                f"classes is {self.classes!r} in {self.name}; give a whole number of at least 1"
            )
        _check_part(self.name, "train", self.train_inputs, self.train_targets, self.classes)
        _check_part(self.name, "test", self.test_inputs, self.test_targets, self.classes)
        if self.train_inputs.shape[1:] != self.test_inputs.shape[1:]:
            raise DataError(
                f"training images of {self.name} are {tuple(self.train_inputs.shape[1:])}, its "
                f"test images {tuple(self.test_inputs.shape[1:])}; one network must take both: "
                "resize one of the two"
            )

    def __repr__(self) -> str:
        counts = f"{len(self.train_inputs)} training and {len(self.test_inputs)} test images"
        return f"ImageData({self.name!r}, {counts} {self.shape}, {self.classes} classes)"

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

    def resized(self, size: int) -> "ImageData":
        """The same images at size x size pixels: bilinear, each new pixel an average of those that
        it covers where they become smaller (torch's `antialias`).

        Raises OptionError for a size below 1, CapacityError for one that does not fit into memory.
        """
        size = as_integer("image_size", size, 1)
        pixels = (len(self.train_inputs) + len(self.test_inputs)) * self.shape[0] * size**2
        size_in_bytes = self.train_inputs.element_size() * pixels
        require(size_in_bytes, f"{size} x {size} images", "choose a smaller image size")
        if self.shape[1:] == (size, size):
            return self
        return replace(
            self,
            train_inputs=_resized(self.train_inputs, size),
            test_inputs=_resized(self.test_inputs, size),
        )


def _resized(images: Tensor, size: int) -> Tensor:
    parts = (
        interpolate(part, (size, size), mode="bilinear", antialias=True)
        for part in images.split(AT_ONCE)
    )
    return torch.cat(list(parts))


def _check_part(name: str, part: str, inputs: Tensor, targets: Tensor, classes: int) -> None:
    for argument, given in ((f"{part}_inputs", inputs), (f"{part}_targets", targets)):
        if not isinstance(given, Tensor):
            raise DataError(
                f"{argument} of {name} is {short_repr(given)}; need a tensor: convert by "
                "torch.as_tensor"
            )
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
