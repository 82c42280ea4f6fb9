"""Barriers of networks against gradients: StochasticMinimax and Algorithm 1, edges and triangles.

All edges and triangles of a case's minima (see `minimax_cases`), on the loss with its penalty. Of
an edge: the largest loss on a lattice, for MLPs 200 points, over the higher end; of a triangle:
that on its lattice over the largest on the lattices of its sides; 0 where it is below. Gradients
are counted as they are asked for, each on a mini-batch of 128 examples.

    python -m tests.benchmarks.networks.minimax CASE --folder FOLDER [--seed 0] [--budgets 600 1200]

Algorithm 1 is the paper's, with one centre, and with uniform t on the mesh of StochasticMinimax, at
each of `--rates`. Triangles of the mesh have the sides that StochasticMinimax found at
`--side-budget`, those with one centre the sides of Algorithm 1 at the same, of the rate that is
best in the mean. The folder keeps minima, edges and all figures, and a comparison goes on there.
"""

import argparse
import json
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    NotFiniteError,
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
from tests.benchmarks.networks.minimax_cases import CASES, Case, CountedLoss

Floats = NDArray[np.float64]

SEGMENTS = 8
RATES = (0.01, 0.03, 0.1)
MAPS: dict[str, SimplexMap] = {"one centre": Barycentric(), "mesh": Edgewise(SEGMENTS)}


class Problem(NamedTuple):
    """Simplices of one dimension on faces that are given."""

    loss: CountedLoss
    layout: Layout
    control_points: Tensor
    dim: int
    scan: tuple[int, int]  # lattices of edges and triangles on which loss is taken

    def solved(self, optimizer: Optimizer, seed: int) -> tuple[Tensor, int]:
        """Control points (K, d), and gradients for each simplex."""
        points, layout, loss = self.control_points.clone(), self.layout, self.loss
        problem = OptimisationProblem(
            layout.simplices[self.dim],
            layout.rows(self.dim),
            slice(layout.starts[1], layout.starts[self.dim]),
            seed,
        )
        before = loss.gradients
        optimizer.optimise(loss, points, problem, lambda: None)
        return points, (loss.gradients - before) // len(layout.simplices[self.dim].vertices)

    def highest(self, points: Tensor, dim: int) -> Floats:
        """The largest loss on each simplex of a dimension."""
        t = lattice(dim, self.scan[dim - 1])
        simplices, found = self.layout.simplices[dim], []
        for row in simplices.controls:
            at = interpolate(points[torch.as_tensor(row)], simplices.simplex_map, t / t.sum(1)[0])
            found.append(evaluate(self.loss, at).loss.max())
        return np.array(found)

    def base(self) -> Floats:
        """The largest loss on the faces of each simplex."""
        if self.dim == 1:
            values = evaluate(self.loss, self.control_points[: self.layout.starts[1]]).loss
            return values[self.layout.simplices[1].vertices].max(axis=1)
        sides = dict(
            zip(
                map(tuple, self.layout.simplices[1].vertices.tolist()),
                self.highest(self.control_points, 1),
                strict=True,
            )
        )
        triangles = self.layout.simplices[2].vertices.tolist()
        return np.array([max(sides[side] for side in combinations(t, 2)) for t in triangles])


def edges(
    loss: CountedLoss, minima: Tensor, simplex_map: SimplexMap, scan: tuple[int, int]
) -> Problem:
    """Straight edges with a map."""
    layout = lay_out(len(minima), 1, simplex_map)
    return Problem(loss, layout, straight(minima, layout), 1, scan)


def triangles(of: Problem, sides: Tensor, own: SimplexMap) -> Problem:
    """Triangles on the edges of a problem, of which control points (K, d) were found, and their
    harmonic filling.
    """
    count = of.layout.starts[1]
    layout = lay_out(count, 2, own)
    points = straight(sides[:count], layout)
    points[: len(sides)] = sides
    mesh = Mesh.of(own, 2)
    for row in layout.simplices[2].controls:
        inside = torch.as_tensor(row[mesh.inside])
        points[inside] = harmonic(points[torch.as_tensor(row)][None], mesh)[0]
    return Problem(of.loss, layout, points, 2, of.scan)


