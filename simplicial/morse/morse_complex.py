"""The Morse complex of a function: a chain complex with one generator for each critical point.

Of a Morse function whose sublevel sets are compact, the generators of degree r are the critical
points of index r, and the boundary of p is the sum over points q of index r - 1 of n(p, q) q, n(p,
q) the number of lines of the flow x' = -grad f(x) from p to q, counted with signs. Its homology is
that of the domain, and as the boundary leads to lower values, those below a level compute that of
the sublevel set: so its barcode is the function's own, over every field, and no simplex is needed
(Barannikov 1994, "The framed Morse complex and its invariants"; Le Peutrec, Nier & Viterbo 2013,
"Precise Arrhenius law for p-forms", section 2; Audin & Damian 2014, "Morse Theory and Floer
Homology", 3.1-3.3).

Checked at once: the signs of all critical points add up to the Euler characteristic of the domain,
the boundary of a boundary is 0, and the essential bars are the domain's homology. A pair of points
that is missing and to which no line leads would pass these checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import Barcode, BarEnds, ChainComplex, Ends, OptionError, ShapeError
from reduction.reprs import few
from reduction.validation import as_bool, is_whole, short_repr
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.critical_points.search_domain import check_periods_near
from simplicial.display import progress_bar
from simplicial.domains.periods import Cell
from simplicial.errors import LossError, SearchError
from simplicial.evaluation import check_callable
from simplicial.loss import Loss, WalledLoss
from simplicial.minima import Minima
from simplicial.morse.circles import Levels, second_boundary
from simplicial.morse.domain import Domain, Floats
from simplicial.morse.flow import Flow
from simplicial.morse.generators import Generators, generators
from simplicial.morse.incidence import descents, first_boundary, last_boundary

ALL = 3  # variables, at most, in which flow lines of all degrees are counted
AROUND = 1.0  # how far lines are followed around the critical points, over their extent


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MorseComplex:
    """A Morse complex: critical points of each index, and the chain complex that they generate.

    chains          boundary matrices and values; generator j of degree r is points[r][j]
    points          for each index r (m_r, d) float64, by value
    eigenvalues     for each index r (m_r, d) float64, of the Hessian, ascending; of a point on a
                    wall those along the wall, nan behind them
    gradient_norms  for each index r (m_r,) float64, |grad f| left at the points, along the walls
    max_index       of the bars that it gives
    """

    chains: ChainComplex
    points: tuple[Floats, ...]
    eigenvalues: tuple[Floats, ...]
    gradient_norms: tuple[Floats, ...]
    max_index: int

    def __post_init__(self) -> None:
        for arrays in (self.points, self.eigenvalues, self.gradient_norms):
            for array in arrays:
                array.flags.writeable = False

    def __repr__(self) -> str:
        return f"MorseComplex(dim={self.points[0].shape[1]}, counts={few(self.chains.counts)})"

    @property
    def values(self) -> tuple[Floats, ...]:
        """For each index r (m_r,) float64, the function at the points."""
        return self.chains.values

    def barcode(self, field: int = 2, *, keep_zero: bool = False) -> Barcode:
        """The bars of every index 0..max_index, with coefficients in Z/field.

        Bars name the critical points at their ends by their rows in `points`, `Barcode.pairs`, and
        carry them, `Barcode.ends`: all are certified. Raises FieldError, OptionError.
        """
        barcode = self.chains.barcode(field, keep_zero=keep_zero, max_index=self.max_index)
        return barcode.with_ends(
            [
                BarEnds(*(self._ends(r + k, rows) for k, rows in enumerate(barcode.pairs(r))))
                for r in range(len(barcode))
            ]
        )

    def _ends(self, index: int, rows: NDArray[np.int64]) -> Ends:
        """Critical points (m,) of an index; none where rows (m, 1) are -1."""
        at = rows[:, 0]
        there = at >= 0
        d = self.points[0].shape[1]
        points, norms = np.full((at.size, d), np.nan), np.full(at.size, np.nan)
        eigenvalues = np.full((at.size, d), np.nan)
        if there.any():
            points[there] = self.points[index][at[there]]
            norms[there] = self.gradient_norms[index][at[there]]
            eigenvalues[there] = self.eigenvalues[index][at[there]]
        return Ends(there, points, norms, eigenvalues, np.where(there, index, -1))


def morse_complex(
    loss: Loss,
    critical_points: Minima | Sequence[Minima] | ArrayLike,
    *,
    box: ArrayLike | None = None,
    max_index: int | None = None,
    progress: bool = True,
) -> MorseComplex:
    """The Morse complex of a smooth loss, whose barcode is exact if the critical points are all.

    critical_points  of all indices, in any order: (m, d), or what `find_minima`,
               `find_critical_points` and `find_all_critical_points` return, one or a sequence. They
               are polished by Newton's method. Of indices above max_index + 1 none are needed, and
               none are used
    box        (2, d) or (2,), lowest and highest coordinates: the domain, a closed box. Critical
               points on its walls are those of a search in the box, of the loss along the walls
               where it falls outwards. None: R^d, in which sublevel sets must be bounded. In a
               coordinate with a period (`simplicial.periodic`) there are no walls, and the box
               is one period wide
    max_index  the highest index of bars; None: d for d <= 3, else 1. Flow lines between points of
               indices 2 < r < d are not counted, so above three variables it is 0 or 1
    progress   a bar on stderr for work of more than two seconds
    returns    MorseComplex
    Raises SearchError, with the place, for what is no non-degenerate critical point, or is beyond
    a wall, for points that are missing as far as flow lines and homology show, for lines that
    cannot be told apart; LossError for a loss that breaks its contract, OptionError and ShapeError
    for other arguments. Computed in float64 on the CPU.
    Source: see `simplicial.morse.morse_complex`.
    """
    check_callable(loss)
    if isinstance(loss, WalledLoss):
        raise LossError(
            "a Morse complex takes a loss that goes on beyond its box, and the box, got a "
            f"{type(loss).__name__}: give the loss without walls, and box="
        )
    progress = as_bool("progress", progress)
    given = _given(critical_points)
    d = given.shape[1]
    top = _top(max_index, d)
    domain = Domain.of(loss, d, box)
    if (cell := Cell(given[0], domain.periods)).is_periodic.any():
        check_periods_near(loss, given, cell)
    found = generators(loss, given, domain)
    degrees = min(d, top + 1)
    rows = [found.of_index(r) for r in range(degrees + 1)]
    if degrees == d:
        _check_signs([positions.size for positions in rows], domain)
    chains = ChainComplex(
        _boundaries(loss, found, domain, degrees, progress=progress),
        [found.values[positions] for positions in rows],
    )
    _check_homology(chains, domain, top)
    return MorseComplex(
        chains,
        tuple(found.points[positions] for positions in rows),
        tuple(found.eigenvalues[positions] for positions in rows),
        tuple(found.gradient_norms[positions] for positions in rows),
        top,
    )


def _boundaries(
    loss: Loss, found: Generators, domain: Domain, degrees: int, *, progress: bool
) -> list[NDArray[np.int64]]:
    """The boundary matrices of the degrees 1..degrees."""
    if not degrees:
        return []
    flow = _flow(loss, found, domain)
    levels, d = Levels.of(found), domain.dim
    circles = degrees >= 2 < d
    down = descents(flow, found, levels.values if circles else np.empty(0))
    matrices = [first_boundary(down, found.of_index(0).size)]
    if circles:
        with progress_bar("circles", found.of_index(2).size, progress) as bar:
            matrices.append(second_boundary(flow, found, down, levels, bar.update))
    if degrees == d >= 2:
        matrices.append(last_boundary(flow._replace(uphill=True), found))
    for r, (below, matrix) in enumerate(pairwise(matrices), start=2):
        if (below @ matrix).any():
            i, j = np.argwhere(below @ matrix)[0]
            raise SearchError(
                f"the boundary of a boundary must be 0, that of point {j} of index {r} has "
                f"{(below @ matrix)[i, j]} times point {i} of index {r - 2}: add critical points "
                "that are missing, or stretch the coordinates if flow lines pass close to others"
            )
    return matrices


def _flow(loss: Loss, found: Generators, domain: Domain) -> Flow:
    """The flow downhill, followed around the critical points."""
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    extent = np.where(np.isfinite(domain.periods), domain.periods, high - low)
    length = max(float(extent.max()), 4 * float(found.radii.max()))
    region = np.stack([low - AROUND * length, high + AROUND * length])
    region[:, np.isfinite(domain.periods)] = [[-np.inf], [np.inf]]
    bounded = np.stack(
        [np.maximum(region[0], domain.walls[0]), np.minimum(region[1], domain.walls[1])]
    )
    return Flow(loss, domain, bounded, length)


def _check_signs(counts: list[int], domain: Domain) -> None:
    total = sum((-1) ** r * count for r, count in enumerate(counts))
    if total != domain.euler_characteristic:
        raise SearchError(
            "the signs (-1)^index of all critical points must add up to "
            f"{domain.euler_characteristic}, the Euler characteristic of the domain, those of "
            f"{', '.join(map(str, counts))} points of indices 0..{len(counts) - 1} give {total}: "
            "add those that are missing, as find_all_critical_points does"
        )


def _check_homology(chains: ChainComplex, domain: Domain, top: int) -> None:
    found = chains.barcode(max_index=top)
    betti = [len(found.essential(r)) for r in range(top + 1)]
    expected = list(domain.betti_numbers[: top + 1])
    if betti != expected:
        raise SearchError(
            f"essential bars must be the homology of the domain, {expected} by index, they are "
            f"{betti}: add critical points that are missing, or give the box that holds them all"
        )


def _given(critical_points: Any) -> Floats:
    """Critical points (m, d) as float64."""
    if isinstance(critical_points, Minima):
        critical_points = [critical_points]
    try:
        parts = list(critical_points)
        if parts and all(isinstance(part, Minima) for part in parts):
            parts = [row for part in parts for row in part.points.double().cpu().numpy()]
        points: Any = np.array([np.asarray(row, np.float64) for row in parts])
    except (TypeError, ValueError, RuntimeError):
        points = np.empty(0)
    if points.ndim != 2 or 0 in points.shape or not np.isfinite(points).all():
        raise ShapeError(
            "critical points must be (m, d), finite, or what a search returns, got "
            f"{short_repr(critical_points)}: give one point a row"
        )
    if points.shape[1] > DENSE:
        raise OptionError(
            f"a Morse complex writes out Hessians, so it takes at most {DENSE} variables, got "
            f"{points.shape[1]}: build a complex of simplices"
        )
    return points


def _top(max_index: int | None, d: int) -> int:
    highest = d if d <= ALL else 1
    if max_index is None:
        return highest
    if not is_whole(max_index) or not 0 <= max_index <= highest:
        raise OptionError(
            f"max_index must be one of 0..{highest} in {d} variables, got {short_repr(max_index)}: "
            "leave it out"
        )
    return int(max_index)
