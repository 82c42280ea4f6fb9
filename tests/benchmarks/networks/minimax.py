"""Barriers of networks against gradients: StochasticMinimax and Algorithm 1, edges and triangles.

Four MLPs 64-32-10 on the digits, on the cross-entropy with 0.5e-3 |theta|^2 added, polished. All
six edges, and the four triangles on edges that are given to all optimizers alike: those of
StochasticMinimax at 2,400 gradients. Of an edge: the largest loss at 200 points over the higher
end; of a triangle: that on its lattice of 24 over the largest at its sides' lattice points, 0 where
it is below. Gradients are counted as they are asked for, each on a mini-batch of 128 examples.

    python -m tests.benchmarks.networks.minimax --minima FILE [--seed 0] [--budgets 600 1200]

Algorithm 1 is the paper's, with one centre, at three learning rates, and with uniform t on the mesh
of StochasticMinimax. The file keeps the minima, which are trained where it is not there.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nets import MLP, NetworkLoss, load_digits, train_minima
from nets.models.recipes import DIGITS_MLP
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    Loss,
    OptimisationProblem,
    Optimizer,
    Recipe,
    SimplexMap,
    StochasticMinimax,
    configure_process,
)
from simplicial.evaluation import evaluate
from simplicial.maps.control_points import Layout, lay_out, straight
from simplicial.maps.interpolation import interpolate
from simplicial.maps.lattice import lattice
from simplicial.maps.mesh import Mesh
from simplicial.optimizers.fillings import harmonic

Floats = NDArray[np.float64]

PENALTY = 1e-3
BUDGETS = (600, 1200, 2400, 6000)
BATCHES = 12  # mini-batches of an epoch
EDGE, TRIANGLE = 200, 24  # lattices on which loss is taken
SEGMENTS = 8
RATES = (0.01, 0.03, 0.1)
LONG = 2_400  # gradients of an edge that is a triangle's side


class CountedLoss(NetworkLoss):
    """A network's loss that counts gradients on mini-batches."""

    gradients = 0

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        for estimate in super().estimates(batch_size, rng):

            def counted(points: Tensor, estimate: Loss = estimate) -> Tensor:
                self.gradients += len(points)
                return estimate(points)

            yield counted


def digits_loss() -> CountedLoss:
    digits = load_digits()
    return CountedLoss(MLP(64), digits.train_inputs, digits.train_targets, weight_decay=PENALTY)


def digits_minima(loss: CountedLoss, file: Path) -> Tensor:
    """Four polished minima (4, d), those of the file if it is there."""
    if not file.exists():
        recipe = DIGITS_MLP.changed(weight_decay=0.0)
        minima = train_minima(loss, 4, recipe=recipe, polish=True, progress=False)
        np.save(file, minima.points.numpy())
    return torch.as_tensor(np.load(file)).to(torch.float32)


class Problem(NamedTuple):
    """Simplices of one dimension on faces that are given."""

    loss: CountedLoss
    layout: Layout
    control_points: Tensor
    dim: int

    def solved(self, optimizer: Optimizer, seed: int) -> tuple[Tensor, int, float]:
        """Control points (K, d), gradients for each simplex, and seconds."""
        points, layout, loss = self.control_points.clone(), self.layout, self.loss
        problem = OptimisationProblem(
            layout.simplices[self.dim],
            layout.rows(self.dim),
            slice(layout.starts[1], layout.starts[self.dim]),
            seed,
        )
        before, began = loss.gradients, time.perf_counter()
        optimizer.optimise(loss, points, problem, lambda: None)
        count = (loss.gradients - before) // len(layout.simplices[self.dim].vertices)
        return points, count, time.perf_counter() - began

    def excess(self, points: Tensor) -> Floats:
        """The largest loss on each simplex over that on its vertices or sides, at least 0."""
        t = lattice(self.dim, EDGE if self.dim == 1 else TRIANGLE)
        simplices, found = self.layout.simplices[self.dim], []
        for row in simplices.controls:
            at = interpolate(points[torch.as_tensor(row)], simplices.simplex_map, t / t.sum(1)[0])
            values = evaluate(self.loss, at).loss
            outside = (t == 0).any(axis=1)
            found.append(max(0.0, values.max() - values[outside].max()))
        return np.array(found)