class Figures:
    """Results of optimizers in a folder, under their names: found once, read from then on."""

    def __init__(self, folder: Path, loss: CountedLoss, seed: int) -> None:
        self.folder, self.loss, self.seed = folder, loss, seed
        self._file = folder / f"figures-{seed}.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._found: dict[str, dict[str, Any]] = {r["name"]: r for r in map(json.loads, lines)}

    def of(self, name: str, problem: Callable[[], Problem], optimizer: Optimizer) -> Floats:
        """Excess of each simplex, inf where training did not stay finite."""
        if name not in self._found:
            began, posed = time.perf_counter(), problem()
            base = posed.base()
            try:
                points, count = posed.solved(optimizer, self.seed)
                highest = posed.highest(points, posed.dim)
                np.save(self._points(name), points.numpy())
            except NotFiniteError:
                highest, count = np.full(len(base), np.inf), 0
            seconds = time.perf_counter() - began
            record = {"name": name, "base": base.tolist(), "highest": highest.tolist()}
            self._found[name] = record | {"gradients": count, "seconds": seconds}
            with self._file.open("a") as lines:
                lines.write(json.dumps(self._found[name]) + "\n")
            self._print(name)
        return self._excess(name)

    def points(self, name: str) -> Tensor:
        """Control points that were found under a name."""
        return torch.as_tensor(np.load(self._points(name)))

    def _points(self, name: str) -> Path:
        return self.folder / f"{name.replace(' ', '-')}-{self.seed}.npy"

    def _excess(self, name: str) -> Floats:
        found = self._found[name]
        return np.maximum(0.0, np.array(found["highest"]) - found["base"])

    def _print(self, name: str) -> None:
        found, excess = self._found[name], self._excess(name)
        cells = " ".join(f"{x:8.5f}" for x in excess[:6])
        print(
            f"{name:46} mean {excess.mean():8.5f} of {cells} base {np.mean(found['base']):.5f} "
            f"{found['gradients']} gradients {found['seconds']:.0f} s",
            flush=True,
        )


class Comparison(NamedTuple):
    """Optimizers at equal numbers of gradients on simplices of one dimension."""

    case: Case
    figures: Figures
    minima: Tensor
    batches: int  # mini-batches of an epoch
    arguments: argparse.Namespace

    def minimax(self, dim: int, budget: int) -> Floats:
        """Excess by StochasticMinimax."""
        optimizer = StochasticMinimax(segments=SEGMENTS, epochs=budget // self.batches)
        name = f"dim {dim} minimax {budget}"
        return self.figures.of(name, lambda: self._problem(dim, "mesh"), optimizer)

    def algorithm1(self, dim: int, budget: int, on: str, rate: float) -> Floats:
        """Excess by Algorithm 1 with uniform points on a map, at a learning rate."""
        epochs = budget // self.batches
        recipe = Recipe(epochs=epochs, learning_rate=rate, weight_decay=0.0)
        return self.figures.of(
            f"dim {dim} algorithm 1 {on} {rate:g} {budget}",
            lambda: self._problem(dim, on),
            Algorithm1(recipe=recipe),
        )

    def _problem(self, dim: int, on: str) -> Problem:
        side_budget = self.arguments.side_budget
        straight_edges = edges(self.figures.loss, self.minima, MAPS[on], self.case.scan)
        if dim == 1:
            return straight_edges
        if on == "mesh":
            self.minimax(1, side_budget)
            sides = f"dim 1 minimax {side_budget}"
        else:
            rate = min(
                self.arguments.rates, key=lambda r: self.algorithm1(1, side_budget, on, r).mean()
            )
            sides = f"dim 1 algorithm 1 {on} {rate:g} {side_budget}"
        return triangles(straight_edges, self.figures.points(sides), MAPS[on])

    def run(self, dim: int, budget: int) -> None:
        """All optimizers at one budget, and the ratios to the best of Algorithm 1's rates."""
        ours = self.minimax(dim, budget)
        for on in self.arguments.maps:
            rates = [self.algorithm1(dim, budget, on, rate) for rate in self.arguments.rates]
            best = min(rate.mean() for rate in rates)
            higher = int((ours > np.min(rates, axis=0)).sum())
            print(
                f"dim {dim}, {budget} gradients: {ours.mean():.5f} over Algorithm 1, {on}, "
                f"{best:.5f}: {ours.mean() / best:.3f}; higher than the best rate of each on "
                f"{higher} of {len(ours)}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--dims", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--maps", nargs="+", choices=MAPS, default=list(MAPS))
    parser.add_argument("--budgets", type=int, nargs="+")
    parser.add_argument("--side-budget", type=int, help="of triangles' sides; the last but one")
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    arguments.budgets = arguments.budgets or case.budgets
    arguments.side_budget = arguments.side_budget or case.budgets[-2]
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    loss = case.loss()
    minima = case.trained(loss, arguments.folder / "minima.npy")
    figures = Figures(arguments.folder, loss, arguments.seed)
    batches = StochasticMinimax().mini_batch_count(loss)
    straight_edges = edges(loss, minima, Edgewise(1), case.scan)
    base = straight_edges.base()
    climbs = straight_edges.highest(straight_edges.control_points, 1) - base
    values = evaluate(loss, minima).loss
    print(
        f"minima {values.min():.4f} to {values.max():.4f}, d = {loss.dim}; {batches} mini-batches"
    )
    print(f"straight lines climb by {climbs.min():.4f} to {climbs.max():.4f}", flush=True)
    comparison = Comparison(case, figures, minima, batches, arguments)
    for dim in arguments.dims:
        for budget in arguments.budgets:
            comparison.run(dim, budget)


if __name__ == "__main__":
    configure_process()
    main()
