"""The loss on the affine plane through three points of parameter space, beyond their triangle too.

The axes are those of Garipov et al. 2018 (appendix A.1): u from the first point to the second, v
the part of the way to the third that is orthogonal to it, both of length 1; so distances in the
plane are those of parameter space. Li et al. 2018 (section 7) project trajectories onto such
planes, as `PlaneSamples.project` does with any points.
"""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from reduction.files import write
from reduction.reprs import span
from reduction.validation import as_integer, is_number, short_repr
from simplicial.errors import NotFiniteError
from simplicial.evaluation import check_callable, evaluate
from simplicial.loss import Evaluation, Loss
from simplicial.options import MEMORY, byte_count

Floats = NDArray[np.float64]
FLAT = 1e-6  # height over length of a triangle, below which its points lie on a line


@dataclass(frozen=True, slots=True, eq=False)
class PlaneSamples:
    """The loss, and accuracy where it has one, on a grid of the plane through three points.

    origin    (d,) the first point
    axes      (2, d) orthonormal, the directions of u and v
    corners   (3, 2) float64, coordinates (u, v) of the three points
    u         (p,) float64, ascending with equal steps, as v; in units of parameter space
    v         (q,) float64
    loss      (q, p) float64; nan where the loss is not finite
    accuracy  (q, p) float64, or None for a loss that has none; nan where the loss is
    Raises ShapeError for values of another shape.
    """

    origin: Tensor
    axes: Tensor
    corners: Floats
    u: Floats
    v: Floats
    loss: Floats
    accuracy: Floats | None

    def __post_init__(self) -> None:
        shape = (len(self.v), len(self.u))
        for name in ("loss", "accuracy"):
            values: Any = getattr(self, name)
            is_left_out = values is None and name == "accuracy"
            if not is_left_out and getattr(values, "shape", None) != shape:
                raise ShapeError(
                    f"a plane has a {name} at each of {shape} points, got {short_repr(values)}: "
                    "take those of sample_plane"
                )

    def __repr__(self) -> str:
        shown = f"grid={self.loss.shape}, dim={len(self.origin)}, loss={span(self.loss)}"
        if self.accuracy is not None:
            shown += f", accuracy={span(self.accuracy)}"
        return f"PlaneSamples({shown})"

    def points(self, coordinates: Floats) -> Tensor:
        """Points of parameter space (n, d) at coordinates (n, 2). Raises ShapeError for others."""
        if np.ndim(coordinates) != 2 or np.shape(coordinates)[1] != 2:
            raise ShapeError(
                f"coordinates in a plane have shape (n, 2), got {short_repr(coordinates)}: give "
                "rows (u, v)"
            )
        return self.origin + torch.as_tensor(coordinates).to(self.axes) @ self.axes

    def project(self, points: Tensor) -> Floats:
        """Coordinates (n, 2) of the points of the plane nearest to points (n, d).

        Raises ShapeError for points of another dimension.
        """
        d = len(self.origin)
        if not isinstance(points, Tensor) or points.ndim != 2 or points.shape[1] != d:
            raise ShapeError(
                f"points of this plane's space are a tensor (n, {d}), got {short_repr(points)}: "
                "give rows of parameters"
            )
        return ((points.to(self.axes) - self.origin) @ self.axes.T).double().cpu().numpy()

    def save_csv(self, path: str | Path) -> None:
        """Write a row for each point of the grid: u, v, loss, accuracy if there is one; overwrites.

        Raises OptionError for what is no path, OSError where it cannot be written.
        """
        columns = {"u": np.tile(self.u, len(self.v)), "v": np.repeat(self.v, len(self.u))}
        columns |= {name: values.ravel() for name, values in self._quantities().items()}
        text, table = StringIO(), np.stack(list(columns.values()), axis=1)
        np.savetxt(text, table, "%.17g", ",", header=",".join(columns), comments="")
        write(path, text.getvalue().encode())

    def save_vtk(self, path: str | Path) -> None:
        """Write the grid as a legacy VTK file of structured points, which ParaView reads;
        overwrites.

        Raises OptionError for what is no path, OSError where it cannot be written. Source: VTK File
        Formats, simple legacy formats, version 3.0, ASCII.
        """
        spacing = (self.u[1] - self.u[0], self.v[1] - self.v[0])
        lines = [
            "# vtk DataFile Version 3.0",
            "loss on a plane of parameter space",
            "ASCII",
            "DATASET STRUCTURED_POINTS",
            f"DIMENSIONS {len(self.u)} {len(self.v)} 1",
            f"ORIGIN {self.u[0]:.17g} {self.v[0]:.17g} 0",
            f"SPACING {spacing[0]:.17g} {spacing[1]:.17g} 1",
            f"POINT_DATA {self.loss.size}",
        ]
        for name, values in self._quantities().items():
            lines += [f"SCALARS {name} double 1", "LOOKUP_TABLE default"]
            lines += [" ".join(f"{value:.17g}" for value in row) for row in values]
        write(path, ("\n".join(lines) + "\n").encode())

    def _quantities(self) -> dict[str, Floats]:
        loss = {"loss": self.loss}
        return loss if self.accuracy is None else loss | {"accuracy": self.accuracy}


