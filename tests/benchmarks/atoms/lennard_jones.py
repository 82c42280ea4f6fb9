"""Lennard-Jones clusters: lowest minima, merge heights at certified transition states, by torch and
by ASE's calculator.

Minima are found by basin hopping, one of each but for copies; the lowest of them are joined, each
with those whose sorted distances of atoms are most alike, to nearest copies. A merge is at a
critical point of Morse index 1 where a search from its edge's highest point ends at one of the same
value; --certify asks the builder for certificates, which look for lower passes, too, and take
minutes for seven atoms. ASE's calculator has its cut-off at 1000 and no smoothing, so that its
energies are torch's; from every minimum and every such point, disturbed, it goes on to a critical
point of its own. With --ase-paths the paths are computed by ASE anew, for small clusters.

    python tests/benchmarks/atoms/lennard_jones.py --steps 400 --starts 60 --certify --ase-paths
    python tests/benchmarks/atoms/lennard_jones.py --atoms 13 --levels 40 --picture lj13.png
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reduction import FilteredComplex
from simplicial import (
    LossComplex,
    Minima,
    NudgedElastic,
    TransitionStates,
    build_complex,
    find_minima,
    from_ase,
    nearest_copies,
    plot_barrier_tree,
    polish,
)
from simplicial.critical_points.eigenvector_following import follow
from simplicial.evaluation import evaluate
from simplicial.landscapes import lennard_jones

CUTOFF = 1e3  # of ASE's calculator, in units of sigma: pairs are shifted by 4e-18
DISTURBED = 0.01  # length by which an atom is moved before ASE's calculator goes on
REACH = 0.1
SAME = 1e-6  # of energies

Floats = NDArray[np.float64]


class Found(NamedTuple):
    """The barcode of index 0, and the states at which its bars end."""

    filtration: FilteredComplex
    states: TransitionStates
    built: LossComplex


def log(text: str) -> None:
    """Progress, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def lowest(atoms: int, given: argparse.Namespace) -> Minima:
    """The lowest minima of a cluster, from a file if it is there."""
    cluster, file = lennard_jones(atoms), given.minima
    if file is not None and file.exists():
        points = np.load(file)
    else:
        log(f"{given.starts} searches for minima")
        found = find_minima(cluster, starts=given.starts, seed=given.seed, method="basin hopping")
        print(found.search)
        points = found.points.numpy()
        if file is not None:
            np.save(file, points)
    values = evaluate(cluster, torch.tensor(points)).loss
    return Minima(torch.tensor(points[np.argsort(values)[: given.lowest]]), cluster)


def most_alike(points: Floats, neighbors: int) -> list[tuple[int, int]]:
    """Pairs of clusters (n, 3 a), each with those whose sorted distances differ least from its."""
    atoms = points.reshape(len(points), -1, 3)
    i, j = np.triu_indices(atoms.shape[1], 1)
    distances = np.sort(np.linalg.norm(atoms[:, i] - atoms[:, j], axis=2), axis=1)
    apart = np.linalg.norm(distances[:, None] - distances, axis=2)
    nearest = np.argsort(apart, axis=1)[:, 1 : neighbors + 1]
    pairs = {tuple(sorted((a, int(b)))) for a, row in enumerate(nearest) for b in row}
    return sorted((a, b) for a, b in pairs)


def merged(minima: Minima, pairs: list[tuple[int, int]], given: argparse.Namespace) -> Found:
    """The barcode of index 0 of minima without their copies."""
    log(f"nearest copies of {len(pairs)} pairs")
    copies = nearest_copies(minima, pairs=pairs)
    elastic = NudgedElastic(segments=16, steps=given.steps, mend=False)
    built = build_complex(
        copies.minima, 1, graph=copies.graph, optimizer=elastic, certify=given.certify
    )
    return Found(copies.filtration(built), copies.transition_states(built), built)


def by_ase(minima: Minima) -> Any:
    """The same energy by ASE's calculator."""
    from ase import Atoms
    from ase.calculators.lj import LennardJones

    first = minima.points[0].numpy().reshape(-1, 3)
    atoms = Atoms(f"Ar{len(first)}", first, calculator=LennardJones(rc=CUTOFF))
    return from_ase(atoms)


