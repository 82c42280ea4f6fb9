"""Minima of a smooth function, from many starts at once.

Each start descends by Newton's method with the Hessian's eigenvalues replaced by their absolute
values (Dauphin et al. 2014, saddle-free Newton) and a backtracking line search (Armijo; Nocedal &
Wright 2006, 3.1). Hessians are dense, one for each start: meant for functions of few variables, not
for networks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree
from torch import Tensor

from reduction import OptionError
from simplicial.errors import SearchError
from simplicial.loss import Loss, derivatives
from simplicial.minima import Minima, Search
from simplicial.options import whole

CONVERGED = 1e-9  # Newton step over the box's diagonal at which a start has arrived
MERGED = 1e-5  # distance over the box's diagonal below which two arrivals are one point
DEGENERATE = 1e-7  # a Hessian eigenvalue below this share of the largest one there, or of the
# curvature that is typical of the starts, is none: the point is not Morse
ITERATIONS = 300


def find_minima(
    loss: Loss,
    n: int | None = None,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
) -> Minima:
    """Non-degenerate minima of a loss, found from uniform random starts in a box.

    n       keep at most n, the lowest; None: all. Fewer are returned if fewer are found
    dim     number of variables d; None: the loss's own `dim`
    box     (2, d) or (2,): lowest and highest coordinates of the starts; None: the loss's own
            `domain`, or [-5, 5] in each coordinate. Minima outside it count if a start runs there
    starts  None: 100 d, and at least 20 n
    seed    non-negative
    returns Minima, sorted by value, ties by coordinates; `.search` counts what became of the
    starts:
            duplicates merged, saddles, degenerate points and failures left out
    Raises OptionError for arguments out of range, LossError for a loss that breaks its contract,
    SearchError when no start arrives at a minimum. The search is made in float64 on the CPU.
    """
    corners = _corners(loss, dim, box)
    n = None if n is None else whole("n", n, 1)
    seed = whole("seed", seed, 0)
    count = (
        max(100 * corners.shape[1], 20 * (n or 0)) if starts is None else whole("starts", starts, 1)
    )
    begin = np.random.default_rng(seed).uniform(*corners, size=(count, corners.shape[1]))
    diagonal = float(np.linalg.norm(corners[1] - corners[0]))
    reach = float(np.abs(corners).max()) + 1e3 * diagonal
    arrival = _descend(loss, torch.as_tensor(begin), diagonal, reach)
    smallest, largest = arrival.curvature[:, 0], np.abs(arrival.curvature).max(axis=1)
    flat = np.abs(arrival.curvature).min(axis=1) <= DEGENERATE * np.maximum(
        largest, arrival.typical
    )
    is_minimum = arrival.converged & ~flat & (smallest > 0)
    kept = _merge(arrival.points, arrival.values, is_minimum, MERGED * diagonal)
    search = Search(
        starts=count,
        duplicates=int(is_minimum.sum()) - len(kept),
        saddles=int((arrival.converged & ~flat & (smallest <= 0)).sum()),
        degenerate=int((arrival.converged & flat).sum()),
        failures=int((~arrival.converged).sum()),
    )
    if not len(kept):
        raise SearchError(
            f"a search needs a start that arrives at a minimum, none did: {search}: give another "
            "box, or more starts"
        )
    return Minima(torch.as_tensor(arrival.points[kept[:n]]), loss, search)


@dataclass(frozen=True, slots=True, eq=False)
class _Arrival:
    """Where the starts ended: (s, d), (s,), Hessian eigenvalues (s, d) ascending, and (s,)."""

    points: NDArray[np.float64]
    values: NDArray[np.float64]
    curvature: NDArray[np.float64]
    converged: NDArray[np.bool_]
    typical: float


def _descend(loss: Loss, x: Tensor, diagonal: float, reach: float) -> _Arrival:
    value, arrived = torch.zeros(len(x), dtype=x.dtype), torch.zeros(len(x), dtype=torch.bool)
    curvature, typical = torch.zeros_like(x), None
    active = torch.arange(len(x))
    with torch.no_grad():  # the rounding of a loss is that of its largest terms, as at the start
        noise = 1e-14 * loss(x.clone()).abs().nan_to_num(posinf=0.0)
    for _ in range(ITERATIONS):
        here = x[active]
        f, g, hessian = (part.to(x) for part in derivatives(loss, here))
        finite = f.isfinite() & g.isfinite().all(1) & hessian.isfinite().flatten(1).all(1)
        finite &= (here.abs() < reach).all(1)
        active, here, f, g = active[finite], here[finite], f[finite], g[finite]
        eigenvalues, axes = torch.linalg.eigh(hessian[finite])
        step = _saddle_free_step(eigenvalues, axes, g, diagonal)
        value[active], curvature[active] = f, eigenvalues
        if typical is None and len(active):
            typical = float(eigenvalues.abs().amax(dim=1).median())
        arrived[active] = step.norm(dim=1) <= CONVERGED * diagonal
        going = ~arrived[active]
        if not going.any():
            break
        active = active[going]
        x[active], moved = _line_search(
            loss, here[going], f[going] + noise[active], g[going], step[going]
        )
        active = active[moved]
    arrays = (x.numpy(), value.numpy(), curvature.numpy(), arrived.numpy())
    return _Arrival(*arrays, typical or 0.0)


def _saddle_free_step(eigenvalues: Tensor, axes: Tensor, g: Tensor, diagonal: float) -> Tensor:
    """-|H|^-1 g, no longer than a tenth of the box."""
    size = eigenvalues.abs()
    size = size.clamp(min=1e-12 * float(size.max()) + 1e-300)
    along = torch.einsum("sij,si->sj", axes, g) / size
    step = -torch.einsum("sij,sj->si", axes, along)
    return step * (0.1 * diagonal / step.norm(dim=1, keepdim=True)).clamp(max=1.0)


def _line_search(
    loss: Loss, x: Tensor, f: Tensor, g: Tensor, step: Tensor
) -> tuple[Tensor, Tensor]:
    """The first of x + step, x + step / 2, ... that lowers f enough, and where one does.

    f includes the loss's rounding noise: close to a minimum its values no longer tell points apart.
    """
    slope = (g * step).sum(dim=1)
    result, found, share = x.clone(), torch.zeros(len(x), dtype=torch.bool), 1.0
    for _ in range(40):
        with torch.no_grad():
            lower = ~found & (loss(x + share * step) <= f + 1e-4 * share * slope)
        result[lower] = x[lower] + share * step[lower]
        found |= lower
        if found.all():
            break
        share /= 2
    return result, found


def _merge(
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    radius: float,
) -> NDArray[np.int64]:
    """One of each cluster of chosen points, as positions, by value and then by coordinates."""
    index = np.flatnonzero(chosen)
    if not index.size:
        return index
    pairs = KDTree(points[index]).query_pairs(radius, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(index.size, index.size))
    first = np.unique(connected_components(links, directed=False)[1], return_index=True)[1]
    index = index[first]
    digits = 1e-9 * max(1.0, float(np.ptp(values[index])))
    keys = [*np.round(points[index] / radius).T[::-1], np.round(values[index] / digits)]
    return index[np.lexsort(keys)]


def _corners(loss: Any, dim: int | None, box: ArrayLike | None) -> NDArray[np.float64]:
    dim = getattr(loss, "dim", None) if dim is None else dim
    if dim is None:
        raise OptionError(
            "a search needs the number of variables, which this loss does not tell: give dim=d"
        )
    dim = whole("dim", dim, 1)
    given = getattr(loss, "domain", (-5.0, 5.0)) if box is None else box
    corners = np.asarray(given, dtype=np.float64)
    if corners.shape == (2,):
        corners = np.repeat(corners[:, None], dim, axis=1)
    finite = corners.shape == (2, dim) and np.isfinite(corners).all()
    if not (finite and (corners[0] < corners[1]).all()):
        raise OptionError(
            f"a box must be (2, {dim}) or (2,), finite, lowest coordinates before highest, got "
            f"{given}: give (low, high)"
        )
    return corners
