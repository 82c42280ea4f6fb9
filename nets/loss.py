"""A network's loss over a fixed data set, as a function of one flat parameter vector.

The model is copied and never changed. Values are exact means over all examples, in evaluation mode,
without augmentation; batch norm's running statistics are computed anew at every point, as means
over batches of the same data, since at a point between trained networks they belong to no network
(Garipov et al. 2018, A.2). Estimates for training take a mini-batch, in training mode.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from nets.data.examples import read_examples, read_statistics
from nets.execution.checks import PROBES, LossFunction, has_classes, plain_gradient, refusing
from nets.execution.functional import Networks, Pass
from nets.execution.policy import Batching, Execution
from nets.names import Precision
from nets.parameters import Coordinates
from reduction import DataError, OptionError, ShapeError
from reduction.validation import as_bool, as_integer, short_repr
from simplicial.loss import (
    DifferentiatedLoss,
    Evaluation,
    Loss,
    ParametrizedLoss,
    ScoredLoss,
    SizedLoss,
    StochasticLoss,
)
from simplicial.options import usable_device

BATCH = 128  # examples, at most, of a batch in evaluation, and so in batch norm's statistics
ON_CUDA = 1024  # the same where there are no such statistics, on a device that takes more at once
MEASURED = 512  # examples, at most, of a mini-batch in the memory of a point
LAYERS = 4  # tensors of a layer's size that are alive at once in evaluation


class NetworkLoss(StochasticLoss, ScoredLoss, DifferentiatedLoss, SizedLoss, ParametrizedLoss):
    """The loss of an unmodified `nn.Module` on a fixed data set, on flat parameter vectors.

    model      any module; copied. Coordinates: parameters that require a gradient, tied weights
               once
    data       inputs, a tensor (n, ...), with `targets` (n, ...); or a Dataset or DataLoader of
               (input, target) pairs, which is read once, from first to last
    loss_fn    (outputs, targets) -> scalar, the mean over examples
    device     where the network runs; None: where the model's parameters are
    batching   "vmap": all points at once; "loop": one after another. None: loop for recurrent
               layers and attention, which vmap cannot batch, for bfloat16, and on the CPU for
               convolutions, which are slow batched, and BatchNorm1d, whose bits would depend on
               the number of points; vmap otherwise. A rule, not a timing, so that the same seed
               gives the same result
    precision  of training's arithmetic: "full", the parameters' own, or "bfloat16", torch's
               autocast, which is faster for ResNets on processors that compute with it, and
               rounds gradients. Exact values and gradients, and so a filtration, are always full,
               on CUDA devices too, where torch rounds convolutions to TF32 unless told otherwise
    statistics inputs (m, ...) over which batch norm's running statistics are computed anew at
               every point: for test data the training inputs, or a fixed part of the data, which
               is faster; None: all inputs of the data
    Raises DataError for a model, data or loss_fn that do not fit together, OptionError for a
    device, a batching or a precision that is not there or does not fit.
    """

    def __init__(
        self,
        model: nn.Module,
        data: "Tensor | Dataset[Any] | DataLoader[Any]",
        targets: Tensor | None = None,
        *,
        loss_fn: LossFunction = cross_entropy,
        device: torch.device | str | None = None,
        batching: Batching | None = None,
        precision: Precision = "full",
        statistics: Tensor | None = None,
    ) -> None:
        if not isinstance(model, nn.Module) or not callable(loss_fn) or isinstance(loss_fn, type):
            raise DataError(
                "a loss needs a torch.nn.Module and a function loss_fn(outputs, targets), got "
                f"{model if isinstance(model, type) else type(model).__name__} and {loss_fn!r}: "
                "pass a network and, for example, torch.nn.functional.cross_entropy"
            )
        model = copy.deepcopy(model)
        self.coordinates = Coordinates.of(model)
        first = next(p for p in model.parameters() if p.requires_grad)
        self.device = first.device if device is None else usable_device(device)
        self.loss_fn = loss_fn
        model.to(self.device)
        inputs, labels = read_examples(data, targets)
        self._inputs, self._targets = inputs.to(self.device), labels.to(self.device)
        self._normed_by = self._inputs
        if statistics is not None:
            self._normed_by = read_statistics(statistics, inputs).to(self.device)
        some, dtype = self._inputs[:PROBES], self.coordinates.dtype
        execution = Execution.of(model, some, dtype, batching, precision)
        scored = has_classes(model, self._inputs, self._targets, loss_fn, execution.batching)
        self.networks = Networks(model, self.coordinates, execution, loss_fn, scored)
        self._point_bytes = self._measure()
        self._check_gradient()
        points = self.flatten(model.state_dict()).repeat(2, 1)
        self.networks.record(points, self._inputs[:PROBES], self._targets[:PROBES])

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._targets)

    def __repr__(self) -> str:
        return (
            f"NetworkLoss({self._name}, {len(self._targets)} examples, "
            f"dim={self.dim}, {self.execution})"
        )

    def model(self) -> nn.Module:
        """A copy of the model with the parameters it came with, on the loss's device.

        In no particular mode: call `train` or `eval` on it.
        """
        return copy.deepcopy(self.networks.model)

    @property
    def execution(self) -> Execution:
        """How the network is run."""
        return self.networks.execution

    @property
    def dim(self) -> int:
        """The number of coordinates d."""
        return self.coordinates.dim

    def __call__(self, points: Tensor) -> Tensor:
        """Exact values (batch,) at points (batch, d), float64.

        Differentiable by `torch.autograd` with respect to points; not by `torch.func` or forwards.
        With batch norm the gradient takes the statistics at a point as constants.
        Raises ShapeError.
        """
        return self._exact(points)[0]

    def evaluate(self, points: Tensor) -> Evaluation:
        """Exact loss and accuracy at points (batch, d), reading each example once.

        Accuracy is the share of targets that are the argmax of the outputs; None where targets are
        no class indices. Raises ShapeError.
        """
        with torch.no_grad():
            loss, accuracy = self._exact(points)
        score = accuracy.cpu().numpy() if self.networks.scored else None
        return Evaluation(loss.cpu().numpy(), score)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Exact values (batch,) float64 and gradients (batch, d) at points (batch, d).

        In the memory of one part of the examples, where torch would keep all parts. With batch norm
        the gradient takes the statistics at a point as constants. Raises ShapeError.
        """
        self._check_points(points)
        with torch.no_grad():
            buffers = self._statistics(points)
        n = len(self._targets)
        values = torch.zeros(len(points), dtype=torch.float64, device=self.device)
        gradients = torch.zeros_like(points)
        with torch.enable_grad():
            for x, y in self._parts():
                at = points.detach().requires_grad_()
                each = self.networks.run(at, buffers, Pass(x, y, "evaluation"))[0] * (len(y) / n)
                gradients += torch.autograd.grad(each.sum(), at)[0]
                values += each.detach().double()
        return values, gradients

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """One pass over the data in random order: the loss on each mini-batch, in training mode.

        All points of a call see the same mini-batch, and the same draws of what the network draws
        itself (dropout). Raises DataError where batch norm would meet a batch of one example.
        """
        n, batch_size = len(self._targets), as_integer("batch_size", batch_size, 1)
        if not isinstance(rng, np.random.Generator):
            raise OptionError(
                f"rng must be a numpy.random.Generator, got {short_repr(rng)}: pass "
                "numpy.random.default_rng(0), say"
            )
        if 1 in (batch_size, n % batch_size):
            self._check_alone(batch_size)
        order = torch.as_tensor(rng.permutation(n), device=self.device)
        for batch in order.split(batch_size):
            x, y = self._inputs[batch], self._targets[batch]
            yield self._estimate(x, y, int(rng.integers(2**63)))

    def point_bytes(self, *, gradients: bool = True) -> int:
        """Bytes that one more point takes: its parameters, and what a gradient keeps of a batch.

        Where points come one after another that is kept for one at a time, unless their gradients
        are to be differentiated. Without gradients: the largest that is passed from layer to layer.
        Raises OptionError for what is no bool.
        """
        return self._point_bytes[0 if as_bool("gradients", gradients) else 1]

    def flatten(self, network: Mapping[str, Tensor]) -> Tensor:
        """The point (d,) of a state dict of the loss's architecture, on the loss's device.

        Raises DataError where the state dict does not fit; see `Coordinates.flatten`.
        """
        return self.coordinates.flatten(network, self.device)

    def state_dict(self, point: Tensor) -> dict[str, Tensor]:
        """A state dict of the network at a point (d,), with running statistics of that point.

        Raises ShapeError for a point of another length.
        """
        if not isinstance(point, Tensor) or point.ndim != 1:
            raise ShapeError(
                f"a state dict is that of one point ({self.dim},), got {short_repr(point)}: take "
                "one row of the points"
            )
        self._check_points(point[None])
        point = point.detach().to(self.device, self.coordinates.dtype)
        state = {k: v.clone() for k, v in self.networks.model.state_dict().items()}
        parameters = self.coordinates.views(point)
        for alias, name in self.coordinates.aliases.items():
            parameters[alias] = parameters[name]
        with torch.no_grad():
            buffers = self._statistics(point[None])
        state |= {k: v.clone() for k, v in parameters.items()}
        module = self.networks.model
        first = {id(buffer): name for name, buffer in module.named_buffers()}
        for name, buffer in module.named_buffers(remove_duplicate=False):
            if buffers and name in state:
                state[name] = buffers[first[id(buffer)]][0].clone()
        return state

    def _exact(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy (batch,), float64, over all examples."""
        self._check_points(points)
        buffers = self._statistics(points)
        loss = torch.zeros(len(points), dtype=torch.float64, device=self.device)
        accuracy = torch.zeros_like(loss)
        n = len(self._targets)
        for x, y in self._parts():
            values, correct = self.networks.run(points, buffers, Pass(x, y, "evaluation"))
            loss = loss + values.double() * (len(y) / n)
            accuracy = accuracy + correct.double() * (len(y) / n)
        return loss, accuracy

    def _statistics(self, points: Tensor) -> dict[str, Tensor]:
        """Buffers at points, each (batch, ...); empty for a network without running statistics.

        Running statistics are the means over evaluation's batches, weighted by their sizes, and
        over all calls of a module in a forward.
        """
        if not self.networks.norms:
            return {}
        buffers = self.networks.copies(len(points))
        seen = 0
        with torch.no_grad():
            for part in self._split(self._normed_by):
                seen += len(part)
                x = self.execution.arranged(part)
                asked = Pass(x, x[:0], "statistics", momentum=len(x) / seen)
                self.networks.run(points, buffers, asked)
        return buffers

    def _parts(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The examples in parts."""
        for x, y in zip(self._split(self._inputs), self._split(self._targets), strict=True):
            yield self.execution.arranged(x), y

    def _split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Parts of nearly equal size: batch norm cannot take a last part of one."""
        return rows.tensor_split(-(-len(rows) // self._at_once))

    def _check_alone(self, batch_size: int) -> None:
        """Raises DataError where the network cannot be trained on one example."""
        x, y = self._inputs[:1], self._targets[:1]
        point = self.flatten(self.networks.model.state_dict())[None]
        try:
            with torch.no_grad(), refusing(self._name, self.execution.batching, x, y):
                self._estimate(x, y, 0)(point)
        except DataError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise DataError(
                f"batch norm needs two values of a channel in every mini-batch, {len(self)} "
                f"examples in batches of {batch_size} leave one alone: change batch_size"
            ) from error

    def _estimate(self, x: Tensor, y: Tensor, seed: int) -> Loss:
        asked = Pass(self.execution.arranged(x), y, "training", seed)

        def estimate(points: Tensor) -> Tensor:
            self._check_points(points)
            return self.networks.run(points, self.networks.copies(len(points)), asked)[0]

        return estimate

    @property
    def _at_once(self) -> int:
        """Examples, at most, of a part."""
        return BATCH if self.networks.norms or self.device.type == "cpu" else ON_CUDA

    @property
    def _name(self) -> str:
        return type(self.networks.model).__name__

    def _check_points(self, points: Tensor) -> None:
        if not isinstance(points, Tensor) or not points.is_floating_point():
            got = (
                f"a tensor of {points.dtype}" if isinstance(points, Tensor) else short_repr(points)
            )
            raise ShapeError(
                f"the loss of {self._name} takes points as a tensor of floats, got {got}: convert "
                "it by torch.as_tensor or .float()"
            )
        if points.ndim != 2 or points.shape[1] != self.dim or not len(points):
            raise ShapeError(
                f"the loss of {self._name} takes points (batch, {self.dim}), got shape "
                f"{tuple(points.shape)}: make points of state dicts by `flatten`"
            )

    def _measure(self) -> tuple[int, int]:
        """Bytes that a point takes, see `point_bytes`; on the way, that both modes can be batched.

        What a gradient keeps is linear in the number of examples: two numbers give the line.
        """
        points = self.flatten(self.networks.model.state_dict()).repeat(2, 1).requires_grad_()
        n = len(self._targets)
        few, more = min(PROBES, n), min(2 * PROBES, n)
        x, y = self._inputs[:more], self._targets[:more]
        with refusing(self._name, self.execution.batching, x, y):
            sizes = [
                self.networks.sizes(
                    points, Pass(self.execution.arranged(x[:count]), y[:count], "evaluation")
                )
                for count in (few, more)
            ]
            self._check_state(points, x, y)
            if self.networks.norms:
                z = self.execution.arranged(self._normed_by[:more])
                asked = Pass(z, z[:0], "statistics", momentum=1.0)
                self.networks.run(points.detach(), self.networks.copies(len(points)), asked)
        tensors = min(map(len, sizes))  # as many for few examples as for more, but for odd networks
        size, smaller = sizes[1][:tensors], sizes[0][:tensors]
        grown = (size - smaller) / max(1, more - few)  # by each example
        kept = size[0] + grown[0] * (min(n, MEASURED) - more)
        largest = (size[1:] + grown[1:] * (min(n, self._at_once) - more)).max()
        parameters = 4 * self.dim * points.element_size()
        return int(kept) + parameters, int(min(kept, LAYERS * largest)) + parameters

    def _check_state(self, points: Tensor, x: Tensor, y: Tensor) -> None:
        """Train on examples; raises DataError where that changes how networks are evaluated."""

        def values() -> Tensor:
            with torch.no_grad():
                asked = Pass(self.execution.arranged(x), y, "evaluation")
                return self.networks.run(points, self.networks.copies(len(points)), asked)[0]

        before = values()
        self._estimate(x, y, 0)(points)
        after = values()
        if not torch.allclose(before, after, rtol=1e-5, equal_nan=True):
            raise DataError(
                "a network must keep its state in buffers, which belong to a point, the loss of "
                f"{self._name} went from {before[0]:.6g} to {after[0]:.6g} by training at the same "
                "point: use register_buffer, and no torch.utils.checkpoint around batch norm"
            )

    def _check_gradient(self) -> None:
        """Compare with a plain network's, far from the model's own parameters, if there it has one.

        Raises DataError where they differ.
        """
        x, y = self._inputs[:PROBES], self._targets[:PROBES]
        noise = torch.randn(self.dim, generator=torch.Generator().manual_seed(0))
        own = self.flatten(self.networks.model.state_dict())
        point = own * noise.to(own)  # where no symmetry makes another point's gradient the same
        try:
            parameters = self.coordinates.views(point)
            with self.execution.exactly():
                expected = plain_gradient(self.networks.model, parameters, self.loss_fn, x, y)
        except Exception:  # some are not defined there, cuDNN's recurrent layers in training alone
            return
        at = point[None].requires_grad_()
        asked = Pass(self.execution.arranged(x), y, "evaluation")
        value, _ = self.networks.run(at, self.networks.copies(1), asked)
        (gradient,) = torch.autograd.grad(value.sum(), at)
        if (gradient[0] - expected).norm() > 0.02 * expected.norm():
            raise DataError(
                "a gradient must be that at the parameters that a network is called with, that of "
                f"{self._name} is another: leave out what runs parts of a network again for "
                "gradients, as torch.utils.checkpoint does"
            )
