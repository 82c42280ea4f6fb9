"""The file of a complex: a NumPy archive (npz) of its geometry and of what was seen on it.

The loss is no part of it: it is code and data. Whoever reads a complex brings the loss, and the
values at the vertices tell whether it is the same one.
"""

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
from reduction.validation import as_integer, as_path
from simplicial.critical_points.certificates import Certificates
from simplicial.errors import LossError
from simplicial.evaluation import evaluate
from simplicial.loss import Evaluation, Loss, check_callable
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Simplices, control_point_count, lay_out
from simplicial.maps.edgewise import Edgewise
from simplicial.maps.interpolation import interpolate
from simplicial.maxima.maxima import Interior, Maxima
from simplicial.minima import Minima
from simplicial.options import usable_device

FORMAT = "loss-barcodes loss complex"
VERSION = 2
BARYCENTRIC = 1e-9  # rounding of the sum of barycentric coordinates
AGREE = 1e-4  # relative: what another device or number of threads may change in a loss


class Parts(NamedTuple):
    """The parts of a `LossComplex`, in the order of its fields."""

    minima: Minima
    simplex_map: SimplexMap
    resolution: int
    simplices: tuple[Simplices, ...]
    control_points: Tensor
    interiors: tuple[Interior, ...]
    certificates: tuple[Certificates, ...] | None


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
        }
        if interior.samples is not None:
            arrays[f"loss_{r}"] = interior.samples.loss
            if interior.samples.accuracy is not None:
                arrays[f"accuracy_{r}"] = interior.samples.accuracy
    for r, found in enumerate(parts.certificates or ()):
        arrays |= {f"certificate_{f.name}_{r}": getattr(found, f.name) for f in fields(found)}
    write_arrays(path, arrays)


def read_complex(path: str | Path, loss: Loss, device: torch.device | str) -> Parts:
    """The parts of a complex, on a device, with the loss that it was built for.

    Raises DataError for a file that is no complex, LossError for another loss, OSError where is no
    file.
    """
    check_callable(loss)
    device = usable_device(device)
    content = as_path(path).read_bytes()
    with (
        refusing(path, "loss complex", VERSION),
        np.load(BytesIO(content), allow_pickle=False) as archive,
    ):
        check_tag(archive["format"].item(), archive["version"].item(), FORMAT, VERSION)
        segments = archive["segments"].item()
        max_dim = as_integer("max_dim", archive["max_dim"].item(), 1)
        if max_dim > len(archive.files):  # or names alone would fill the memory
            raise DataError(f"it has not the arrays of dimension {max_dim}")
        check_arrays(archive, _names(archive, max_dim))
        simplex_map = Edgewise(segments) if segments else Barycentric()
        resolution = as_integer("resolution", archive["resolution"].item(), max_dim + 1)
        values = _floats(archive, "values", (len(archive["values"]),))
        n = len(values)
        pool = torch.as_tensor(archive["pool"], device=device)
        rows = control_point_count(simplex_map, n, max_dim)
        if max_dim >= n or pool.ndim != 2 or len(pool) != rows or not pool.isfinite().all():
            raise DataError(
                f"its pool has shape {tuple(pool.shape)}, {n} vertices in dimension {max_dim} have "
                f"{rows} finite control points"
            )
        interiors = tuple(
            _interior(archive, r, comb(n, r + 1), resolution) for r in range(1, max_dim + 1)
        )
        certificates = _all_certificates(archive, n, max_dim, pool.shape[1])
        # only now: numbers that a file does not bear out would lay out more than memory holds
        layout = lay_out(n, max_dim, simplex_map)
    points = pool[: len(values)]
    try:
        now = evaluate(loss, points)
    except ShapeError as error:
        raise LossError(
            f"a complex must be read with the loss that it was built for, that of {path} takes "
            f"{points.shape[1]} coordinates, but {error}"
        ) from error
    _check_same_loss(now.loss, values, f"the vertices of {path}")
    for simplices, interior in zip(layout.simplices[1:], interiors, strict=True):
        finite = np.isfinite(interior.maxima.values)
        if not finite.any():
            continue
        top = int(np.argmax(np.where(finite, interior.maxima.values, -np.inf)))
        controls = pool[torch.as_tensor(simplices.controls[top])]
        place = interpolate(controls, simplex_map, interior.maxima.barycentric[top : top + 1])
        seen = evaluate(loss, place).loss
        _check_same_loss(
            seen,
            interior.maxima.values[top : top + 1],
            f"the highest maximum of a dimension in {path}",
        )
    for found in certificates or ():
        if len(found.values):
            top = int(np.argmax(found.values))
            seen = evaluate(loss, torch.tensor(found.points[top : top + 1]).to(points)).loss
            _check_same_loss(
                seen,
                found.values[top : top + 1],
                f"the highest critical point of a dimension in {path}",
            )
    minima = Minima(points, loss, seen=Evaluation(values, now.accuracy))
    return Parts(minima, simplex_map, resolution, layout.simplices, pool, interiors, certificates)


