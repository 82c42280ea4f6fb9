"""LeNet-like networks: convolutions with max pooling, PyTorch's default initialisation.

No batch norm, dropout or other state beside the parameters. Channels may be permuted and rescaled
as the units of an MLP: max pooling is homogeneous too.
"""

from torch import Tensor, nn

from reduction.errors import DataError
from reduction.validation import as_integer

_SMALLEST = 12  # halved to 6, cut to 2 by the second convolution, halved to 1


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
        if as_integer("size", size, 1) < _SMALLEST:
            raise DataError(
                f"LeNet needs images of at least {_SMALLEST} x {_SMALLEST} pixels, "
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
