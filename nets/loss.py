"""A network's loss over a fixed data set, as a function of one flat parameter vector.

The model is copied and never changed. Values are exact means over all examples, in evaluation mode,
without augmentation; batch norm's running statistics are computed anew at every point, as the
population's over the same data, since at a point between trained networks they belong to no network
(Garipov et al. 2018, A.2, who take torch's running averages over batches). Estimates for training
take a mini-batch, in training mode.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from nets.data.examples import read_examples, read_statistics
from nets.data.sources import ExampleSource, spans
from nets.data.trees import Examples, Tree
from nets.execution.buffers import check_buffers, check_function
from nets.execution.checks import PROBES, checked, first_use, refusing, refusing_alone
from nets.execution.functional import EVALUATION, ForwardMode, FunctionalModel, Totals
from nets.execution.loss_mean import ExampleWeights, LossFunction, check_weights
from nets.execution.modules.own_copy import own_copy
from nets.execution.point_bytes import PointBytes
from nets.execution.policy import Batching, Execution, check_choice
from nets.execution.statistics_gradient import add_gradients, as_leaves
from nets.names import BATCH_NORMS, BatchNorm, Precision
from nets.parameters import Coordinates
from nets.penalty import Penalty
from reduction import DataError, OptionError, ShapeError
from reduction.validation import as_bool, as_integer, short_repr
from simplicial.loss import (
    DifferentiatedLoss,
    Evaluation,
    Loss,
    ParametrizedLoss,
    PenalisedLoss,
    ScoredLoss,
    SizedLoss,
    SupervisedLoss,
)
from simplicial.options import usable_device

BATCH = 128  # examples, at most, of a batch in evaluation
ON_CUDA = 1024  # the same on a device that takes more at once


class NetworkLoss(
    SupervisedLoss, ScoredLoss, DifferentiatedLoss, SizedLoss, ParametrizedLoss, PenalisedLoss
):
    """The loss of an unmodified `nn.Module` on a fixed data set, on flat parameter vectors.

    model      any module; copied. Coordinates: parameters that require a gradient, tied weights
               once
    data       inputs, a tensor (n, ...), with `targets` (n, ...); or a Dataset or DataLoader of
               (input, target) pairs, which is read once, from first to last. Inputs may be tensors
               in a tuple, which the network takes as positional arguments, or in a dict, which it
               takes as keyword arguments; a network whose one argument is a tuple or dict takes it
               in a tuple of one
    targets    as the loss_fn takes them; or, of data that are dicts, the key of the targets: the
               rest are inputs
    loss_fn    (outputs, targets) -> scalar, the mean over examples, or a quotient of two sums over
               them (class weights, ignored targets, means over tokens); see `weights`
    device     where the network runs; None: where the model's parameters are
    batching   "vmap": all points at once; "loop": one after another. None: loop for recurrent
               layers and attention, which vmap cannot batch, for bfloat16, and on the CPU for
               convolutions, which are slow batched, and BatchNorm1d, whose bits would depend on
               the number of points, and for networks that vmap is seen to fail on (but by a branch
               on values, which is refused); vmap otherwise. A rule, not a timing, so that the same
               seed gives the same result
    precision  of training's arithmetic: "full", the parameters' own, or "bfloat16", torch's
               autocast, which is faster for ResNets on processors that compute with it, and
               rounds gradients. Exact values and gradients, and so a filtration, are always full,
               on CUDA devices too, where torch rounds convolutions to TF32 unless told otherwise
    statistics inputs (m, ...) over which batch norm's running statistics are computed anew at
               every point, or a data set that has them, as `data`: for test data the training
               inputs, or a fixed part of the data, which is faster; None: all inputs of the data
    stream     whether a map-style Dataset stays where it is, and its examples are fetched whenever
               they are used, a batch at a time, with the same values; else they are kept in memory.
               Tensors are never copied as a whole, those in memory-mapped files stay there
    weights    of examples in loss_fn's mean: a function of targets (n, ...) that gives (n,), not
               negative, so that loss_fn is sum w_i l_i / sum w_i on any examples, and the exact
               loss is this quotient over all data. None: they are found for torch's cross_entropy
               and nll_loss, as functions, modules or `functools.partial` of them, with class
               weights and ignored targets; for other functions examples count alike, or by their
               targets that are not ignored
    batch_norm "recomputed": running statistics at a point are the population's over all inputs of
               `statistics`, the same in any order, see `nets.execution.batch_norm`: one pass over
               up to about 2,000 images of a ResNet-20, the batch of which takes 512 MB; over more,
               a pass for each layer of batch norm. "stored": those that came with the model, in
               training too, where its norms then stay in evaluation mode. A norm that stays in it
               by itself when the model is told to train is frozen, and keeps its own either way
    weight_decay  wd of a penalty 0.5 wd |theta|^2 at a point theta, in values, gradients, Hessians
               and estimates, so that what is trained is what is reported; accuracies stay. theta:
               all coordinates, biases and norms' weights too, so its gradient is that of torch's
               SGD(weight_decay=wd) on them. A recipe's beside it is refused: it would count twice.
               0: none, and a recipe's is in training alone
    The forward is called three times at most, on a few examples, to see that model, data and
    loss_fn fit together; the first value, gradient or estimate is preceded by the checks that need
    more calls. Raises DataError for those that do not fit, OptionError for a device, a batching or
    a precision that is not there or does not fit.
    """

    def __init__(
        self,
        model: nn.Module,
        data: "Tree | Dataset[Any] | DataLoader[Any]",
        targets: Tree | str | None = None,
        *,
        loss_fn: LossFunction = cross_entropy,
        device: torch.device | str | None = None,
        batching: Batching | None = None,
        precision: Precision = "full",
        statistics: "Tree | Dataset[Any] | DataLoader[Any] | None" = None,
        stream: bool = False,
        weights: ExampleWeights | None = None,
        batch_norm: BatchNorm = "recomputed",
        weight_decay: float = 0.0,
    ) -> None:
        if not isinstance(model, nn.Module) or not callable(loss_fn) or isinstance(loss_fn, type):
            raise DataError(
                "a loss needs a torch.nn.Module and a function loss_fn(outputs, targets), got "
                f"{model if isinstance(model, type) else type(model).__name__} and {loss_fn!r}: "
                "pass a network and, for example, torch.nn.functional.cross_entropy"
            )
        check_weights(weights)
        model = own_copy(model)
        self.coordinates = Coordinates.of(model)
        first = next(p for p in model.parameters() if p.requires_grad)
        self.device = first.device if device is None else usable_device(device)
        self.loss_fn = loss_fn
        model.to(self.device)
        stream, key = as_bool("stream", stream), targets if isinstance(targets, str) else None
        self._examples = read_examples(data, targets, self.device, stream)
        self._normed_by = self._examples
        if statistics is not None:
            self._normed_by = read_statistics(statistics, self._examples, key, stream)
        part = self._examples.between(0, min(BATCH, len(self._examples))).inputs
        execution = Execution.of(model, part, self.coordinates.dtype, batching, precision)
        check_choice("batch_norm", batch_norm, BATCH_NORMS)
        if batch_norm == "stored" and statistics is not None:
            raise OptionError(
                "inputs of statistics are those over which they are recomputed, got statistics "
                "with batch_norm='stored': leave one of them out"
            )
        unchecked = FunctionalModel(
            model, self.coordinates, execution, loss_fn, weights, batch_norm=batch_norm
        )
        self._penalty = Penalty.of(weight_decay, self.coordinates.dtype)
        self._model = checked(unchecked, self._examples, self._normed_by)

    def __len__(self) -> int:
        """The number of examples."""
        return len(self._examples)

    def __repr__(self) -> str:
        options = ", batch norm stored" if self._model.batch_norm == "stored" else ""
        options += f", weight_decay={self.weight_decay!r}" if self._penalty else ""
        return (
            f"NetworkLoss({self._model.name}, {len(self)} examples, "
            f"dim={self.dim}, {self.execution}{options})"
        )

    def model(self) -> nn.Module:
        """A copy of the model with its own parameters, on the loss's device, in either mode."""
        return copy.deepcopy(self._model.model)

    @property
    def functional(self) -> tuple[FunctionalModel, ExampleSource]:
        """The model as a function of its parameters, and the data set; this object's own."""
        return self._model, self._examples

    @property
    def execution(self) -> Execution:
        """The execution policy: batching, precision and layout."""
        return self._model.execution

    @property
    def weight_decay(self) -> float:
        """Factor of the penalty that the loss holds; 0: none."""
        return self._penalty.weight_decay

    @property
    def dim(self) -> int:
        """The number of coordinates d."""
        return self.coordinates.dim

    def __call__(self, points: Tensor) -> Tensor:
        """Exact values (batch,) at points (batch, d), float64.

        Differentiable by `torch.autograd` with respect to points; not by `torch.func` or forwards.
        With batch norm the gradient goes through the statistics. Raises ShapeError.
        """
        return self._exact(points)[0]

    def evaluate(self, points: Tensor) -> Evaluation:
        """Exact loss and accuracy at points (batch, d), reading each example once.

        Accuracy is the share of targets that are the argmax of the outputs on the axis on which
        loss_fn has the classes, ignored ones left out; with torch's binary cross entropy that of
        single outputs on the right side of 0, for logits, or 0.5. None for other losses, or where
        loss_fn leaves open which axis that is. Raises ShapeError.
        """
        with torch.no_grad():
            loss, accuracy = self._exact(points)
        score = accuracy.cpu().numpy() if self._model.accuracy else None
        return Evaluation(loss.cpu().numpy(), score)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Exact values (batch,) float64 and gradients (batch, d) at points (batch, d).

        In the memory of one part of the examples, where torch would keep all parts. With batch norm
        the gradient goes through the statistics. Raises ShapeError.
        """
        self._check_points(points)
        values = self._penalised(points.detach())
        with torch.enable_grad():
            at = points.detach().requires_grad_()
            buffers = self._statistics(at)
            leaves, at.grad = as_leaves(buffers), torch.zeros_like(points)
            for part, (share, _) in self._parts():
                if share:
                    losses = self._model.run(at, leaves, part, EVALUATION)[0]
                    (losses * share).sum().backward()
                    values += losses.detach().double() * share
            add_gradients(buffers, leaves)
        self._penalty.add_gradients(points.detach(), at.grad)
        return values, at.grad

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """One pass over the data in random order: the loss on each mini-batch, in training mode.

        All points of a call have the same mini-batch, and the same random draws of the network
        (dropout). The loss on a mini-batch is loss_fn on it, as in torch: where examples have
        weights it is divided by those of the mini-batch; one without any weight gives 0 in place
        of 0/0. Raises DataError where batch norm would meet a batch of one example.
        """
        return self._mini_batches(batch_size, rng, mismatched=False)

    def mismatched(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        """The mini-batches of `estimates`, each example with the target of another, at random."""
        return self._mini_batches(batch_size, rng, mismatched=True)

    def _mini_batches(
        self, batch_size: int, rng: np.random.Generator, *, mismatched: bool
    ) -> Iterator[Loss]:
        n, batch_size = len(self), as_integer("batch_size", batch_size, 1)
        if 1 in (batch_size, n % batch_size):
            self._check_alone(batch_size)
        for examples in self._examples.mini_batches(batch_size, rng, mismatched=mismatched):
            seed = int(rng.integers(2**63))
            weighs = self._model.totals(examples.targets).weight
            yield self._estimate(examples if weighs else None, seed)

    def point_bytes(self, *, gradients: bool = True) -> int:
        """Memory of one more point, in bytes: its parameters, and a batch's tensors for a gradient.

        Where points come one after another those are kept for one at a time, unless gradients are
        to be differentiated. Without gradients: the largest tensors between layers. Raises
        OptionError unless `gradients` is a bool.
        """
        with_gradient = as_bool("gradients", gradients)
        return self._first_use.with_gradient if with_gradient else self._first_use.without

    @property
    def training_bytes(self) -> int:
        """Memory of one more point, in bytes, whose gradients are those of mini-batches."""
        return self._first_use.training

    def flatten(self, network: Mapping[str, Tensor]) -> Tensor:
        """The point (d,) of a state dict of the loss's architecture, on the loss's device.

        Raises DataError where the state dict does not fit, see `Coordinates.flatten`, and where a
        buffer in it is not the model's and changes the loss: buffers belong to the function.
        """
        point = self.coordinates.flatten(network, self.device)

        def value(model: FunctionalModel) -> float:
            loss = copy.copy(self)
            loss._model, loss._penalty = model, Penalty(0.0)
            return float(loss.evaluate(point[None]).loss[0])

        check_buffers(self._model, network, value)
        return point

    def point_of(self, network: nn.Module) -> Tensor:
        """The point (d,) of a network, whose buffers and function are compared with the model's.

        Raises DataError where they are others, also by what no state dict holds, and what `flatten`
        raises.
        """
        if not isinstance(network, nn.Module):
            raise DataError(
                f"a network must be a torch.nn.Module, got {short_repr(network)}: pass a state "
                "dict to `flatten`"
            )
        buffers = dict(network.named_buffers(remove_duplicate=False))
        point = self.flatten({**buffers, **network.state_dict()})
        few = self._examples.between(0, min(2 * PROBES, len(self)))
        with refusing(self._model, few):
            check_function(self._model, network, point, few)
        return point

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
        return self._model.state_dict(point, self._statistics(point[None]))

    def _exact(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy (batch,), float64, over all examples."""
        self._check_points(points)
        buffers = self._statistics(points)
        loss = self._penalised(points)
        accuracy = torch.zeros(len(points), dtype=torch.float64, device=self.device)
        for part, (share, scored) in self._parts():
            values, correct = self._model.run(points, buffers, part, EVALUATION)
            if share:
                loss = loss + values.double() * share
            accuracy = accuracy + correct.double() * scored
        return loss, accuracy

    def _penalised(self, points: Tensor) -> Tensor:
        """The penalty (batch,) at points of any dtype, as the model takes them."""
        return self._penalty.values(points.to(self.device, self.coordinates.dtype))

    def _statistics(self, points: Tensor) -> dict[str, Tensor]:
        """Buffers (batch, ...) with batch norm's statistics at points; see the class."""
        if not self._model.norms:
            return {}
        total, source, first_use = len(self._normed_by), self._normed_by, self._first_use

        def cut(whole: int) -> list[Callable[[], Tree]]:
            ends = spans(total, 1 if total <= whole else -(-total // self._at_once))
            return [lambda at=at: source.between(*at).inputs for at in ends]

        return self._model.statistics(points, cut(first_use.one_batch), cut(first_use.one_graph))

    def _parts(self) -> Iterator[tuple[Examples, Totals]]:
        """The examples in parts, each with its shares of all; those without any are left out."""
        for part in self._examples.parts(self._at_once):
            own, every = self._model.totals(part.targets), self._totals
            shares = Totals(own.weight / every.weight, own.scored / max(every.scored, 1))
            if any(shares):
                yield self._model.arranged(part), shares

    @cached_property
    def _totals(self) -> Totals:
        """Of all examples."""
        parts = [self._model.totals(part) for _, part in self._examples.target_parts()]
        return Totals(*map(sum, zip(*parts, strict=True)))

    def _check_alone(self, batch_size: int) -> None:
        """Raise DataError where the network cannot be trained on one example."""
        shown = self._examples.between(0, 1)
        alone = refusing_alone(len(self), batch_size)
        with torch.no_grad(), alone, refusing(self._model, shown):
            self._estimate(shown, 0)(self._model.own_point[None])

    def _estimate(self, examples: Examples | None, seed: int) -> Loss:
        """The loss on some examples, in training mode; None: on some without weight, 0."""
        examples = None if examples is None else self._model.arranged(examples)
        mode = ForwardMode("training", seed)

        def estimate(points: Tensor) -> Tensor:
            self._check_points(points)
            buffers = self._model.own_buffers(len(points))
            loss = (0 * points).sum(dim=1)
            if examples is not None:
                loss = self._model.run(points, buffers, examples, mode)[0]
            return loss + self._penalised(points) if self._penalty else loss

        return estimate

    @property
    def _at_once(self) -> int:
        """Examples, at most, of a part."""
        return BATCH if self.device.type == "cpu" else ON_CUDA

    @cached_property
    def _first_use(self) -> PointBytes:
        """The memory of a point, from the checks that come before the first value."""
        return first_use(self._model, self._examples, self._normed_by, self._at_once)

    def _check_points(self, points: Tensor) -> None:
        self.coordinates.check_points(points, self._model.name)
        _ = self._first_use
