"""Search for critical points of a smooth function, of any Morse index, from many starts at once.

All starts follow the Hessian's eigenvectors together (`eigenvector_following`); of those that end
at the same non-degenerate critical point of the wanted index one is kept (`arrivals`). For
functions of few variables: Hessians are dense, one for each start.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from reduction import OptionError
from reduction.memory import require
from reduction.validation import as_float, as_integer, short_repr
from simplicial.critical_points.arrivals import MERGED, Distinct, distances, distinct, outcomes
from simplicial.critical_points.basin_hopping import hop
from simplicial.critical_points.eigenvector_following import Arrival, follow
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.critical_points.search_domain import Domain, check_invariance, check_periods
from simplicial.errors import LossWarning, SearchError
from simplicial.evaluation import check_callable
from simplicial.loss import BoundedLoss, Loss, Motions, motions_of
from simplicial.minima import Minima, Search, check_minima

Floats = NDArray[np.float64]

REACH = 0.1  # the longest step over the box's diagonal
MARGIN = 0.5  # around the minima's box, of its longest edge, in which saddles are sought
ITERATIONS = 100  # a start that has not arrived by then runs to infinity, or in a circle
METHODS = ("starts", "basin hopping")
HOPS = 10  # starts of basin hopping, at most, over those of the other method


def find_minima(
    loss: Loss,
    n: int | None = None,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
    method: Literal["starts", "basin hopping"] = "starts",
    gradient_tolerance: float | None = None,
) -> Minima:
    """Non-degenerate minima of a loss, found from uniform random starts in a box.

    n        keep at most n, the lowest; None: all. Fewer are returned if fewer are found
    dim      number of variables d; None: that of a `simplicial.loss.BoundedLoss`
    box      (2, d) or (2,), lowest and highest coordinates: the domain. No point outside it is
             returned, and minima on its walls are found: there the loss falls outwards, and
             `Minima.walls` tells. None, and for a loss with motions: no walls, and starts in this
             box, or in the `domain` of a BoundedLoss, or in [-5, 5] in each coordinate; minima
             outside it count if a start runs there. In a coordinate with a period
             (`simplicial.periodic`) there are no walls, and the box is one period wide; points are
             returned in it, images of one another once
    starts   None: 100 d, and at least 20 n; of basin hopping at most ten times as many
    seed     non-negative
    method   "starts", independent ones, or "basin hopping", after these, from beside minima already
             found, until no more are to be expected: `simplicial.critical_points.basin_hopping`
    gradient_tolerance  norm of the gradient, in units of the loss over those of the coordinates, up
             to which it may be noise: a start has converged there. None: rounding only
    returns  Minima, sorted by value, ties by coordinates; `.search` counts the starts by outcome:
             duplicates merged, other critical points, degenerate ones and failures left out; it
             estimates how many minima are missing, and tells the lowest point that was left out
    Raises OptionError for arguments out of range, CapacityError for more starts than fit into
    memory, LossError for a loss that breaks its contract, SearchError when no start arrives at a
    minimum. Warns by LossWarning where minima are likely to be missing, and where a start ended
    lower than all minima: at a cusp, a degenerate point, or on a way down for ever. The search is
    made in float64 on the CPU.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise OptionError(
            f"method must be one of {', '.join(METHODS)}, got {short_repr(method)}: leave it out "
            "for independent starts"
        )
    problem = _Problem.of(loss, 0, dim, box, gradient_tolerance)
    if method == "starts":
        return problem.minima(problem.from_starts(problem.starts(n, starts), seed), n)
    count = problem.starts(n, None), problem.starts(n, starts, HOPS)
    rng = np.random.default_rng(as_integer("seed", seed, 0))
    return problem.minima(hop(problem, count, rng), n)


