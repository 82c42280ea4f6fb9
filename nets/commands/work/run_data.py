"""The examples of a run: a data set by its name, or a user's own."""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset

from nets.commands.work.settings import NetworkSettings
from nets.data import ImageData, load
from nets.data.examples import read_examples
from nets.data.sources import ExampleSource, TensorSource
from nets.data.trees import Examples, Tree, kinds, named, rows, shapes, types
from nets.models.factories import call, find
from reduction import DataError, OptionError
from reduction.validation import short_repr

CPU = torch.device("cpu")
KIND = "the data"  # in messages on a user's function
REMEDY = (
    "return nets.ImageData, or (train, test), each a Dataset, a DataLoader or a pair (inputs, "
    "targets), test None where there is none"
)
AT_ONCE = 1024  # examples that enter the digest at a time


class Part(NamedTuple):
    """Training or test examples: `data` and `targets` of NetworkLoss, and their source on the CPU.

    A data set that is streamed is given as it is, all others as tensors.
    """

    data: Any
    targets: Any
    source: ExampleSource

    @classmethod
    def of_tensors(cls, inputs: Any, targets: Any) -> "Part":
        """Trees (n, ...) of inputs and targets."""
        return cls(inputs, targets, TensorSource(Examples(inputs, targets), CPU))


class RunData(NamedTuple):
    """Examples that a run trains on and tests with.

    train   n examples
    test    None where there are none: test accuracies are unknown
    images  the data set, where examples are images with classes
    digest  SHA-256 of all of them
    """

    train: Part
    test: Part | None
    images: ImageData | None
    digest: str

    @classmethod
    def read(cls, settings: NetworkSettings) -> "RunData":
        """The data that the settings name. Raises DataError, OptionError, CapacityError."""
        if ":" not in settings.data:
            _check_not_streamed(settings)
            images = load(
                settings.data,
                settings.data_dir,
                settings.download,
                subset=settings.subset,
                image_size=settings.image_size,
            )
            return cls.of_images(images)
        function: Any = find(KIND, settings.data)
        if not callable(function):
            raise DataError(
                f"{KIND} must be a function without arguments, {settings.data!r} is a "
                f"{type(function).__name__}: {REMEDY}"
            )
        given = call(KIND, settings.data, function)
        if isinstance(given, ImageData):
            _check_not_streamed(settings)
            images = given if settings.subset is None else given.subset(settings.subset)
            size = settings.image_size
            return cls.of_images(images if size is None else images.resized(size))
        return cls.of_parts(given, settings)

    @classmethod
    def of_images(cls, images: ImageData) -> "RunData":
        """Training and test images."""
        train = Part.of_tensors(images.train_inputs, images.train_targets)
        test = Part.of_tensors(images.test_inputs, images.test_targets)
        return cls(train, test, images, images.digest)

    @classmethod
    def of_parts(cls, given: Any, settings: NetworkSettings) -> "RunData":
        """The pair (train, test) of a user's function."""
        if not isinstance(given, tuple) or len(given) != 2:
            raise DataError(
                f"{KIND} of {settings.data!r} must be a pair (train, test), got "
                f"{short_repr(given)}: {REMEDY}"
            )
        if settings.image_size is not None:
            raise DataError(
                f"--image-size {settings.image_size} given for {KIND} of {settings.data!r}, which "
                "are no ImageData: leave it out, or resize them in that function"
            )
        train = _part(given[0], settings, settings.subset)
        test = None if given[1] is None else _part(given[1], settings, None)
        one, other = (part.source.between(0, 1).inputs for part in (train, test or train))
        if settings.batch_norm != "stored" and kinds(one) != kinds(other):
            raise DataError(
                f"{KIND} of {settings.data!r} must have inputs alike in training and test, got "
                f"{_told(one)} for training and {_told(other)} for the test: return test inputs "
                "of the same shapes and types"
            )
        return cls(train, test, None, _digest((train, test)))

    @property
    def noun(self) -> str:
        """Examples, in messages."""
        return "examples" if self.images is None else "images"

    @property
    def size(self) -> int:
        """The number of training examples."""
        return len(self.train.source)


def _check_not_streamed(settings: NetworkSettings) -> None:
    """Raise OptionError for --stream with images, which are kept in memory."""
    if settings.stream:
        raise OptionError(
            f"--stream is for a Dataset of your own, got it with --data {settings.data}, which "
            "gives images in memory: leave it out"
        )


def _part(given: Any, settings: NetworkSettings, subset: int | None) -> Part:
    """Training or test examples, or the first ones."""
    if isinstance(given, Tensor) or not (
        isinstance(given, Dataset | DataLoader | tuple) or hasattr(given, "__getitem__")
    ):
        raise DataError(
            f"{KIND} of {settings.data!r} must be a pair (train, test) of examples, a part of it "
            f"is {short_repr(given)}: {REMEDY}"
        )
    pair: Any = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    data, targets = pair
    source = read_examples(data, targets, CPU, settings.stream)
    available = len(source)
    if subset is not None and not 1 <= subset <= available:
        raise DataError(
            f"subset of {subset} training examples asked of {settings.data}, which has "
            f"{available}: give a whole number from 1 to {available}"
        )
    if not settings.stream:
        return Part.of_tensors(*source.between(0, available if subset is None else subset))
    if subset is None:
        return Part(data, targets, source)
    if isinstance(data, DataLoader):
        raise DataError(
            f"--subset {subset} given with --stream for a DataLoader, whose collate_fn takes its "
            "batches: leave one of them out, or return the Dataset"
        )
    first = Subset(data, range(subset))
    return Part(first, targets, read_examples(first, targets, CPU, settings.stream))


def _told(inputs: Tree) -> str:
    """One input, in a batch of one, for messages."""
    return f"{shapes(rows(inputs, 0))} of {types(inputs)}"


def _digest(parts: Iterable[Part | None]) -> str:
    """SHA-256 of the paths, types, shapes and bytes of all tensors, a few examples at a time."""
    sha = hashlib.sha256()
    for part in parts:
        for few in () if part is None else part.source.parts(AT_ONCE):
            for path, tensor in named("", tuple(few)):
                sha.update(f"{path} {tensor.dtype} {tuple(tensor.shape)} ".encode())
                sha.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        sha.update(b";")
    return sha.hexdigest()
