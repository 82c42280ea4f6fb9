"""The networks whose loss surfaces are studied: plain modules, PyTorch's default initialisation.

Nothing here knows of simplices or of flat parameter vectors: any `torch.nn.Module` serves as well.
Residual networks are in `residual`. These two families have no batch norm, dropout or other state
beside their parameters, so a point between two networks is a network and its loss is a function of
the parameters alone.

The symmetries that make so many minima equivalent can be read off `layers`: the units of a hidden
layer, or the channels of a convolution, may be permuted, and each rescaled by a positive factor
that the next layer takes back (ReLU and max pooling are homogeneous).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from nets.data import check_name
from nets.models.resnet import ResNet
from reduction.errors import DataError
from reduction.memory import require
from reduction.validation import as_integer

NAMES = ("mlp", "lenet", "resnet")

_LENET_SMALLEST = 12  # halved to 6, cut to 2 by the second convolution, halved to 1


class MLP(nn.Module):
    """Multilayer perceptron: flattened image -> (Linear, ReLU) for each hidden width -> Linear.

    images  (batch, ...)       `inputs` numbers to an image
    returns (batch, classes)   logits

    The default on the 8x8 digits (`MLP(64)`) is the 64-32-10 network, 2,410 parameters. With no
    hidden layer it is softmax regression, whose cross-entropy is convex. Raises OptionError,
    DataError; CapacityError for more weights than fit into memory.
    """

    def __init__(self, inputs: int, hidden: Sequence[int] = (32,), classes: int = 10) -> None:
        super().__init__()
        inputs, classes = as_integer("inputs", inputs, 1), as_integer("classes", classes, 1)
        if not isinstance(hidden, Iterable):
            raise DataError(f"hidden is {hidden!r} in MLP; give a width for each hidden layer")
        widths = (inputs, *(as_integer("hidden", width, 1) for width in hidden), classes)
        weights = sum(before * after for before, after in pairwise(widths))
        require(4 * weights, f"an MLP of {weights} weights")
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths[:-1]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-2], classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, ...)."""
        return self.layers(images)


class LeNet(nn.Module):
    """LeNet-like convolutional network: two convolutions with pooling, then 120-84-classes.

    images  (batch, channels, size, size)   size >= 12
    returns (batch, classes)                logits

    With s = (size // 2 - 4) // 2, so s = 5 on 28x28:
    conv 6 of 5x5, padding 2 (6, size, size) -> pool (6, size // 2, size // 2) -> conv 16 of 5x5
    (16, size // 2 - 4, size // 2 - 4) -> pool (16, s, s) -> 16 s^2 -> 120 -> 84 -> classes;
    61,706 parameters on 28x28 with one channel and ten classes.

    Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document
    recognition", Proc. IEEE 86 (1998), section II.B (LeNet-5); the padding stands for its 32x32
    frame. Departures, usual today: ReLU for the scaled tanh, 2x2 max pooling for the trainable
    subsampling, all 6 channels into each of the 16 (theirs, table I, take 3 to 6), a linear layer
    for the radial basis functions. Raises OptionError, DataError.
    """

    def __init__(self, channels: int = 1, size: int = 28, classes: int = 10) -> None:
        super().__init__()
        channels, classes = as_integer("channels", channels, 1), as_integer("classes", classes, 1)
        if as_integer("size", size, 1) < _LENET_SMALLEST:
            raise DataError(
                f"LeNet needs images of at least {_LENET_SMALLEST} x {_LENET_SMALLEST} pixels, "
                f"these are {size} x {size} and nothing is left after its second pooling; use mlp"
            )
        pooled = (size // 2 - 4) // 2
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * pooled * pooled, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, size, size)."""
        return self.layers(images)


def build(
    name: str,
    data_shape: tuple[int, int, int],
    classes: int,
    *,
    hidden: Sequence[int] | None = None,
    depth: int | None = None,
    width: int | None = None,
    shortcuts: bool | None = None,
) -> MLP | LeNet | ResNet:
    """A new network called `name`, one of NAMES, for images of shape (channels, height, width).

    `hidden`, the widths of the hidden layers, belongs to `mlp` (its default is (32,)); `depth`,
    `width` and `shortcuts` to `resnet` (20, 1, True). They are refused elsewhere. Raises DataError,
    OptionError.
    """
    check_name("network", name, NAMES)
    channels, rows, columns = data_shape
    residual: dict[str, Any] = {"depth": depth, "width": width, "shortcuts": shortcuts}
    residual = {option: value for option, value in residual.items() if value is not None}
    if name != "resnet" and residual:
        option, value = next(iter(residual.items()))
        raise DataError(f"{option} {value} given for {name}; leave out `{option}`, or build resnet")
    if name != "mlp" and hidden is not None:
        raise DataError(
            f"hidden widths {tuple(hidden)} given for {name}, whose layers are fixed; leave out "
            "`hidden`, or build mlp"
        )
    if name == "mlp":
        inputs = channels * rows * columns
        return MLP(inputs, classes=classes) if hidden is None else MLP(inputs, hidden, classes)
    if name == "resnet":
        return ResNet(channels, classes=classes, **residual)
    if rows != columns:
        raise DataError(
            f"{name} takes square images, these are {rows} x {columns}; pad or crop them, or "
            "build mlp"
        )
    return LeNet(channels, rows, classes)
