"""Residual networks for small images, with their shortcuts and without.

H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of neural nets"
(2018), after K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition"
(2016), section 4.2. The paper takes its ResNet-like and VGG-like networks from there (section 5).
"""

from itertools import pairwise

from torch import Tensor, nn

from reduction.errors import DataError
from reduction.memory import require
from reduction.validation import as_bool, as_integer

FILTERS = 16  # of the first stage; each later one has twice as many
STAGES = 3


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and ReLU behind each; the shortcut joins before the
    second ReLU (post-activation).

    images  (batch, before, height, width)
    returns (batch, after, height / stride, width / stride), rounded up

    Where the shape changes the shortcut is a 1x1 convolution with batch norm, elsewhere the images
    themselves. Without it both ReLUs stay. Sums and ReLUs are in place, as torchvision's: a forward
    hook that keeps what a batch norm gave must copy it.
    """

    def __init__(self, before: int, after: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module | None = None
        if shortcut:
            self.shortcut = nn.Identity()
            if stride != 1 or before != after:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
                )

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, after, ...) of images (batch, before, ...)."""
        changed = self.layers(images)
        if self.shortcut is not None:
            changed += self.shortcut(images)
        return nn.functional.relu(changed, inplace=True)


class ResNet(nn.Module):
    """ResNet-`depth`, or ResNet-`depth`-NS: a 3x3 convolution, three stages, a linear layer.

    channels   of an image
    depth      6 n + 2: layers with weights, n blocks of two to a stage; shortcuts are not counted
    width      times 16, 32 and 64 filters in the stages: WideResNet-`depth`-`width`
    shortcuts  False: NS, which the paper calls VGG-like
    classes    logits

    images  (batch, channels, height, width)
    returns (batch, classes)   logits

    The second and third stage begin with stride 2; what is left is averaged over all places. With
    three channels and ten classes ResNet-20, -56 and -110 have 272,474, 855,770 and 1,730,714
    parameters, 2,752 of them in the two shortcuts that change the shape. Departure from He et al.:
    those pad with zeros there and have none (their option A). The paper's "100 layers" of
    ResNet-110 is taken for a slip. Raises DataError, OptionError; CapacityError
    for more weights than fit into memory.
    """

    def __init__(
        self,
        channels: int = 3,
        depth: int = 20,
        width: int = 1,
        shortcuts: bool = True,
        classes: int = 10,
    ) -> None:
        super().__init__()
        for name, number in (("channels", channels), ("width", width), ("classes", classes)):
            as_integer(name, number, 1)
        as_bool("shortcuts", shortcuts)
        blocks, rest = divmod(as_integer("depth", depth, 8) - 2, 2 * STAGES)
        if rest:
            raise DataError(
                f"a residual network has 6 n + 2 layers, got depth {depth}: choose "
                f"{depth - rest} or {depth - rest + 2 * STAGES}"
            )
        filters = [FILTERS * width * 2**stage for stage in range(STAGES)]
        weights = 2 * 9 * blocks * sum(count**2 for count in filters)  # about: of 3x3 convolutions
        size = f"a ResNet of depth {depth} and width {width}"
        require(4 * weights, size, "choose a smaller depth or width")
        layers: list[nn.Module] = [
            nn.Conv2d(channels, filters[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(filters[0]),
            nn.ReLU(inplace=True),
        ]
        for before, after in pairwise([filters[0], *filters]):
            stride = 1 if before == after else 2
            layers.append(BasicBlock(before, after, stride, shortcuts))
            layers += [BasicBlock(after, after, 1, shortcuts) for _ in range(blocks - 1)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classify = nn.Linear(filters[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width)."""
        return self.classify(self.layers(images))