def find_critical_points(
    loss: Loss,
    index: int = 1,
    n: int | None = None,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
    gradient_tolerance: float | None = None,
) -> Minima:
    """Non-degenerate critical points of a loss of one Morse index, as `find_minima` finds minima.

    index  number of negative eigenvalues of the Hessian: 0 minima, 1 saddles, ..., d maxima; of a
           point on a wall of the box, of the Hessian along the walls that hold it, and of a
           `SymmetricLoss`, across its motions
    The other arguments, the result and the errors are those of `find_minima`. The share of starts
    that arrive falls as the index nears d, since a start beyond the outermost wells climbs to
    infinity: `.search` tells, and `starts` or a tighter box helps.
    """
    problem = _Problem.of(loss, index, dim, box, gradient_tolerance)
    return problem.minima(problem.from_starts(problem.starts(n, starts), seed), n)


def with_saddles(minima: Minima, *, starts: int | None = None, seed: int = 0) -> Minima:
    """Minima, and the critical points of Morse index 1 of their loss as further vertices.

    Two minima joined over two saddles make a cycle that no complex on the minima alone can see.
    Saddles are sought in the box that the minima's search had as its domain, in the `domain` of a
    BoundedLoss, or else in the box of the minima, enlarged on each side by half of its longest
    edge; around a single minimum, in a box of edge 1.
    starts, seed  as for `find_minima`
    Raises SearchError where there is no saddle, OptionError for what is no Minima and for too many
    variables.
    """
    check_minima(minima)
    d = minima.points.shape[1]
    if d > DENSE:
        raise OptionError(
            f"a search for saddles takes at most {DENSE} variables, got {d}: leave saddles out, or "
            "add critical points of your own to Minima"
        )
    known = minima.search.box if minima.search is not None else None
    if known is not None:
        box = known
    elif isinstance(minima.loss, BoundedLoss):
        box = minima.loss.domain
    else:
        points = minima.points.double().cpu().numpy()
        low, high = points.min(axis=0), points.max(axis=0)
        margin = MARGIN * (float((high - low).max()) or 1.0)
        box = np.stack([low - margin, high + margin])
    problem = _Problem(minima.loss, 1, Domain.of(minima.loss, d, box, walled=known is not None))
    saddles = problem.minima(problem.from_starts(problem.starts(None, starts), seed), None)
    return minima.joined(saddles)


