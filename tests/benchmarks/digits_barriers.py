"""Barriers between networks on digits: nudged elastic paths against Algorithm 1, by gradients.

    python tests/benchmarks/digits_barriers.py [--minima 4]

Six or fewer MLPs are trained by the recipe of the command; then all edges between them, by
Algorithm 1 at its 50 epochs, and by NudgedElastic on the full-batch loss with several segments and
steps. A gradient is that of one network on all images: a mini-batch counts as its share of them.
Only what the optimisers ask for is counted; barriers are honest maxima, found alike for all.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nets import MLP, NetworkLoss, load_digits, train_minima
from nets.recipes import DIGITS_MLP
from simplicial import Algorithm1, Edgewise, Loss, NudgedElastic, Optimizer, Stage, build_complex

GRID = ((2, 1), (2, 2), (2, 5), (2, 15), (2, 45), (3, 20), (4, 10), (4, 50), (8, 5), (8, 100))


class CountedLoss(NetworkLoss):
    """A network's loss that counts gradients on all images."""

    gradients = 0.0

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.gradients += len(points)
        return super().values_and_gradients(points)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        count = -(-len(self._targets) // batch_size)
        for estimate in super().estimates(batch_size, rng):

            def counted(points: Tensor, estimate: Loss = estimate) -> Tensor:
                self.gradients += len(points) / count
                return estimate(points)

            yield counted


@dataclass
class Counted:
    """An optimizer, and what its turns cost."""

    optimizer: Optimizer
    gradients: float = 0.0

    @property
    def simplex_map(self) -> Edgewise:
        return self.optimizer.simplex_map  # pyright: ignore

    @property
    def moves_faces(self) -> bool:
        return self.optimizer.moves_faces

    def rounds(self, loss: Loss, pool: Tensor, stage: Stage) -> int:
        return self.optimizer.rounds(loss, pool, stage)

    def optimise(
        self, loss: Loss, pool: Tensor, stage: Stage, on_round: Callable[[], object]
    ) -> None:
        assert isinstance(loss, CountedLoss)
        before = loss.gradients
        self.optimizer.optimise(loss, pool, stage, on_round)
        self.gradients += loss.gradients - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minima", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_digits()
    loss = CountedLoss(MLP(64), digits.train_inputs, digits.train_targets)
    minima = train_minima(loss, arguments.minima, recipe=DIGITS_MLP, seed=0, progress=False)
    print(f"minima {minima.values.min():.4f} to {minima.values.max():.4f}, d = {loss.dim}")
    print("optimizer                   gradients/edge   mean barrier   lowest   highest  seconds")
    rows: list[tuple[str, Optimizer]] = [
        ("Algorithm 1, 50 epochs", Algorithm1(recipe=DIGITS_MLP)),
        *((f"elastic {k} x {s}", NudgedElastic(segments=k, steps=s)) for k, s in GRID),
    ]
    for name, optimizer in rows:
        counted, began = Counted(optimizer), time.perf_counter()
        built = build_complex(minima, 1, optimizer=counted, tolerance=1e-4, progress=False)
        heights = built.filtration.values[1]
        cost = counted.gradients / len(heights)
        print(
            f"{name:28} {cost:13.1f} {heights.mean():14.4f} {heights.min():9.4f} "
            f"{heights.max():9.4f} {time.perf_counter() - began:8.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
