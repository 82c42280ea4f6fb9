"""Results as records of a run folder, a record for each simplex, and back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import DataError
from reduction.json_values import null_if_infinite
from simplicial.construction.chunks import ChunkResult
from simplicial.construction.state import ConstructionState
from simplicial.evaluation import gradient_fits, values_and_gradients
from simplicial.loss import DifferentiatedLoss, Evaluation, ValueAndGradient
from simplicial.maxima.maxima import Maxima
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record, Records, write_json
from simplicial.vertex_checks import check_vertices

CHECKS = "vertex-checks.json"  # in a run folder
TOGETHER = "trained-together"  # records of control points, by the dimension that moved last
MENDED = "mended"  # records that say that a dimension was examined, by the dimension


def record_name(r: int, rung: int | None = None) -> str:
    """Name of the records of r-simplices in a run folder; in an anytime build one for each rung."""
    return f"simplices-{r}" if rung is None else f"simplices-{r}-rung-{rung}"


def mended_name(r: int) -> str:
    """Name of the records of r-simplices that were lowered once more, see `mending`."""
    return f"{record_name(r)}-mended"


def rung_names(records: Records, r: int) -> list[str]:
    """Names of the records of r-simplices of an anytime build that are there."""
    return sorted(path.name for path in records.folder.glob(f"{record_name(r)}-rung-*"))


def to_record(one: ChunkResult, vertices: NDArray[np.int64]) -> Record:
    """The record of a simplex; of a vertex, its point and the loss there."""
    samples = one.samples
    if len(vertices) == 1:
        assert samples is not None, "those of vertices are kept"
        accuracy = None if samples.accuracy is None else float(samples.accuracy[0, 0])
        values = {"number": int(vertices[0]), "loss": float(samples.loss[0, 0])}
        values |= {"accuracy": accuracy, "worsened": bool(one.worsened[0])}
        return Record({"points": one.points[0, 0]}, values)
    largest = one.maxima.values
    tensors = {
        "barycentric": _tensor(one.maxima.barycentric),
        "largest": _tensor(largest),
        "error_bounds": _tensor(one.error_bounds),
        "points": one.points.cpu(),
    }
    if one.at_points is not None:
        tensors["values"] = _tensor(one.at_points.values)
        tensors["gradients"] = one.at_points.gradients.cpu()
    if samples is not None:
        tensors["loss"] = _tensor(samples.loss)
        if samples.accuracy is not None:
            tensors["accuracy"] = _tensor(samples.accuracy)
    values = {
        "vertices": vertices.tolist(),
        "largest": null_if_infinite(float(largest[0])),
        "evaluations": int(one.evaluations[0]),
        "error_bound": null_if_infinite(float(one.error_bounds[0])),
        "exhausted": bool(one.exhausted[0]),
        "retried": bool(one.retried[0]),
        "worsened": bool(one.worsened[0]),
        "failed": one.failed[0],
    }
    return Record(tensors, values)


def store_checks(state: ConstructionState, folder: RunFolder) -> None:
    """Store the checks of the vertices, once.

    Where no gradients are wanted of the loss, for a `DifferentiatedLoss` only, since others may
    have none, and not where one does not fit into memory.
    """
    path = folder.folder / CHECKS
    if path.is_file():
        return
    memory, points = state.options.memory, state.control_points[: len(state.values[0])]
    if state.at_controls is not None:
        gradients = state.at_controls.gradients[: len(points)]
    elif isinstance(state.loss, DifferentiatedLoss) and gradient_fits(state.loss, memory):
        gradients = values_and_gradients(state.loss, points, memory).gradients
    else:
        return
    norms = np.array([float(gradient.double().norm()) for gradient in gradients])
    found = check_vertices(state.loss, points, norms, memory)._asdict()
    write_json(path, {k: [null_if_infinite(x) for x in v.tolist()] for k, v in found.items()})


def from_record(
    record: Record, state: ConstructionState, number: int, folder: RunFolder
) -> ChunkResult:
    """The simplex of a record. Raises DataError for one that is no simplex of this complex."""
    vertices, values = state.simplices.vertices, record.values
    if state.dim == 0:
        right = number < len(vertices) and values.get("number") == number
        kinds: dict[str, Any] = {"loss": float, "accuracy": float | None, "worsened": bool}
    else:
        right = number < len(vertices) and values.get("vertices") == vertices[number].tolist()
        flags = dict.fromkeys(("exhausted", "retried", "worsened"), bool)
        kinds = {"evaluations": int, "failed": str} | flags
    right = right and all(k in values and isinstance(values[k], kind) for k, kind in kinds.items())
    shapes = {name: tuple(tensor.shape) for name, tensor in record.tensors.items()}
    if not right or shapes != _shapes(state, record.tensors):
        raise DataError(
            f"records of {folder.folder} must be those of this complex, number {number} of "
            f"dimension {state.dim} is not: choose another folder"
        )
    if state.dim == 0:
        return _vertex(record)
    return _simplex(record, gradients=state.at_controls is not None)


def _shapes(state: ConstructionState, tensors: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in a record, of which values on the lattice may be left out."""
    r, d, vertices = state.dim, state.control_points.shape[1], state.simplices.vertices
    if r == 0:
        return {"points": (d,)}
    own = (state.layout.starts[r + 1] - state.layout.starts[r]) // len(vertices)
    shapes = {
        "points": (1, own, d),
        "barycentric": (1, r + 1),
        "largest": (1,),
        "error_bounds": (1,),
    }
    if state.at_controls is not None:
        shapes |= {"values": (1, own), "gradients": (1, own, d)}
    on_lattice = (1, state.lattice_size)
    return shapes | {name: on_lattice for name in ("loss", "accuracy") if name in tensors}


def _vertex(record: Record) -> ChunkResult:
    loss, score = record.values["loss"], record.values["accuracy"]
    samples = Evaluation(np.full((1, 1), loss), None if score is None else np.full((1, 1), score))
    return ChunkResult(
        points=record.tensors["points"][None, None],
        at_points=None,
        maxima=Maxima.of(samples.loss, np.ones((1, 1))),
        samples=samples,
        evaluations=np.ones(1, np.int64),
        error_bounds=np.full(1, np.inf),
        exhausted=np.zeros(1, np.bool_),
        retried=np.zeros(1, np.bool_),
        worsened=np.array([record.values["worsened"]]),
        failed=np.full(1, "", object),
    )


def _simplex(record: Record, *, gradients: bool) -> ChunkResult:
    tensors, values = record.tensors, record.values
    on_lattice, accuracy = tensors.get("loss"), tensors.get("accuracy")
    samples = at_points = None
    if on_lattice is not None:
        samples = Evaluation(on_lattice.numpy(), None if accuracy is None else accuracy.numpy())
    if gradients:
        at_points = ValueAndGradient(tensors["values"].numpy(), tensors["gradients"])
    return ChunkResult(
        points=tensors["points"],
        at_points=at_points,
        maxima=Maxima(tensors["largest"].numpy(), tensors["barycentric"].numpy()),
        samples=samples,
        evaluations=np.array([values["evaluations"]]),
        error_bounds=tensors["error_bounds"].numpy(),
        exhausted=np.array([values["exhausted"]]),
        retried=np.array([values["retried"]]),
        worsened=np.array([values["worsened"]]),
        failed=np.array([values["failed"]], object),
    )


def _tensor(array: NDArray[np.float64]) -> Tensor:
    return torch.as_tensor(np.array(array))
