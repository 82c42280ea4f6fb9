"""Network families by name, built to fit a data set."""

from collections.abc import Sequence
from typing import Any

from nets.models.lenet import LeNet
from nets.models.mlp import MLP
from nets.models.resnet import ResNet
from nets.names import MODELS
from reduction.errors import DataError
from reduction.validation import check_name


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
    """A new network called `name`, one of MODELS, for images of shape (channels, height, width).

    `hidden`, the widths of the hidden layers, belongs to `mlp` (its default is (32,)); `depth`,
    `width` and `shortcuts` to `resnet` (20, 1, True). They are refused elsewhere. Raises DataError,
    OptionError.
    """
    check_name("network", name, MODELS)
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
