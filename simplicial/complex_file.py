"""The file of a complex: a NumPy archive (npz) of its geometry and of the losses on it.

The loss is no part of it: it is code and data. It is given again when a complex is read, and values
at vertices and at the highest points tell whether it is the same one.
"""

from collections.abc import Iterator
from dataclasses import fields
from io import BytesIO
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError, Ends, ShapeError
from reduction.files import check_arrays, check_tag, refusing, write_arrays
from reduction.filtrations.colex import complete_positions
from reduction.validation import as_integer
from simplicial.construction.spent import Spent
from simplicial.critical_points.certificates import Certificates
from simplicial.errors import LossError
from simplicial.evaluation import check_callable, evaluate
from simplicial.loss import Evaluation, Loss
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import (
    Simplices,
    complete_counts,
    control_point_count,
    lay_out,
)
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.minima import Minima
from simplicial.options import usable_device

FORMAT = "loss-barcodes loss complex"
VERSION = 5
READABLE = (2, 3, 4, VERSION)
"""5 may have the edges of a graph; 4 says what an anytime build has spent; 2 has no error bounds of
maxima: they may be too low by any amount."""
SPENT = ("gradients", "ended", "tolerance_of_bars")
EDGES = "edges"  # of the graph whose clique complex it is; a complete complex has none
LIMIT = "max_gradients"  # beside these, where there was one
BARYCENTRIC = 1e-9  # rounding of the sum of barycentric coordinates
SAME = 1e-4  # relative change of a loss on another device, or by another number of threads

Floats = NDArray[np.float64]


class Parts(NamedTuple):
    """The parts of a `LossComplex`, in the order of its fields."""

    minima: Minima
    simplex_map: SimplexMap
    resolution: int
    simplices: tuple[Simplices, ...]
    control_points: Tensor
    interiors: tuple[Interior, ...]
    certificates: tuple[Certificates, ...] | None
    spent: Spent | None


def write_complex(path: str | Path, parts: Parts) -> None:
    """Write the parts of a complex but for its loss; overwrites."""
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "segments": _segments(parts.simplex_map),
        "resolution": parts.resolution,
        "max_dim": len(parts.interiors),
        "values": parts.minima.values,
        "pool": parts.control_points.cpu().numpy(),
        "evaluations": [interior.evaluations for interior in parts.interiors],
    }
    for r, interior in enumerate(parts.interiors, start=1):
        arrays |= {
            f"largest_{r}": interior.maxima.values,
            f"place_{r}": interior.maxima.barycentric,
            f"error_bounds_{r}": interior.error_bounds,
            f"exhausted_{r}": interior.exhausted,
        }
        if interior.samples is not None:
            arrays[f"loss_{r}"] = interior.samples.loss
            if interior.samples.accuracy is not None:
                arrays[f"accuracy_{r}"] = interior.samples.accuracy
    for r, found in enumerate(parts.certificates or ()):
        arrays |= {f"certificate_{f.name}_{r}": getattr(found, f.name) for f in fields(found)}
    edges = parts.simplices[1].vertices
    if len(edges) < comb(len(parts.minima), 2):
        arrays[EDGES] = edges
    if parts.spent is not None:
        arrays |= {name: getattr(parts.spent, name) for name in SPENT}
        if parts.spent.max_gradients is not None:
            arrays[LIMIT] = parts.spent.max_gradients
        arrays |= {f"efforts_{r}": e for r, e in enumerate(parts.spent.efforts, start=1)}
    write_arrays(path, arrays)


def read_complex(path: str | Path, loss: Loss, device: torch.device | str) -> Parts:
    """The parts of a complex, on a device, with the loss that it was built for.

    Raises DataError for a file that is no complex, LossError for another loss, OSError where is no
    file.
    """
    check_callable(loss)
    values, geometry = read_geometry(path, usable_device(device))
    points = geometry.control_points[: len(values)]
    try:
        now = evaluate(loss, points)
    except ShapeError as error:
        raise LossError(
            f"a complex must be read with the loss that it was built for, that of {path} takes "
            f"{points.shape[1]} coordinates, but {error}"
        ) from error
    _check_same_loss(now.loss, values, f"the vertices of {path}")
    for highest, value, name in _highest_points(geometry):
        _check_same_loss(evaluate(loss, highest).loss, value, f"{name} of a dimension in {path}")
    minima = Minima(points, loss, seen=Evaluation(values, now.accuracy))
    return Parts(minima, *geometry)


