"""The inductive builder (section 4): vertices, then edges, then triangles, ... each from its
faces."""

from typing import Any, NoReturn

from torch import Tensor
from tqdm import tqdm

from reduction import DimensionError, OptionError
from simplicial.complex import LossComplex
from simplicial.layout import lay_out, straight
from simplicial.loss import MEMORY, points_at_once
from simplicial.maps import Barycentric, SimplexMap
from simplicial.maximum import Interior, sample_interiors
from simplicial.minima import Minima
from simplicial.optimise import Algorithm1, Optimizer, Simplices, Stage
from simplicial.options import whole
from simplicial.sampling import interior_lattice

PICTURED = 2  # highest dimension whose lattice values are kept: what a picture can show
KEPT_BYTES = 16  # loss and accuracy of a lattice point
_NAMES = {1: "edges", 2: "triangles", 3: "tetrahedra"}


def build_complex(
    minima: Minima,
    max_dim: int = 2,
    *,
    optimizer: Optimizer | None = None,
    simplex_map: SimplexMap | None = None,
    resolution: int = 12,
    seed: int = 0,
    memory: int = MEMORY,
    progress: bool = True,
) -> LossComplex:
    """Optimise all simplices on the minima up to dimension max_dim; filter by the loss's maxima.

    minima       n vertices; C(n, r+1) simplices of each dimension r are built
    max_dim      top dimension, 1 <= max_dim <= n - 1; indices 0 .. max_dim - 1 get a barcode
    optimizer    None: `Algorithm1()`, the paper's
    simplex_map  None: `Barycentric()`, the paper's (eqs. 5 and 6); or `Edgewise(segments)`
    resolution   Algorithm 2 looks at the points t with resolution * t integer; at least max_dim + 1
    seed         non-negative; same seed, same complex
    memory       bytes for a batch of points, and for the values that are kept for pictures
    progress     bars on stderr, for what takes over two seconds
    Raises DimensionError, OptionError for arguments out of range, LossError where the loss is not
    finite.
    Source: sections 3 and 4, Algorithms 1 and 2. Deviations: all simplices of a dimension are
    trained together, and all are evaluated when all are trained, since trainable sides move faces.
    """
    _check_parts(minima, optimizer, simplex_map)
    optimizer = Algorithm1() if optimizer is None else optimizer
    simplex_map = Barycentric() if simplex_map is None else simplex_map
    check_build(len(minima), max_dim, resolution, seed)
    layout = lay_out(len(minima), max_dim, simplex_map)
    pool = straight(minima.points, layout)
    at_once = points_at_once(minima.loss, pool, memory)
    for r in range(1, max_dim + 1):
        with _bar(f"{_name(r)}: training", optimizer.rounds(minima.loss), progress) as bar:
            inside, sides = layout.rows(r), slice(len(minima), layout.rows(r).start)
            stage = Stage(layout.simplices[r], inside, sides, seed, at_once, bar.update)
            optimizer.optimise(minima.loss, pool, stage)
    interiors = [
        _interior(minima, pool, simplices, resolution, memory, progress)
        for simplices in layout.simplices[1:]
    ]
    return LossComplex(minima, simplex_map, resolution, layout.simplices, pool, tuple(interiors))


def _interior(
    minima: Minima,
    pool: Tensor,
    simplices: Simplices,
    resolution: int,
    memory: int,
    progress: bool,
) -> Interior:
    r = simplices.dim
    count = len(simplices.vertices) * len(interior_lattice(r, resolution))
    with _bar(f"{_name(r)}: maxima", count, progress) as bar:
        return sample_interiors(
            minima.loss,
            pool,
            simplices,
            resolution=resolution,
            memory=memory,
            keep=r <= PICTURED and count * KEPT_BYTES <= memory,
            on_points=bar.update,
        )


def check_build(n: int, max_dim: int, resolution: int, seed: int) -> None:
    """Raise what `build_complex` would for these arguments and n minima, before any are trained."""
    whole("seed", seed, 0)
    whole("resolution", resolution, 1)
    if whole("max_dim", max_dim, 1) > n - 1:
        raise DimensionError(
            f"a simplex of dimension max_dim needs max_dim + 1 minima, got max_dim={max_dim} with "
            f"{n} minima: give {max_dim + 1} minima, or a lower max_dim"
        )
    if resolution <= max_dim:
        raise OptionError(
            f"a lattice needs resolution > max_dim to have points inside every simplex, got "
            f"resolution={resolution} with max_dim={max_dim}: raise resolution"
        )


def _check_parts(minima: Any, optimizer: Any, simplex_map: Any) -> None:
    for name, given, holds, cure in (
        ("minima", minima, isinstance(minima, Minima), "Minima(points, loss)"),
        ("optimizer", optimizer, hasattr(optimizer or Algorithm1(), "optimise"), "Algorithm1()"),
        (
            "simplex_map",
            simplex_map,
            hasattr(simplex_map or Barycentric(), "locate"),
            "Edgewise(8)",
        ),
    ):
        if not holds or isinstance(given, type):
            raise OptionError(f"{name} must be one, got {given!s:.60}: pass {cure}, say")


def _name(r: int) -> str:
    return _NAMES.get(r, f"{r}-simplices")


def _bar(title: str, total: int, progress: bool) -> "tqdm[NoReturn]":
    return tqdm(desc=title, total=total, delay=2, disable=not progress, leave=False)
