"""Barriers in winding valleys and off ridges of symmetry, beside ASE's climbing-image bands.

Each path is between two minima, and its barrier is known by hand (`tests.oracles.ridges`).

- elastic: `build_complex` with all its defaults. Gradients are points where the gradient was taken,
  a product of the Hessian and a vector counting as one more; values are points where only the loss
  was.
- ASE: `ase.mep.NEB(climb=True, method="improvedtangent")`, otherwise with its defaults, on 12, 24
  and 48 segments, by `ase.optimize.FIRE` with its defaults. A force call gives energy and forces of
  one image. *ends* is where ASE's usual criterion, fmax=0.05, is met; *to 1e-3* and *to 1e-6* are
  the calls after which the highest image stays so near to the barrier until the run ends, by
  fmax=1e-4 or after 300, 200 and 150 steps. Where symmetry holds a straight band on the ridge, it
  begins with its images moved by random numbers of deviation 0.01, seed 0, as its users do.

Minima are known to both, and not counted.

    python tests/benchmarks/functions/ase_bands.py [--only NAME ...]
"""

import argparse
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.mep import NEB
from ase.optimize import FIRE
from numpy.typing import NDArray

from simplicial import Minima, build_complex, configure_process
from tests.benchmarks.paths import Counter
from tests.oracles.ridges import (
    C3_BARRIER,
    PEAK,
    Loss,
    c3,
    c3_wells,
    double_well,
    peak,
    ring,
    tilted_ring,
    winding,
)

Floats = NDArray[np.float64]

STEPS = {12: 300, 24: 200, 48: 150}  # of a band, by its segments
USUAL, TIGHT = 0.05, 1e-4  # fmax
JITTER = 0.01
VALLEYS = ((1, 5, 10, 0.7), (1, 5, 100, 0.7), (2, 5, 10, 0.7), (1, 9, 10, 0.7), (2, 5, 100, 0))


class Case(NamedTuple):
    """Two minima (2, d) of a loss, their barrier, and whether a straight band is on a ridge."""

    name: str
    loss: Loss
    ends: Any
    barrier: float
    on_ridge: bool


def cases() -> Iterator[Case]:
    """All paths."""
    for a, b, k, c in VALLEYS:
        yield Case(f"valley a={a} b={b} k={k} c={c}", *winding(a, b, k, c), 1.0, False)
    yield Case("ring", ring, [[-1.0, 0.0], [1.0, 0.0]], 7 / 16, True)
    yield Case("peak on the line", peak, [[-1.0, 0.0], [1.0, 0.0]], PEAK, True)
    yield Case("c3", c3, c3_wells(2)[:2], C3_BARRIER, False)
    for d in (2, 3, 4, 5):
        yield Case(f"double well d={d}", double_well, [[-1.0] * d, [1.0] * d], 1.0, True)
    for seed in range(20):
        yield Case(f"planted ridge {seed}", *tilted_ring(seed), True)


class Elastic(NamedTuple):
    """The error of a barrier, and what it took."""

    error: float
    gradients: int
    values: int
    segments: int


def elastic(case: Case) -> Elastic:
    """By `build_complex` with its defaults."""
    counter = Counter(case.loss)
    minima = Minima(torch.as_tensor(np.asarray(case.ends)), counter)
    counter.values = 0
    built = build_complex(minima, 1, progress=False)
    error = float(built.values[1][0]) - case.barrier
    return Elastic(error, counter.gradients, counter.values, built.simplex_map.segments)  # pyright: ignore[reportAttributeAccessIssue]


class Energy(Calculator):
    """A loss of the first coordinates of atoms; `calls` counts."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 as ASE's base class has it

    def __init__(self, loss: Loss, d: int, calls: list[int]) -> None:
        super().__init__()
        self.loss, self.d, self.calls = loss, d, calls

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        """As ASE calls it."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self.calls[0] += 1
        x = torch.tensor(self.atoms.positions.ravel()[: self.d][None], requires_grad=True)
        value = self.loss(x)
        forces = np.zeros(self.atoms.positions.size)
        forces[: self.d] = -torch.autograd.grad(value.sum(), x)[0][0].numpy()
        self.results = {"energy": float(value.detach()), "forces": forces.reshape(-1, 3)}


class Step(NamedTuple):
    """Force calls so far, the error of the highest image, and the largest force on the band."""

    calls: int
    error: float
    fmax: float


def band(case: Case, segments: int) -> list[Step]:
    """The steps of a climbing-image band."""
    ends = np.asarray(case.ends, dtype=np.float64)
    d, atoms = ends.shape[1], -(-ends.shape[1] // 3)
    rng, calls, images = np.random.default_rng(0), [0], []
    for share in np.linspace(0, 1, segments + 1):
        place = np.zeros(3 * atoms)
        place[:d] = (1 - share) * ends[0] + share * ends[1]
        if case.on_ridge and 0 < share < 1:
            place[:d] += JITTER * rng.standard_normal(d)
        image = Atoms(f"H{atoms}", positions=place.reshape(-1, 3))
        image.calc = Energy(case.loss, d, calls)
        images.append(image)
    top = max(image.get_potential_energy() for image in (images[0], images[-1]))
    calls[0], steps, neb = 0, list[Step](), NEB(images, climb=True, method="improvedtangent")
    optimizer = FIRE(neb, logfile=None)  # pyright: ignore[reportArgumentType]

    def record() -> None:
        highest = max(top, *(image.get_potential_energy() for image in images[1:-1]))
        steps.append(Step(calls[0], float(highest) - case.barrier, float(neb.get_residual())))

    optimizer.attach(record)
    optimizer.run(fmax=TIGHT, steps=STEPS[segments])
    return steps


def calls_to(steps: list[Step], tolerance: float) -> str:
    """Calls after which the error stays within a tolerance; - where it does not."""
    off = [i for i, step in enumerate(steps) if not abs(step.error) <= tolerance]
    first = off[-1] + 1 if off else 0
    return f"{steps[first].calls:,}" if first < len(steps) else "-"


def row(case: Case) -> str:
    """Lines of the table, one for each number of segments of a band."""
    ours, lines = elastic(case), []
    own = f"{ours.error:.0e} | {ours.gradients:,} | {ours.values:,} | {ours.segments}"
    for segments in STEPS if case.name.startswith("valley") else (12,):
        steps = band(case, segments)
        usual = next((step for step in steps if step.fmax <= USUAL), None)
        ended = "- | -" if usual is None else f"{usual.calls:,} | {usual.error:.0e}"
        reached = " | ".join(map(partial(calls_to, steps), (1e-3, 1e-6)))
        lines.append(f"| {case.name} | {own} | {segments} | {ended} | {reached} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[""], help="first letters of names")
    only = tuple(parser.parse_args().only)
    configure_process()
    head = ("path", "error", "gradients", "values", "segments", "ASE's", "ends", "error")
    print(f"| {' | '.join(head)} | to 1e-3 | to 1e-6 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for case in cases():
        if case.name.startswith(only):
            print(row(case), flush=True)


if __name__ == "__main__":
    main()