class Geometry(NamedTuple):
    """The parts of a complex after its minima."""

    simplex_map: SimplexMap
    resolution: int
    simplices: tuple[Simplices, ...]
    control_points: Tensor
    interiors: tuple[Interior, ...]
    certificates: tuple[Certificates, ...] | None
    spent: Spent | None


def read_geometry(path: str | Path, device: torch.device) -> tuple[Floats, Geometry]:
    """Values at the vertices (n,) and the other parts of a complex, as stored: no loss is asked.

    Raises DataError for a file that is no complex, OSError where is no file.
    """
    with (
        refusing(path, "loss complex", VERSION) as content,
        np.load(BytesIO(content), allow_pickle=False) as archive,
    ):
        return _decode(archive, device)


def _decode(archive: Any, device: torch.device) -> tuple[Floats, Geometry]:
    """Values at the vertices (n,) and the other parts, checked. Raises anything: see `refusing`."""
    check_tag(archive["format"].item(), archive["version"].item(), FORMAT, *READABLE)
    segments = archive["segments"].item()
    max_dim = as_integer("max_dim", archive["max_dim"].item(), 1)
    if max_dim > len(archive.files):  # or names alone would fill the memory
        raise DataError(f"it has not the arrays of dimension {max_dim}")
    check_arrays(archive, _names(archive, max_dim))
    simplex_map = Edgewise(segments) if segments else Barycentric()
    resolution = as_integer("resolution", archive["resolution"].item(), max_dim + 1)
    values = _floats(archive, "values", (len(archive["values"]),))
    n = len(values)
    points = torch.as_tensor(archive["pool"], device=device)
    edges, counts = None, complete_counts(n, max_dim)
    if EDGES in archive:
        edges = _edges(archive, n)
        counts = [n, *(len(archive[f"largest_{r}"]) for r in range(1, max_dim + 1))]
    rows = control_point_count(simplex_map, counts)
    if max_dim >= n > 1 or points.ndim != 2 or len(points) != rows or not points.isfinite().all():
        raise DataError(
            f"its pool has shape {tuple(points.shape)}, {n} vertices in dimension {max_dim} have "
            f"{rows} finite control points"
        )
    interiors = tuple(_interior(archive, r, counts[r], resolution) for r in range(1, max_dim + 1))
    certificates = _all_certificates(archive, counts, points.shape[1])
    # only now: numbers that a file does not bear out would lay out more than memory holds
    simplices = lay_out(n, max_dim, simplex_map, edges).simplices
    found = [len(of.vertices) for of in simplices]
    if found != counts:
        raise DataError(f"its edges have {found} cliques by dimension, it has values of {counts}")
    spent = _spent(archive, counts)
    geometry = simplices, points, interiors, certificates, spent
    return values, Geometry(simplex_map, resolution, *geometry)


def _highest_points(geometry: Geometry) -> Iterator[tuple[Tensor, Floats, str]]:
    """The point (1, d) with the highest maximum of each dimension, and the highest critical point,
    the loss (1,) there, and a name.
    """
    simplex_map, _, simplices, control_points, interiors, certificates, _ = geometry
    for some, interior in zip(simplices[1:], interiors, strict=True):
        values, barycentric = interior.maxima.values, interior.maxima.barycentric
        if np.isfinite(values).any():
            top = int(np.argmax(np.where(np.isfinite(values), values, -np.inf)))
            controls = control_points[torch.as_tensor(some.controls[top])]
            point = interpolate(controls, simplex_map, barycentric[top : top + 1])
            yield point, values[top : top + 1], "the highest maximum"
    for found in certificates or ():
        if len(found.values):
            top = int(np.argmax(found.values))
            point = torch.tensor(found.points[top : top + 1]).to(control_points)
            yield point, found.values[top : top + 1], "the highest critical point"