def at_passes(states: TransitionStates) -> NDArray[np.bool_]:
    """Whether the highest points of edges are critical points of Morse index 1."""
    found = follow(states.minima.loss, torch.tensor(states.points), 1, REACH)
    return (found.morse == 1) & (np.abs(found.values - states.values) < SAME)


def compared(minima: Minima, tops: torch.Tensor) -> None:
    """Print the largest differences of the energies of torch and of ASE, and of its own points."""
    ase, known = by_ase(minima), follow(minima.loss, tops, 1, REACH)
    disturbance = DISTURBED * torch.sin(torch.arange(minima.points.shape[1]))
    log("ASE's own minima and transition states")
    own = polish(Minima(minima.points + disturbance, ase), progress=False)
    found = follow(ase, known.points + disturbance, 1, REACH)
    print(f"minima: ASE's own differ by at most {np.abs(own.values - minima.values).max():.1e}")
    off = np.abs(found.values - known.values)[found.morse == 1].max()
    print(
        f"{(found.morse == 1).sum()} of {len(tops)} states: ASE's own differ by at most {off:.1e}"
    )


def table(minima: Minima, states: TransitionStates, passes: NDArray[np.bool_]) -> None:
    """Print where the basin of each minimum ends."""
    print("| minimum | energy | merges at | there |\n|---|---|---|---|")
    heights = minima.values + states.to_scores
    for i, (value, height) in enumerate(zip(minima.values, heights, strict=True)):
        end, note = "never", ""
        if np.isfinite(height):
            at = int(np.argmin(np.abs(states.values - height)))
            kinds = {"certified": states.certified[at], "critical point": passes[at]}
            end, note = f"{height:.5f}", next((k for k, v in kinds.items() if v), "upper bound")
        print(f"| {i + 1} | {value:.6f} | {end} | {note} |")


def main() -> None:
    """Print minima and merges, and how far ASE's are from them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--atoms", type=int, default=7)
    parser.add_argument("--lowest", type=int, default=50, help="minima that are joined")
    parser.add_argument("--starts", type=int, default=4500, help="searches for minima, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--neighbors", type=int, default=6, help="pairs for each minimum")
    parser.add_argument("--steps", type=int, default=200, help="of a path's relaxation")
    parser.add_argument("--certify", action="store_true", help="by the builder")
    parser.add_argument("--ase-paths", action="store_true", help="compute paths by ASE, too")
    parser.add_argument("--minima", type=Path, help="file of minima, written if it is missing")
    parser.add_argument("--picture", type=Path, help="where to save the disconnectivity graph")
    parser.add_argument("--levels", type=int, help="of the picture; none: at the merges themselves")
    given = parser.parse_args()
    torch.set_num_threads(1)
    minima = lowest(given.atoms, given)
    pairs = most_alike(minima.points.numpy(), given.neighbors)
    found = merged(minima, pairs, given)
    passes = at_passes(found.states)
    table(minima, found.states, passes)
    print(f"{passes.sum()} of {len(passes)} merges at critical points of Morse index 1, ", end="")
    print(f"{found.states.certified.sum()} certified")
    if given.picture is not None:
        _draw(found, given)
    compared(minima, torch.tensor(found.states.points[passes]))
    if given.ase_paths:
        tree = [tuple(sorted(ends)) for ends in found.states.ends.tolist()]
        again = merged(Minima(minima.points, by_ase(minima)), tree, given).states
        off = np.abs(again.values - found.states.values).max()
        print(f"{again.certified.sum()} of ASE's merges certified, at most {off:.1e} off")


def _draw(found: Found, given: argparse.Namespace) -> None:
    """The disconnectivity graph, coloured by the radius of gyration."""
    from matplotlib import pyplot as plt

    points = found.states.minima.points.numpy().reshape(len(found.states.minima), -1, 3)
    spread = np.linalg.norm(points - points.mean(axis=1, keepdims=True), axis=2)
    figure, ax = plt.subplots(figsize=(6.4, 6.0), layout="constrained")
    plot_barrier_tree(
        found.filtration,
        ax,
        levels=given.levels,
        order_parameter=np.sqrt((spread**2).mean(axis=1)),
        label="radius of gyration",
    )
    ax.set_ylabel("energy")
    figure.savefig(given.picture, dpi=110)


if __name__ == "__main__":
    main()