def _index(index: int, d: int) -> int:
    index = as_integer("index", index, 0)
    if index > d:
        raise OptionError(
            f"a Morse index in {d} variables is at most {d}, got {index}: ask for 0 to {d}"
        )
    return index


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """A search for critical points of a Morse index; the tolerance is of gradients."""

    loss: Loss
    index: int
    domain: Domain
    tolerance: float = 0.0

    @classmethod
    def of(
        cls, loss: Loss, index: int, dim: int | None, box: ArrayLike | None, tolerance: float | None
    ) -> "_Problem":
        """From a user's arguments, checked."""
        check_callable(loss)
        walled = box is not None and motions_of(loss) is None
        domain = Domain.of(loss, dim, box, walled=walled)
        index = _index(index, domain.dim)
        noise = 0.0 if tolerance is None else as_float(tolerance)
        if not (0 < noise < np.inf or tolerance is None):
            raise OptionError(
                "gradient_tolerance must be positive and finite, or None, got "
                f"{short_repr(tolerance)}: give the norm up to which a gradient may be noise"
            )
        return cls(loss, index, domain, noise)

    @property
    def corners(self) -> Floats:
        """Of the box of the starts, (2, d)."""
        return self.domain.corners

    @property
    def motions(self) -> Motions | None:
        """Those under which the loss is invariant."""
        return motions_of(self.loss)

    def starts(self, n: int | None, starts: int | None, times: int = 1) -> int:
        """Number of starts. Raises OptionError, CapacityError."""
        n, d = None if n is None else as_integer("n", n, 1), self.domain.dim
        usual = times * max(100 * d, 20 * (n or 0))
        count = usual if starts is None else as_integer("starts", starts, 1)
        wanted = "" if n is None else f" for n={n}"
        search = f"a search from {count} starts{wanted} in {d} variables"
        require(8 * count * d, search, "give fewer starts")
        return count

    def from_starts(self, count: int, seed: int) -> Arrival:
        """Arrivals from uniform random starts."""
        rng = np.random.default_rng(as_integer("seed", seed, 0))
        return self.descend(rng.uniform(*self.domain.corners, size=(count, self.domain.dim)))

    def descend(self, starts: Floats) -> Arrival:
        """Arrivals from starts (s, d), which are moved into the box if it has walls."""
        box, iterations, cell = self.domain.walls, ITERATIONS, self.domain.cell
        if box is not None:  # each may be met, one after the other
            iterations = ITERATIONS + starts.shape[1]
            starts = np.clip(starts, *box)
        begin = torch.as_tensor(starts)
        if self.motions is not None:
            check_invariance(self.loss, begin, self.motions)
        if cell is not None:
            check_periods(self.loss, begin, cell)
        arrival = follow(
            self.loss,
            begin,
            self.index,
            REACH * self.domain.diagonal,
            iterations,
            box=box,
            gradient_tolerance=self.tolerance,
        )
        if cell is None:
            return arrival
        return replace(arrival, points=torch.as_tensor(cell.within(arrival.points.numpy())))

    def distinct(self, arrival: Arrival) -> Distinct:
        """The points found."""
        cell, diagonal = self.domain.cell, self.domain.diagonal
        return distinct(arrival, self.index, diagonal, self.tolerance, self.loss, cell=cell)

    def came_back(self, points: Floats, before: Floats) -> NDArray[np.bool_]:
        """Whether points (m, d) are those from beside which they were sought, (m, d)."""
        radius = np.array([MERGED * self.domain.diagonal])
        pairs = zip(points[:, None], before, strict=True)
        return np.array([distances(*pair, radius, self.loss)[0] <= radius[0] for pair in pairs])

    def told(self, arrival: Arrival) -> tuple[Search, Floats]:
        """Outcomes, and the values of the points found."""
        found = self.distinct(arrival)
        return outcomes(arrival, self.index, found), arrival.values[found.rows]

    def minima(self, arrival: Arrival, n: int | None) -> Minima:
        """The lowest n of the points found. Raises SearchError where there is none; warns."""
        found = self.distinct(arrival)
        search = outcomes(arrival, self.index, found)
        kind = "minimum" if self.index == 0 else f"critical point of index {self.index}"
        if not len(found.rows):
            raise SearchError(
                f"a search needs a start that arrives at a {kind}, none did: {search}"
                f"{_reason(arrival)}: give another box, or more starts"
            )
        if self.domain.walls is not None:
            low, high = (tuple(corner.tolist()) for corner in self.domain.corners)
            search = replace(search, box=(low, high))
        if self.index == 0:
            _warn(search)
        return Minima(arrival.points[torch.as_tensor(found.rows[:n])], self.loss, search)


def _warn(search: Search) -> None:
    """Tell what is likely to be missing."""
    if search.missing >= 1:
        warnings.warn(
            f"about {search.missing:.0f} minima or more are likely to be missing: of "
            f"{search.found} found, {search.once} were met by one of {search.starts} starts only: "
            'give more starts, or method="basin hopping"',
            LossWarning,
            stacklevel=4,
        )
    if search.left_out is not None and search.left_out.lowest:
        warnings.warn(
            f"a start ended lower than all minima found: {search.left_out}: add that point by "
            "Minima(points, loss) where it is a cusp or degenerate, give gradient_tolerance where "
            "gradients are noisy, or a box where the loss falls for ever",
            LossWarning,
            stacklevel=4,
        )


def _reason(arrival: Arrival) -> str:
    """What may have kept all starts from arriving."""
    flat, failed = arrival.converged & (arrival.morse < 0), ~arrival.converged
    if 2 * flat.sum() > len(flat):
        w = np.abs(arrival.eigenvalues[flat])
        zeros = np.median((w <= 1e-6 * np.nanmax(w, axis=1, keepdims=True)).sum(axis=1))
        if 0 < zeros < w.shape[1]:
            return (
                f"; at most of the degenerate ones {zeros:.0f} of {w.shape[1]} eigenvalues are 0: "
                "declare motions under which the loss is invariant, as by invariant(loss, "
                "RigidMotions())"
            )
    if failed.any() and np.isfinite(arrival.gradient_norms[failed]).any():
        norm = float(np.nanmin(arrival.gradient_norms[failed]))
        return f"; the smallest gradient of a failure is {norm:.2g}, see gradient_tolerance"
    return ""
