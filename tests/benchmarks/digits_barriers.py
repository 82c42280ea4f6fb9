"""Barriers between networks on digits: nudged elastic paths against Algorithm 1, by gradients.

    python tests/benchmarks/digits_barriers.py [--minima 4]

MLPs are trained by the recipe of the command; then all edges between them, by Algorithm 1 at its 50
epochs, and by NudgedElastic on the full-batch loss with several segments and steps. A gradient is
that of one network on all images: a mini-batch counts as its share of them. Only what the
optimisers ask for is counted; barriers are refined maxima, found alike for all.

Then certificates: for these networks, whose loss has kinks and, all images being learnt, no minima
at finite weights; and for networks with tanh in place of ReLU in double precision, whose loss has
half the squared weights times 1e-3 added, at minima found by L-BFGS.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor, nn

from nets import MLP, ImageData, NetworkLoss, load_digits, train_minima
from nets.models.recipes import DIGITS_MLP
from simplicial import (
    Algorithm1,
    Edgewise,
    Loss,
    Minima,
    NudgedElastic,
    OptimisationProblem,
    Optimizer,
    build_complex,
    configure_process,
)

PENALTY = 1e-3
GRID = ((2, 1), (2, 2), (2, 5), (2, 15), (2, 45), (3, 20), (4, 10), (4, 50), (8, 5), (8, 100))


class CountedLoss(NetworkLoss):
    """A network's loss that counts gradients on all images."""

    gradients = 0.0

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.gradients += len(points)
        return super().values_and_gradients(points)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        count = -(-len(self) // batch_size)
        for estimate in super().estimates(batch_size, rng):

            def counted(points: Tensor, estimate: Loss = estimate) -> Tensor:
                self.gradients += len(points) / count
                return estimate(points)

            yield counted


@dataclass
class Counted(Optimizer):
    """An optimizer, and its number of gradients."""

    optimizer: Optimizer
    gradients: float = 0.0

    @property
    def simplex_map(self) -> Edgewise:
        return self.optimizer.simplex_map  # pyright: ignore

    @property
    def moves_faces(self) -> bool:
        return self.optimizer.moves_faces

    @property
    def takes_gradients(self) -> bool:
        return self.optimizer.takes_gradients

    def with_smaller_steps(self) -> Self:
        self.optimizer = self.optimizer.with_smaller_steps()
        return self

    def prepared(self, loss: Loss, vertices: Tensor) -> Self:
        self.optimizer = self.optimizer.prepared(loss, vertices)
        return self

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        return self.optimizer.step_count(loss, control_points, problem)

    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        assert isinstance(loss, CountedLoss)
        before = loss.gradients
        self.optimizer.optimise(loss, control_points, problem, on_step)
        self.gradients += loss.gradients - before


def penalised_minima(digits: ImageData, count: int) -> Minima:
    """Smooth networks at true minima."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10)).double()
    inputs, targets = digits.train_inputs.double(), digits.train_targets
    loss = NetworkLoss(model, inputs, targets, weight_decay=PENALTY)

    def slope(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        values, gradients = loss.values_and_gradients(torch.as_tensor(point)[None])
        return float(values[0]), gradients[0].numpy()

    recipe = DIGITS_MLP.changed(weight_decay=0.0)  # the loss has the penalty
    ends = []
    for start in train_minima(loss, count, recipe=recipe, seed=0, progress=False).points.numpy():
        options = {"maxiter": 5000, "maxfun": 10000, "maxcor": 50, "ftol": 0.0, "gtol": 1e-8}
        ends.append(minimize(slope, start, jac=True, method="L-BFGS-B", options=options).x)
    return Minima(torch.as_tensor(np.stack(ends)), loss)


def certificates(name: str, minima: Minima, elastic: NudgedElastic) -> str:
    """How many ends of bars of index 0 are certified, gradients there, and seconds."""
    began = time.perf_counter()
    built = build_complex(
        minima, 1, optimizer=elastic, tolerance=1e-4, certify=True, progress=False
    )
    seconds, barcode = time.perf_counter() - began, built.barcode()
    finite = np.isfinite(barcode[0][:, 1])
    cells = [f"{name:28}"]
    ends = barcode.ends(0)
    assert ends is not None, "certificates were asked for"
    for side, some in ((ends.births, np.ones_like(finite)), (ends.deaths, finite)):
        norms = side.gradient_norms[some]
        count = f"{side.certified[some].sum()}/{some.sum()}"
        cells.append(f"{count:>8} {norms.min():9.1e} {norms.max():9.1e}")
    return "".join(cells) + f" {seconds:9.1f}"


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
    print(f"\n{'certified':28}{'births':>8} {'|grad|':>19}{'deaths':>8} {'|grad|':>19}   seconds")
    print(certificates("ReLU, elastic 4 x 50", minima, NudgedElastic(segments=4, steps=50)))
    smooth = penalised_minima(digits, arguments.minima)
    elastic = NudgedElastic(segments=8, steps=300)
    print(certificates("tanh, penalty, 8 x 300", smooth, elastic))


if __name__ == "__main__":
    configure_process()
    main()
