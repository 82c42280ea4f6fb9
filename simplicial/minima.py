"""The vertices of the complex: points in parameter space, the loss, and its values there."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError, ShapeError
from reduction.reprs import name_of, or_types, span
from reduction.validation import short_repr
from simplicial.domains.periods import periods_of
from simplicial.errors import LossError
from simplicial.evaluation import check_callable, evaluate, values_and_gradients
from simplicial.loss import Evaluation, Loss, ParametrizedLoss
from simplicial.options import MEMORY, byte_count
from simplicial.vertex_checks import VertexChecks, check_vertices

LIKELY = 0.9  # probability that all points were met, from which a search does not mention it
SAME = 1e-6  # distance over the spread of points below which two of them are one


class LeftOut(NamedTuple):
    """The lowest point at which a start of a search ended that is none of those found.

    value   the loss there
    point   (d,)
    kind    "failure", "degenerate point" or "critical point of index ..."
    lowest  whether it is lower than all that were found: a cusp, at which the loss has no
            gradient, a minimum among degenerate points, or a way on which the loss falls for ever
    """

    value: float
    point: tuple[float, ...]
    kind: str
    lowest: bool

    @or_types
    def __repr__(self) -> str:
        return f"LeftOut(value={self.value:.6g}, kind={self.kind!r}, lowest={self.lowest})"

    def __str__(self) -> str:
        shown = ", ".join(f"{x:.4g}" for x in self.point[:4])
        more = ", ..." if len(self.point) > 4 else ""
        return f"{self.value:.6g} at [{shown}{more}] ({self.kind})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Outcomes of the starts of a search for critical points of one Morse index, as counts.

    duplicates  arrived at a point of that index that another start had found
    others      arrived at a critical point of another Morse index
    degenerate  arrived where the Hessian has an eigenvalue near 0, at no Morse critical point
    failures    did not converge, or ran to infinity
    once        points of that index at which one start arrived, and no other
    twice       those at which two did
    box         ((low, ...), (high, ...)), the corners of the box whose walls no step crossed; None
                where the box was that of the starts only
    left_out    the lowest end of a start that is none of the points found, if there is one
    Estimates of what the search has missed are for independent starts, each point having a chance
    of its own to be met. Those of basin hopping are not independent: there they are a guide.
    """

    starts: int
    duplicates: int
    others: int
    degenerate: int
    failures: int
    once: int = 0
    twice: int = 0
    box: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    left_out: LeftOut | None = None

    def __repr__(self) -> str:
        names = ("starts", "found", "duplicates", "others", "degenerate", "failures", "once")
        counts = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        return f"Search({counts}, left_out={self.left_out!r})"

    @property
    def arrivals(self) -> int:
        """Starts that arrived at points of that index."""
        return self.starts - self.others - self.degenerate - self.failures

    @property
    def found(self) -> int:
        """Points of that index, before the lowest n of them were kept."""
        return self.arrivals - self.duplicates

    @property
    def unseen(self) -> float:
        """Chance that the next arrival is at a new point: the share of those met once.

        Source: Good, Biometrika 40, 237 (1953).
        """
        return self.once / self.arrivals if self.arrivals else 1.0

    @property
    def missing(self) -> float:
        """Number of points that were not met, by an estimate from below.

        Source: Chao, Scand. J. Statist. 11, 265 (1984); its bias-corrected form, known as Chao1.
        """
        share = (self.arrivals - 1) / max(self.arrivals, 1)
        return share * self.once * (self.once - 1) / (2 * (self.twice + 1))

    @property
    def complete(self) -> float:
        """Probability that all points were met, if all numbers of them, and all chances of being
        met, were equally likely before the search.

        That asks much of a search: of w points, for some w^2 arrivals.
        Source: Boender & Rinnooy Kan, Math. Programming 37, 59 (1987).
        """
        number = np.arange(1, self.found + 1)
        factors = np.maximum(self.arrivals - 1 - number, 0) / (self.arrivals - 1 + number)
        return float(np.prod(factors)) if self.found else 0.0

    def __str__(self) -> str:
        text = (
            f"{self.starts} starts, of which {self.duplicates} duplicates, {self.others} of "
            f"another index, {self.degenerate} degenerate points, {self.failures} failures"
        )
        if self.once:
            text += f"; {self.once} of {self.found} points were met by one start only"
        if self.missing >= 1:
            text += f", so {self.missing:.0f} or more are missing"
        elif self.found and self.complete < LIKELY:
            text += f", all were met with probability {self.complete:.2g}"
        if self.left_out is not None and self.left_out.lowest:
            text += f"; the lowest left out: {self.left_out}"
        return text