def _names(archive: Any, max_dim: int) -> set[str]:
    """Names of the arrays of an archive; samples and certificates may be left out, each whole.

    Certificates are taken as they are, `_all_certificates` checks their names.
    """
    names = {"format", "version", "segments", "resolution", "max_dim", "values", "pool"}
    names |= {"evaluations"}
    dims = range(1, max_dim + 1)
    parts = ["largest", "place"]
    if archive["version"].item() != READABLE[0]:
        parts += ["error_bounds", "exhausted"]
    names |= {f"{part}_{r}" for part in parts for r in dims}
    optional = {f"{part}_{r}" for part in ("loss", "accuracy") for r in dims}
    optional |= {name for name in archive if name.startswith("certificate_")} | {EDGES}
    spent = {*SPENT, *(f"efforts_{r}" for r in dims)}  # whole, or not at all
    if spent & set(archive):
        names, optional = names | spent, optional | {LIMIT}
    return names | (optional & set(archive))


def _check_same_loss(now: Floats, then: Floats, where: str) -> None:
    if np.allclose(now, then, rtol=SAME, atol=SAME * float(np.ptp(then))):
        return
    worst = int(np.argmax(np.abs(now - then)))
    raise LossError(
        "a complex must be read with the loss that it was built for, at "
        f"{where} it was {then[worst]:.6g} and is {now[worst]:.6g}: use the same model and data"
    )


def _segments(simplex_map: SimplexMap) -> int:
    """Segments of an edgewise map, 0 for the barycentric one."""
    if type(simplex_map) is Edgewise:  # a subclass may have other control points
        return simplex_map.segments
    if type(simplex_map) is Barycentric:
        return 0
    raise DataError(
        f"a file names its map, Barycentric or Edgewise, got {type(simplex_map).__name__}: keep "
        "the code of another map, and build the complex anew"
    )


def _interior(archive: Any, r: int, m: int, resolution: int) -> Interior:
    """Evaluations inside the m simplices of dimension r."""
    points = comb(resolution - 1, r)  # of the lattice, inside
    largest = _floats(archive, f"largest_{r}", (m,), infinite=True)
    barycentric = _floats(archive, f"place_{r}", (m, r + 1))
    if (barycentric < 0).any() or (np.abs(barycentric.sum(axis=1) - 1) > BARYCENTRIC).any():
        raise DataError(f"its place_{r} has rows that are negative, or have not the sum 1")
    maxima = Maxima(largest, barycentric)
    evaluations = as_integer("evaluations", archive["evaluations"][r - 1].item(), 0)
    bounds = _bounds(archive, r, m)
    if f"loss_{r}" not in archive:
        return Interior(maxima, None, evaluations, *bounds)
    scored = f"accuracy_{r}" in archive
    accuracy = _floats(archive, f"accuracy_{r}", (m, points)) if scored else None
    losses = _floats(archive, f"loss_{r}", (m, points), infinite=True)
    if (np.isinf(losses) != np.isinf(largest)[:, None]).any():
        raise DataError(f"its loss_{r} is infinite elsewhere than its largest_{r}")
    if (losses.max(axis=1) > largest).any():
        raise DataError(f"its loss_{r} exceeds the maxima in its largest_{r}")
    return Interior(maxima, Evaluation(losses, accuracy), evaluations, *bounds)


