"""Multilayer perceptrons: linear layers with ReLU between them, PyTorch's default initialisation.

No batch norm, dropout or other state beside the parameters, so a point between two networks is a
network, and its loss is a function of the parameters alone. Units of a hidden layer may be
permuted, and each rescaled by a positive factor that the next layer takes back (ReLU is
homogeneous), so minima come in equivalent copies.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from reduction.errors import DataError
from reduction.memory import require
from reduction.validation import as_integer, short_repr


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
        remedy = "choose fewer inputs or narrower hidden layers"
        require(4 * weights, f"an MLP of widths {short_repr(widths)}", remedy)
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths[:-1]):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-2], classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, ...)."""
        return self.layers(images)