def _names(archive: Any, max_dim: int) -> set[str]:
    """What an archive must hold; values on lattices and certificates may be left out, each whole.

    What is there beside a checksum tells; `check_arrays` tells whether it is as it was written.
    """
    names = {"format", "version", "segments", "resolution", "max_dim", "values", "pool"}
    names |= {"evaluations"}
    dims = range(1, max_dim + 1)
    names |= {f"{part}_{r}" for part in ("largest", "place") for r in dims}
    optional = {f"{part}_{r}" for part in ("loss", "accuracy") for r in dims}
    optional |= {name for name in archive if name.startswith("certificate_")}  # looked at later
    return names | (optional & set(archive))


def _check_same_loss(now: NDArray[np.float64], then: NDArray[np.float64], where: str) -> None:
    if np.allclose(now, then, rtol=AGREE, atol=AGREE * float(np.ptp(then))):
        return
    worst = int(np.argmax(np.abs(now - then)))
    raise LossError(
        "a complex must be read with the loss that it was built for, at "
        f"{where} it was {then[worst]:.6g} and is {now[worst]:.6g}: use the same model and data"
    )


def _segments(simplex_map: SimplexMap) -> int:
    """Segments of an edgewise map, 0 for the barycentric one."""
    if type(simplex_map) is Edgewise:  # a subclass may place its control points elsewhere
        return simplex_map.segments
    if type(simplex_map) is Barycentric:
        return 0
    raise DataError(
        f"a file names its map, Barycentric or Edgewise, got {type(simplex_map).__name__}: keep "
        "the code of another map, and build the complex anew"
    )


def _interior(archive: Any, r: int, m: int, resolution: int) -> Interior:
    """What was seen inside the m simplices of dimension r."""
    points = comb(resolution - 1, r)  # of the lattice, inside
    largest = _floats(archive, f"largest_{r}", (m,), endless=True)
    place = _floats(archive, f"place_{r}", (m, r + 1))
    if (place < 0).any() or (np.abs(place.sum(axis=1) - 1) > BARYCENTRIC).any():
        raise DataError(f"its place_{r} has rows that are negative, or have not the sum 1")
    evaluations = as_integer("evaluations", archive["evaluations"][r - 1].item(), 0)
    if f"loss_{r}" not in archive:
        return Interior(Maxima(largest, place), None, evaluations)
    scored = f"accuracy_{r}" in archive
    accuracy = _floats(archive, f"accuracy_{r}", (m, points)) if scored else None
    seen = _floats(archive, f"loss_{r}", (m, points), endless=True)
    if (np.isinf(seen) != np.isinf(largest)[:, None]).any():
        raise DataError(f"its loss_{r} is infinite elsewhere than its largest_{r}")
    if (seen.max(axis=1) > largest).any():
        raise DataError(f"its loss_{r} exceeds the maxima in its largest_{r}")
    return Interior(Maxima(largest, place), Evaluation(seen, accuracy), evaluations)


def _all_certificates(
    archive: Any, n: int, max_dim: int, dim: int
) -> tuple[Certificates, ...] | None:
    """The certificates of every dimension, or None; those of a vertex are never left out."""
    given = {name for name in archive if name.startswith("certificate_")}
    if not given:
        return None
    dims = range(max_dim + 1)
    missing = {f"certificate_{f.name}_{r}" for f in fields(Certificates) for r in dims} ^ given
    if missing:
        raise DataError(f"its certificates are not those of dimensions 0..{max_dim}: {missing}")
    certificates = tuple(_certificates(archive, r, comb(n, r + 1), dim) for r in dims)
    if len(certificates[0].simplices) != n:
        raise DataError(f"it has certificates of {len(certificates[0].simplices)} of {n} vertices")
    widths = {found.eigenvalues.shape[1] for found in certificates}
    if len(widths) > 1:
        raise DataError(f"its certificates list {sorted(widths)} eigenvalues, not all as many")
    return certificates


def _certificates(archive: Any, r: int, m: int, dim: int) -> Certificates:
    """Of some of the m simplices of dimension r, in `dim` variables; checked as ends of bars."""
    parts = {f.name: archive[f"certificate_{f.name}_{r}"] for f in fields(Certificates)}
    k, wide = len(parts["simplices"]), parts["eigenvalues"].shape[-1]
    shapes = {"points": (k, dim), "eigenvalues": (k, wide)}
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


def _floats(
    archive: Any, name: str, shape: tuple[int, ...], *, endless: bool = False
) -> NDArray[np.float64]:
    """An array of finite numbers, or of numbers that may be +inf."""
    array = archive[name]
    right = array.dtype == np.float64 and array.shape == shape
    if not right or not (np.isfinite(array) | (endless & (array == np.inf))).all():
        raise DataError(f"its {name} is {array.dtype} of shape {array.shape}, not {shape} finite")
    return array
