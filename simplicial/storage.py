"""The file of a complex: a NumPy archive (npz) of its geometry and of what Algorithm 2 saw on it.

The loss is no part of it: it is code and data. Whoever reads a complex brings the loss, and the
values at the vertices tell whether it is the same one.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError
from reduction.storage import check_tag, refusing
from simplicial.errors import LossError
from simplicial.layout import lay_out
from simplicial.loss import Evaluation, Loss, evaluate
from simplicial.maps import Barycentric, Edgewise, SimplexMap
from simplicial.maximum import Interior
from simplicial.minima import Minima
from simplicial.optimise import Simplices
from simplicial.sampling import interior_lattice

FORMAT = "loss-barcodes loss complex"
VERSION = 1
AGREE = 1e-4  # relative: what another device or number of threads may change in a loss


class Parts(NamedTuple):
    """The parts of a `LossComplex`, in the order of its fields."""

    minima: Minima
    simplex_map: SimplexMap
    resolution: int
    simplices: tuple[Simplices, ...]
    pool: Tensor
    interiors: tuple[Interior, ...]


def write_complex(path: str | Path, parts: Parts) -> None:
    """Write the parts of a complex but for its loss; overwrites."""
    arrays: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "segments": _segments(parts.simplex_map),
        "resolution": parts.resolution,
        "max_dim": len(parts.interiors),
        "values": parts.minima.values,
        "pool": parts.pool.cpu().numpy(),
    }
    for r, interior in enumerate(parts.interiors, start=1):
        arrays |= {f"largest_{r}": interior.largest, f"place_{r}": interior.place}
        if interior.samples is not None:
            arrays[f"loss_{r}"] = interior.samples.loss
            if interior.samples.accuracy is not None:
                arrays[f"accuracy_{r}"] = interior.samples.accuracy
    with Path(path).open("wb") as file:  # given a name, savez would add an ending to it
        np.savez(file, **arrays)


def read_complex(path: str | Path, loss: Loss, device: torch.device | str) -> Parts:
    """The parts of a complex, on a device, with the loss that it was built for.

    Raises DataError for a file that is no complex, LossError for another loss, OSError where is no
    file.
    """
    content = Path(path).read_bytes()
    with (
        refusing(path, "loss complex", VERSION),
        np.load(BytesIO(content), allow_pickle=False) as archive,
    ):
        check_tag(archive["format"].item(), archive["version"].item(), FORMAT, VERSION)
        segments, resolution = archive["segments"].item(), archive["resolution"].item()
        simplex_map = Edgewise(segments) if segments else Barycentric()
        max_dim = archive["max_dim"].item()
        values = _floats(archive, "values", (len(archive["values"]),))
        layout = lay_out(len(values), max_dim, simplex_map)
        pool = torch.as_tensor(archive["pool"], device=device)
        if pool.ndim != 2 or len(pool) != layout.starts[-1]:
            raise DataError(f"it has {len(pool)} control points for {layout.starts[-1]}")
        interiors = tuple(
            _interior(archive, r, layout.simplices[r], resolution) for r in range(1, max_dim + 1)
        )
    points = pool[: len(values)]
    now = evaluate(loss, points)
    if not np.allclose(now.loss, values, rtol=AGREE, atol=AGREE * float(np.ptp(values))):
        worst = int(np.argmax(np.abs(now.loss - values)))
        raise LossError(
            f"a complex must be read with the loss that it was built for, at vertex {worst} it was "
            f"{values[worst]:.6g} and is {now.loss[worst]:.6g}: use the same model and data"
        )
    minima = Minima(points, loss, seen=Evaluation(values, now.accuracy))
    return Parts(minima, simplex_map, resolution, layout.simplices, pool, interiors)


def _segments(simplex_map: SimplexMap) -> int:
    """Segments of an edgewise map, 0 for the barycentric one."""
    if isinstance(simplex_map, Edgewise):
        return simplex_map.segments
    if isinstance(simplex_map, Barycentric):
        return 0
    raise DataError(
        f"a file names its map, Barycentric or Edgewise, got {type(simplex_map).__name__}: keep "
        "the code of another map, and build the complex anew"
    )


def _interior(archive: Any, r: int, simplices: Simplices, resolution: int) -> Interior:
    m, points = len(simplices.vertices), len(interior_lattice(r, resolution))
    largest = _floats(archive, f"largest_{r}", (m,))
    place = _floats(archive, f"place_{r}", (m, r + 1))
    if f"loss_{r}" not in archive:
        return Interior(largest, place, None)
    scored = f"accuracy_{r}" in archive
    accuracy = _floats(archive, f"accuracy_{r}", (m, points)) if scored else None
    return Interior(
        largest, place, Evaluation(_floats(archive, f"loss_{r}", (m, points)), accuracy)
    )


def _floats(archive: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = archive[name]
    if array.dtype != np.float64 or array.shape != shape or not np.isfinite(array).all():
        raise DataError(f"its {name} is {array.dtype} of shape {array.shape}, not {shape} finite")
    return array