def sample_plane(
    loss: Loss,
    points: Tensor,
    *,
    margin: float = 0.25,
    resolution: int = 40,
    memory: int | str = MEMORY,
) -> PlaneSamples:
    """Evaluate a loss on a rectangle of the plane through three points, their triangle inside.

    points      (3, d), such as minima.points[[0, 1, 2]]; none on the line through the others
    margin      of the rectangle around the triangle, as a share of its longer side
    resolution  steps of the grid along that side, 2 or more; along the other about as long
    memory      bytes, or "4GB", for a batch of points
    Raises ShapeError for what are no three such points, OptionError for numbers out of range,
    LossError where the loss breaks its contract.
    """
    check_callable(loss)
    origin, axes, corners = _frame(points)
    if not (is_number(margin) and 0 <= margin < np.inf):
        raise OptionError(
            f"margin must be a share of the triangle's size, 0 or more, got {short_repr(margin)}: "
            "change margin"
        )
    steps, memory = as_integer("resolution", resolution, 2), byte_count(memory)
    low, high = corners.min(axis=0), corners.max(axis=0)
    longest = float((high - low).max())
    low, high = low - margin * longest, high + margin * longest
    counts = np.maximum(2, np.rint(steps * (high - low) / (high - low).max()).astype(int)) + 1
    u, v = (np.linspace(a, b, k) for a, b, k in zip(low, high, counts.tolist(), strict=True))
    rows = []
    for height in v:
        grid = np.stack([u, np.full(len(u), height)], axis=1)
        rows.append(_where_finite(loss, origin + torch.as_tensor(grid).to(axes) @ axes, memory))
    found = [row.accuracy for row in rows if row.accuracy is not None]
    accuracy = np.stack(found) if len(found) == len(rows) else None
    return PlaneSamples(origin, axes, corners, u, v, np.stack([r.loss for r in rows]), accuracy)


def _where_finite(loss: Loss, points: Tensor, memory: int) -> Evaluation:
    """The loss at points (p, d), nan where it is not finite."""
    try:
        return evaluate(loss, points, memory)
    except NotFiniteError:
        if len(points) == 1:
            return Evaluation(np.full(1, np.nan), None)
    parts = [_where_finite(loss, point[None], memory) for point in points]
    scores = [part.accuracy for part in parts]
    unknown, has_scores = np.full(1, np.nan), any(score is not None for score in scores)
    return Evaluation(
        np.concatenate([part.loss for part in parts]),
        np.concatenate([unknown if s is None else s for s in scores]) if has_scores else None,
    )


def _frame(points: Any) -> tuple[Tensor, Tensor, Floats]:
    """Origin (d,), axes (2, d) and coordinates (3, 2) of three points. Raises ShapeError."""
    if not isinstance(points, Tensor) or points.ndim != 2 or len(points) != 3:
        raise ShapeError(
            f"a plane goes through three points, a tensor (3, d), got {short_repr(points)}: pass "
            "minima.points[[0, 1, 2]], say"
        )
    if not (points.is_floating_point() and points.isfinite().all()):
        raise ShapeError("points of a plane must be finite floating numbers: leave others out")
    points = points.detach()
    first, second = (points[1:] - points[0]).double()
    width = first.norm()
    u = first / width
    upright = second - (second @ u) * u
    upright -= (upright @ u) * u  # once more, for what rounding left
    height = upright.norm()
    if not height > FLAT * torch.maximum(width, second.norm()):
        raise ShapeError(
            f"a plane goes through three points that lie on no line, these have a triangle of "
            f"height {height:.3g} over {width:.3g}: choose others"
        )
    axes = torch.stack([u, upright / height])
    corners = torch.stack([torch.zeros_like(first), first, second]) @ axes.T
    return points[0], axes.to(points), corners.cpu().numpy()
