"""Networks and data on which optimizers are compared, with their minima."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nets import MLP, LeNet, NetworkLoss, ResNet, load_digits, load_fashion_mnist, train_minima
from nets.data.images import ImageData
from nets.models.recipes import DIGITS_MLP, LENET, RESNET
from simplicial import Loss, Recipe

BATCH = 128


class CountedLoss(NetworkLoss):
    """A network's loss that counts gradients on mini-batches, exact ones as those of all."""

    gradients = 0

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.gradients += len(points) * -(-len(self) // BATCH)
        return super().values_and_gradients(points)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        for estimate in super().estimates(batch_size, rng):

            def counted(points: Tensor, estimate: Loss = estimate) -> Tensor:
                self.gradients += len(points)
                return estimate(points)

            yield counted


class Case(NamedTuple):
    """A network, its data and minima, and the gradients that its simplices are given."""

    network: Callable[[], nn.Module]
    data: Callable[[], ImageData]
    penalty: float  # adds half of it times |theta|^2 to the loss
    recipe: Recipe  # of the minima
    minima: int
    polish: bool
    budgets: tuple[int, ...]
    scan: tuple[int, int]  # lattices of an edge and of a triangle, on which loss is taken

    def loss(self) -> CountedLoss:
        """The penalised loss on the training examples."""
        torch.manual_seed(0)
        data = self.data()
        return CountedLoss(
            self.network(), data.train_inputs, data.train_targets, weight_decay=self.penalty
        )

    def trained(self, loss: CountedLoss, file: Path) -> Tensor:
        """The minima (n, d), those of the file if it is there."""
        if not file.exists():
            recipe = self.recipe.changed(weight_decay=0.0)
            minima = train_minima(loss, self.minima, recipe=recipe, polish=self.polish)
            np.save(file, minima.points.numpy())
        return torch.as_tensor(np.load(file)).to(torch.float32)


def _fashion(images: int, size: int = 28) -> Callable[[], ImageData]:
    return lambda: load_fashion_mnist().subset(images).resized(size)


def _resnet(*, shortcuts: bool) -> Case:
    recipe = RESNET.changed(epochs=60)
    budgets = (240, 1_200, 4_800)  # 10, 50 and 200 epochs
    network = lambda: ResNet(1, 20, shortcuts=shortcuts)  # noqa: E731
    return Case(network, _fashion(3_000, 8), 5e-4, recipe, 3, False, budgets, (48, 12))


CASES = {
    "mlp": Case(
        lambda: MLP(64), load_digits, 1e-3, DIGITS_MLP, 4, True, (600, 1_200, 2_400, 6_000),
        (200, 24),
    ),
    "lenet-3000": Case(
        lambda: LeNet(1, 28), _fashion(3_000), 1e-3, LENET.changed(learning_rate=0.05), 3, False,
        (600, 1_200, 2_400, 8_000), (64, 16),
    ),
    "lenet": Case(
        lambda: LeNet(1, 28), _fashion(60_000), 1e-3, LENET, 3, False, (23_450, 93_800),
        (48, 12),
    ),
    "resnet-20": _resnet(shortcuts=True),
    "resnet-20-ns": _resnet(shortcuts=False),
}  # fmt: skip