@dataclass(frozen=True, slots=True, eq=False)
class Minima:
    """Points between which simplices are optimised: minima of a loss, or any points of interest.

    points    (n, d) float32 or float64, torch or NumPy; taken over as a torch tensor, dtype and
              device kept
    loss      callable, points (batch, d) -> values (batch,)
    search    how they were found, by `find_minima` or `find_critical_points`
    memory    bytes for a batch of points when the loss is evaluated at them
    seen      what that evaluation gave, where it was made before; None: it is made here
    values    (n,) float64, the loss at the points; read-only
    accuracy  (n,) float64, or None for a loss that has none
    Raises ShapeError for points that are no (n, d) array, are not finite or repeat each other, and
    LossError for a loss that is no callable, has the wrong shape or is not finite at the points,
    OptionError for what is no Search.
    """

    points: Tensor
    loss: Loss
    search: Search | None = None
    memory: InitVar[int] = MEMORY
    seen: InitVar[Evaluation | None] = None
    values: NDArray[np.float64] = field(init=False)
    accuracy: NDArray[np.float64] | None = field(init=False)

    def __post_init__(self, memory: int, seen: Evaluation | None) -> None:
        points = _as_points(self.points)
        _check_distinct(points)
        check_callable(self.loss)
        if not isinstance(self.search, Search | None):
            raise OptionError(
                f"search must be the Search of find_minima or None, got {short_repr(self.search)}: "
                "leave it out"
            )
        if seen is None:
            seen = evaluate(self.loss, points, memory)
        else:
            _check_seen(seen, len(points))
        for name, value in (("values", seen.loss), ("accuracy", seen.accuracy)):
            if value is not None:
                value.flags.writeable = False
            object.__setattr__(self, name, value)
        object.__setattr__(self, "points", points)

    def __repr__(self) -> str:
        dtype = str(self.points.dtype).removeprefix("torch.")
        shown = (
            f"n={len(self)}, dim={self.points.shape[1]}, dtype={dtype}, loss={span(self.values)}"
        )
        if self.accuracy is not None:
            shown += f", accuracy={span(self.accuracy)}"
        return f"Minima({shown}, of={name_of(self.loss)})"

    def __len__(self) -> int:
        return len(self.points)

    @property
    def walls(self) -> NDArray[np.int8]:
        """Coordinates (n, d) on a wall of the box that was searched: -1 lowest, 1 highest, else 0.

        There the loss may fall outwards, and its gradient not be 0.
        """
        points = self.points.double().cpu().numpy()
        walls = np.zeros(points.shape, dtype=np.int8)
        if self.search is not None and self.search.box is not None:
            low, high = self.search.box
            has_wall = np.isinf(self.periods)
            walls[(points >= high) & has_wall] = 1
            walls[(points <= low) & has_wall] = -1
        return walls

    @property
    def periods(self) -> NDArray[np.float64]:
        """The periods (d,) of the loss, inf in coordinates without one. Raises OptionError."""
        return periods_of(self.loss, self.points.shape[1])

    def gradient_norms(self, memory: int | str = MEMORY) -> NDArray[np.float64]:
        """Norms (n,) of the loss's exact gradients at the points, which are 0 at true minima.

        memory  bytes, or "4GB", for a batch of points
        Computed anew at each call. Raises LossError for a loss that torch cannot differentiate.
        """
        gradients = values_and_gradients(self.loss, self.points, byte_count(memory)).gradients
        return np.array([float(gradient.double().norm()) for gradient in gradients])

    def checks(self, memory: int | str = MEMORY) -> VertexChecks:
        """Signs that points are no minima, or networks that have learnt nothing.

        memory  bytes, or "4GB", for a batch of points
        Takes an exact gradient at each point, and those of up to 32 mini-batches or of three points
        on a straight line. Computed anew at each call. Raises LossError as `gradient_norms` does.
        """
        memory = byte_count(memory)
        gradients = values_and_gradients(self.loss, self.points, memory).gradients.double().cpu()
        gradients[torch.as_tensor(self.walls) * gradients < 0] = 0.0
        return check_vertices(self.loss, self.points, gradients.norm(dim=1).numpy(), memory)

    def joined(self, other: "Minima") -> "Minima":
        """These points and those of `other`, such as saddles, of which nothing is evaluated again.

        Points of `other` within 1e-6 of the spread of all of them (the diagonal of the smallest box
        around them) of one of these are left out. Dtype and device are those of these points;
        accuracy is there if both have one. Raises ShapeError for points of another dimension,
        LossError for another loss, OptionError for what is no Minima.
        """
        check_minima(other)
        if self.points.shape[1] != other.points.shape[1]:
            raise ShapeError(
                "points that are joined must have one dimension, got "
                f"{self.points.shape[1]} and {other.points.shape[1]}: join points of one loss"
            )
        if self.loss is not other.loss:
            raise LossError(
                "points that are joined must share their loss object, got "
                f"{name_of(self.loss)} and another {name_of(other.loss)}: find both with one loss"
            )
        new = _new_points(self.points, other.points.to(self.points))
        values = np.concatenate([self.values, other.values[new]])
        accuracy = None
        if self.accuracy is not None and other.accuracy is not None:
            accuracy = np.concatenate([self.accuracy, other.accuracy[new]])
        added = other.points.to(self.points)[torch.as_tensor(new, device=self.points.device)]
        points = torch.cat([self.points, added])
        return Minima(points, self.loss, seen=Evaluation(values, accuracy))

    @classmethod
    def from_state_dicts(
        cls, networks: Iterable[Mapping[str, Tensor]], loss: Callable[[Tensor], Tensor]
    ) -> Self:
        """Minima from networks that somebody else trained.

        networks  state dicts of the loss's own architecture; buffers in them are not coordinates
        loss      a `simplicial.loss.ParametrizedLoss`, as nets.NetworkLoss is
        Raises LossError where the loss cannot flatten a state dict, OptionError for what is no
        list of them, and what `flatten` raises.
        """
        if not isinstance(loss, ParametrizedLoss):
            raise LossError(
                f"state dicts need a ParametrizedLoss, whose `flatten` makes points of them, "
                f"{type(loss).__name__} is none: use nets.NetworkLoss, or Minima(points, loss)"
            )
        if not isinstance(networks, Iterable):
            raise OptionError(
                f"networks must be state dicts, got {short_repr(networks)}: pass a list of them"
            )
        vectors = [loss.flatten(network) for network in networks]
        if not vectors:
            raise ShapeError("minima need at least one point, got no state dict: give one or more")
        if not all(isinstance(vector, Tensor) for vector in vectors):
            raise LossError(
                f"flatten of {type(loss).__name__} must return a tensor (d,), got "
                f"{short_repr(vectors[0])}: see simplicial.loss.ParametrizedLoss"
            )
        return cls(torch.stack(vectors), loss)