def _bounds(archive: Any, r: int, m: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Error bounds of the maxima of m simplices of dimension r, and whether a budget ended them."""
    if f"error_bounds_{r}" not in archive:
        return np.full(m, np.inf), np.zeros(m, dtype=bool)
    error_bounds = _floats(archive, f"error_bounds_{r}", (m,), infinite=True)
    exhausted = archive[f"exhausted_{r}"]
    if exhausted.shape != (m,) or exhausted.dtype != np.bool_:
        raise DataError(f"its exhausted_{r} is {exhausted.dtype} of shape {exhausted.shape}")
    if (error_bounds < 0).any() or np.isinf(error_bounds[exhausted]).any():
        raise DataError(f"its error_bounds_{r} are negative, or infinite where a budget ended them")
    return error_bounds, exhausted


def _edges(archive: Any, n: int) -> NDArray[np.int64]:
    """The edges (m, 2) of a graph of n vertices, in colexicographic order, checked."""
    edges = archive[EDGES]
    if edges.dtype != np.int64 or edges.ndim != 2 or edges.shape[1] != 2:
        raise DataError(f"its edges are {edges.dtype} of shape {edges.shape}")
    inside = (edges >= 0).all() and (edges < n).all() and (edges[:, 0] < edges[:, 1]).all()
    if not (inside and (np.diff(complete_positions(edges)) > 0).all()):
        raise DataError(f"its edges are not those of a graph of {n} vertices, in order")
    return edges


def _spent(archive: Any, counts: list[int]) -> Spent | None:
    """What an anytime build spent, or None."""
    if SPENT[0] not in archive:
        return None
    max_dim = len(counts) - 1
    gradients = archive[SPENT[0]]
    if gradients.shape != (max_dim,) or gradients.dtype != np.int64:
        raise DataError(f"its gradients are {gradients.dtype} of shape {gradients.shape}")
    efforts = (_floats(archive, f"efforts_{r}", (m,)) for r, m in enumerate(counts) if r)
    ended, tolerance = (archive[name].item() for name in SPENT[1:])
    limit = as_integer(LIMIT, archive[LIMIT].item(), 0) if LIMIT in archive else None
    return Spent(tuple(gradients.tolist()), tuple(efforts), ended, float(tolerance), limit)


def _all_certificates(archive: Any, counts: list[int], dim: int) -> tuple[Certificates, ...] | None:
    """Certificates of every dimension, those of all vertices among them, or None."""
    given = {name for name in archive if name.startswith("certificate_")}
    if not given:
        return None
    n, dims = counts[0], range(len(counts))
    missing = {f"certificate_{f.name}_{r}" for f in fields(Certificates) for r in dims} ^ given
    if missing:
        raise DataError(
            f"its certificates are not those of dimensions 0..{len(counts) - 1}: {missing}"
        )
    certificates = tuple(_certificates(archive, r, counts[r], dim) for r in dims)
    if len(certificates[0].simplices) != n:
        raise DataError(f"it has certificates of {len(certificates[0].simplices)} of {n} vertices")
    widths = {found.eigenvalues.shape[1] for found in certificates}
    if len(widths) > 1:
        raise DataError(f"its certificates list {sorted(widths)} eigenvalues, not all as many")
    return certificates


def _certificates(archive: Any, r: int, m: int, dim: int) -> Certificates:
    """Certificates of some of the m simplices of dimension r, in `dim` variables, checked."""
    parts = {f.name: archive[f"certificate_{f.name}_{r}"] for f in fields(Certificates)}
    k, count = len(parts["simplices"]), parts["eigenvalues"].shape[-1]
    shapes = {"points": (k, dim), "eigenvalues": (k, count)}
    kinds = {"simplices": np.int64, "morse": np.int64, "accepted": np.bool_}
    for name, part in parts.items():
        if part.shape != shapes.get(name, (k,)) or part.dtype != kinds.get(name, np.float64):
            raise DataError(f"its certificate_{name}_{r} is {part.dtype} of shape {part.shape}")
    simplices = parts["simplices"]
    ascending = (np.diff(simplices) > 0).all()
    if not (ascending and (not k or 0 <= simplices[0] <= simplices[-1] < m)):
        raise DataError(f"its certificate_simplices_{r} are no ascending ranks below {m}")
    if not all(np.isfinite(parts[name]).all() for name in ("points", "values", "gradient_norms")):
        raise DataError(f"its certificates of dimension {r} are not finite")
    accepted, morse = parts["accepted"], parts["morse"]
    if (accepted & (morse < r)).any():
        raise DataError(f"its certificates of dimension {r} accept Morse indices below {r}")
    Ends(accepted, parts["points"], parts["gradient_norms"], parts["eigenvalues"], morse)
    return Certificates(**parts)


def _floats(archive: Any, name: str, shape: tuple[int, ...], *, infinite: bool = False) -> Floats:
    """An array of finite numbers, or of numbers that may be +inf."""
    array = archive[name]
    fits = array.dtype == np.float64 and array.shape == shape
    if not fits or not (np.isfinite(array) | (infinite & (array == np.inf))).all():
        raise DataError(f"its {name} is {array.dtype} of shape {array.shape}, not {shape} finite")
    return array
