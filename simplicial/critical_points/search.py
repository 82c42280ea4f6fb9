"""Search for critical points of a smooth function, of any Morse index, from many starts at once.

All starts follow the Hessian's eigenvectors together (`eigenvector_following`); of those that end
at the same non-degenerate critical point of the wanted index one is kept. For functions of few
variables: Hessians are dense, one for each start.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from reduction import OptionError
from reduction.memory import require
from reduction.validation import as_integer, short_repr
from simplicial.critical_points.eigenvector_following import follow
from simplicial.critical_points.quadratic_model import DENSE
from simplicial.errors import SearchError
from simplicial.evaluation import check_callable
from simplicial.loss import BoundedLoss, Loss, ParametrizedLoss
from simplicial.minima import Minima, Search, check_minima

REACH = 0.1  # the longest step over the box's diagonal
MERGED = 1e-5  # distance over the box's diagonal below which two arrivals are one point
MARGIN = 0.5  # around the minima's box, of its longest edge, in which saddles are sought
ITERATIONS = 100  # a start that has not arrived by then runs to infinity, or in a circle


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

    n        keep at most n, the lowest; None: all. Fewer are returned if fewer are found
    dim      number of variables d; None: that of a `simplicial.loss.BoundedLoss`
    box      (2, d) or (2,): lowest and highest coordinates of the starts; None: the `domain` of a
             BoundedLoss, or [-5, 5] in each coordinate. Minima outside it count if a start runs
             there
    starts   None: 100 d, and at least 20 n
    seed     non-negative
    returns  Minima, sorted by value, ties by coordinates; `.search` counts the starts by outcome:
             duplicates merged, other critical points, degenerate ones and failures left out
    Raises OptionError for arguments out of range, CapacityError for more starts than fit into
    memory, LossError for a loss that breaks its contract, SearchError when no start arrives at a
    minimum. The search is made in float64 on the CPU.
    """
    return find_critical_points(loss, 0, n, dim=dim, box=box, starts=starts, seed=seed)


def find_critical_points(
    loss: Loss,
    index: int = 1,
    n: int | None = None,
    *,
    dim: int | None = None,
    box: ArrayLike | None = None,
    starts: int | None = None,
    seed: int = 0,
) -> Minima:
    """Non-degenerate critical points of a loss of one Morse index, as `find_minima` finds minima.

    index  number of negative eigenvalues of the Hessian: 0 minima, 1 saddles, ..., d maxima
    The other arguments, the result and the errors are those of `find_minima`. The share of starts
    that arrive falls as the index nears d, since a start beyond the outermost wells climbs to
    infinity: `.search` tells, and `starts` or a tighter box helps.
    """
    check_callable(loss)
    corners = _corners(loss, dim, box)
    d = corners.shape[1]
    index = _index(index, d)
    n = None if n is None else as_integer("n", n, 1)
    seed = as_integer("seed", seed, 0)
    count = max(100 * d, 20 * (n or 0)) if starts is None else as_integer("starts", starts, 1)
    require(8 * count * d, f"a search from {count} starts in {d} variables")
    begin = torch.as_tensor(np.random.default_rng(seed).uniform(*corners, size=(count, d)))
    diagonal = float(np.linalg.norm(corners[1] - corners[0]))
    arrival = follow(loss, begin, index, REACH * diagonal, ITERATIONS)
    points = arrival.points.numpy()
    degenerate = arrival.converged & (arrival.morse < 0)
    wanted = arrival.morse == index
    kept = _merge(points, arrival.values, wanted, MERGED * diagonal)
    search = Search(
        starts=count,
        duplicates=int(wanted.sum()) - len(kept),
        others=int((arrival.converged & ~degenerate & ~wanted).sum()),
        degenerate=int(degenerate.sum()),
        failures=int((~arrival.converged).sum()),
    )
    if not len(kept):
        kind = "minimum" if index == 0 else f"critical point of index {index}"
        raise SearchError(
            f"a search needs a start that arrives at a {kind}, none did: {search}: give another "
            "box, or more starts"
        )
    return Minima(torch.as_tensor(points[kept[:n]]), loss, search)


def with_saddles(minima: Minima, *, starts: int | None = None, seed: int = 0) -> Minima:
    """Minima, and the critical points of Morse index 1 of their loss as further vertices.

    Two minima joined over two saddles make a cycle that no complex on the minima alone can see.
    Saddles are sought in the `domain` of a BoundedLoss, or else in the box of the minima, enlarged
    on each side by half of its longest edge; around a single minimum, in a box of edge 1.
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
    if isinstance(minima.loss, BoundedLoss):
        box = minima.loss.domain
    else:
        points = minima.points.double().cpu().numpy()
        low, high = points.min(axis=0), points.max(axis=0)
        margin = MARGIN * (float((high - low).max()) or 1.0)
        box = np.stack([low - margin, high + margin])
    saddles = find_critical_points(minima.loss, 1, dim=d, box=box, starts=starts, seed=seed)
    return minima.joined(saddles)


def _index(index: int, d: int) -> int:
    index = as_integer("index", index, 0)
    if index > d:
        raise OptionError(
            f"a Morse index in {d} variables is at most {d}, got {index}: ask for 0 to {d}"
        )
    return index


def _merge(
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    radius: float,
) -> NDArray[np.int64]:
    """Rows of one of each cluster of chosen points, by value and then by coordinates."""
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
    if dim is None and isinstance(loss, BoundedLoss | ParametrizedLoss):
        dim = loss.dim
    if dim is None:
        raise OptionError(
            "a search needs the number of variables, which this loss does not tell: give dim=d"
        )
    dim = as_integer("dim", dim, 1)
    if dim > DENSE:
        raise OptionError(
            f"a search writes out Hessians, so it takes at most {DENSE} variables, got {dim}: "
            "follow single starts by simplicial.critical_points.eigenvector_following.follow"
        )
    own = loss.domain if isinstance(loss, BoundedLoss) else (-5.0, 5.0)
    given = own if box is None else box
    try:
        corners = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor that requires a gradient
        corners = np.empty(0)
    if corners.dtype.kind in "fiu" and corners.shape in ((2,), (2, dim)):
        columns = corners[:, None] if corners.ndim == 1 else corners
        corners = np.broadcast_to(columns.astype(np.float64), (2, dim))
    finite = corners.shape == (2, dim) and np.isfinite(corners).all()
    with np.errstate(over="ignore"):
        finite = finite and np.isfinite(corners[1] - corners[0]).all()
    if not (finite and (corners[0] < corners[1]).all()):
        raise OptionError(
            f"a box must be (2, {dim}) or (2,), finite, lowest coordinates before highest, got "
            f"{short_repr(given)}: give (low, high)"
        )
    return corners