def check_minima(minima: Any) -> None:
    """Raise OptionError for what is no Minima."""
    if not isinstance(minima, Minima):
        raise OptionError(
            f"minima must be a Minima, got {type(minima).__name__}: pass Minima(points, loss)"
        )


def _check_seen(seen: Any, n: int) -> None:
    """Raise unless it is what the evaluation of a loss at n points gives."""
    if not isinstance(seen, Evaluation):
        raise OptionError(
            "seen must be the Evaluation of the loss at the points or None, got "
            f"{short_repr(seen)}: leave it out"
        )
    for name, values in zip(seen._fields, seen, strict=True):
        if name == "accuracy" and values is None:
            continue
        if not isinstance(values, np.ndarray) or (values.shape, values.dtype.kind) != ((n,), "f"):
            raise ShapeError(
                f"values at {n} points must be a float64 array ({n},), its {name} is "
                f"{short_repr(values)}: leave it out, and the loss is evaluated"
            )
    if not np.isfinite(seen.loss).all():
        raise LossError(
            "a loss must be finite at the points, the one given is not at point "
            f"{int(np.argmin(np.isfinite(seen.loss)))}: leave that point out"
        )


def _new_points(old: Tensor, added: Tensor) -> NDArray[np.int64]:
    """Rows of `added` (m, d) that lie off all of `old` (n, d)."""
    both = torch.cat([old, added])
    spread = (both.amax(dim=0) - both.amin(dim=0)).norm()
    # by differences: the products of the quicker way do not tell close points apart
    apart = torch.cdist(added, old, compute_mode="donot_use_mm_for_euclid_dist")
    return (apart.amin(dim=1) > SAME * spread).nonzero()[:, 0].cpu().numpy()


def _as_points(points: Any) -> Tensor:
    try:
        tensor = torch.as_tensor(points)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ShapeError(
            f"points must be an (n, d) array of numbers, got {type(points).__name__}: stack "
            "vectors of equal length"
        ) from error
    if tensor.ndim != 2 or 0 in tensor.shape:
        raise ShapeError(
            f"points must have shape (n, d) with n, d >= 1, got {tuple(tensor.shape)}: one row for "
            "each point"
        )
    if tensor.dtype not in (torch.float32, torch.float64):
        raise ShapeError(
            f"points must be float32 or float64, got {tensor.dtype}: convert them first"
        )
    bad = (~tensor.isfinite()).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        raise ShapeError(
            f"points must be finite, point {row} has {tensor[row, column].item()} at coordinate "
            f"{column}: leave that point out"
        )
    return tensor.detach().clone()


def _check_distinct(points: Tensor) -> None:
    _, inverse = torch.unique(points, dim=0, return_inverse=True)
    labels = inverse.cpu().numpy()
    first = np.unique(labels, return_index=True)[1]
    repeated = np.setdiff1d(np.arange(len(labels)), first)
    if repeated.size:
        twin = first[labels[repeated[0]]]
        raise ShapeError(
            f"points must be distinct, point {repeated[0]} equals point {twin}: leave one of them "
            "out"
        )