def edges(loss: CountedLoss, minima: Tensor, simplex_map: SimplexMap) -> Problem:
    layout = lay_out(len(minima), 1, simplex_map)
    return Problem(loss, layout, straight(minima, layout), 1)


def triangles(loss: CountedLoss, sides: Tensor, own: SimplexMap) -> Problem:
    """Triangles with a map on sides (K, d) of `Edgewise(SEGMENTS)`, and their harmonic filling.

    Barycentric triangles have a centre, and sides of two segments.
    """
    minima = sides[:4]
    layout = lay_out(len(minima), 2, own)
    points = straight(minima, layout)
    fine = lay_out(len(minima), 1, Edgewise(SEGMENTS)).simplices[1]
    t = own.control_points(1)
    for mine, theirs in zip(layout.simplices[1].controls, fine.controls, strict=True):
        points[torch.as_tensor(mine)] = interpolate(
            sides[torch.as_tensor(theirs)], Edgewise(SEGMENTS), t
        )
    mesh = Mesh.of(own, 2)
    for row in layout.simplices[2].controls:
        inside = torch.as_tensor(row[mesh.inside])
        points[inside] = harmonic(points[torch.as_tensor(row)][None], mesh)[0]
    return Problem(loss, layout, points, 2)


def algorithm1(budget: int, rate: float) -> Algorithm1:
    recipe = Recipe(epochs=budget // BATCHES, learning_rate=rate, weight_decay=0.0)
    return Algorithm1(recipe=recipe)


def row(name: str, problem: Problem, optimizers: Sequence[Optimizer], seed: int) -> list[float]:
    """The mean excess at each budget, printed as it is found."""
    cells, means = [f"{name:36}"], []
    for optimizer in optimizers:
        points, count, seconds = problem.solved(optimizer, seed)
        excess = problem.excess(points)
        means.append(float(excess.mean()))
        cells.append(f"{means[-1]:9.5f} {excess.max():8.5f} {count:6} {seconds:6.1f}s")
    print(" |".join(cells), flush=True)
    return means


def compare(problems: dict[str, Problem], arguments: argparse.Namespace) -> None:
    """StochasticMinimax on the last of the problems, Algorithm 1 on each, and ratios."""
    budgets, seed = arguments.budgets, arguments.seed
    minimax = [StochasticMinimax(epochs=budget // BATCHES) for budget in budgets]
    ours = row("StochasticMinimax", list(problems.values())[-1], minimax, seed)
    plain = [
        row(f"Algorithm 1, {name}, {rate:g}", problem, [algorithm1(b, rate) for b in budgets], seed)
        for name, problem in problems.items()
        for rate in arguments.rates
    ]
    ratios = ours / np.min(plain, axis=0)
    print(f"{'over the best of Algorithm 1':36}" + " ".join(f"{x:9.3f}" for x in ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minima", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--dims", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loss = digits_loss()
    minima = digits_minima(loss, arguments.minima)
    values = evaluate(loss, minima).loss
    print(f"minima {values.min():.4f} to {values.max():.4f}, d = {loss.dim}")
    print("mean, largest, gradients of each, seconds of all, at each budget")
    own, mesh = Barycentric(), Edgewise(SEGMENTS)
    maps = {"one centre": own, "mesh": mesh}
    if 1 in arguments.dims:
        print("edges, over the higher end")
        compare({name: edges(loss, minima, m) for name, m in maps.items()}, arguments)
    if 2 in arguments.dims:
        sides = edges(loss, minima, mesh).solved(StochasticMinimax(epochs=LONG // BATCHES), 0)[0]
        print("triangles, over their sides")
        compare({name: triangles(loss, sides, m) for name, m in maps.items()}, arguments)


if __name__ == "__main__":
    configure_process()
    main()
