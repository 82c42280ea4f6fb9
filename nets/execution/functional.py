"""A model as a function of its parameters and buffers: its loss at points of parameter space."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import vmap

from nets.data.trees import Examples, Tree, arguments, mapped, tensors_of
from nets.execution.accuracy import Accuracy
from nets.execution.batch_norm import (
    PopulationStatistics,
    momentum_of,
    moving_modules,
    population_statistics,
    running_modules,
    running_statistics,
    statistics_agree,
    statistics_of_training,
)
from nets.execution.cuda_graphs import CudaGraphs, synchronizes
from nets.execution.loss_mean import ExampleWeights, LossFunction, total_weight
from nets.execution.modules.functional_calls import NO_NEEDS, Needs, Slots
from nets.execution.modules.norm_functions import DifferentiableNorms
from nets.execution.policy import Execution
from nets.execution.rng import draws, seeded
from nets.execution.statistics_gradient import StatisticsGradient, differentiable_statistics
from nets.execution.value_and_grad import Buffers, differentiable
from nets.names import BatchNorm
from nets.parameters import Coordinates


@dataclass(frozen=True, slots=True)
class ForwardMode:
    """The mode of a forward pass.

    name  of the model's mode; norms whose statistics are stored stay in evaluation mode
    seed  of torch's global generators, for each point anew, so that random draws do not depend on
          the points beside it; None: the model draws nothing
    """

    name: Literal["evaluation", "training"]
    seed: int | None = None


EVALUATION = ForwardMode("evaluation")


class Totals(NamedTuple):
    """Of some examples: their weight in the loss, and the number of targets in the accuracy."""

    weight: float
    scored: float


@dataclass(eq=False)
class FunctionalModel:
    """The loss and accuracy of a model on examples, as functions of points (batch, d).

    model            on the device, and this object's alone; its own tensors are never changed
    coordinates      its parameters
    execution        policy by which it is run
    loss_fn          (outputs, targets) -> scalar, the mean over examples by their weights
    example_weights  in that mean; None: examples count alike
    accuracy         of outputs, over the targets that count; None: accuracies are 0
    needs            of the model's calls
    batch_norm       "recomputed": running statistics are those of the inputs at a point; "stored":
                     the model's own, in training too. Those of frozen norms are always stored
    norms_train      whether statistics of one batch are those of torch's training mode, see
                     `allow_training_statistics`
    norms            modules whose statistics are recomputed: their `running_mean`, `running_var`
                     and `num_batches_tracked` belong to a point, other buffers to the function

    A model gets copies of examples, so one that changes its inputs in place changes no data.
    """

    model: nn.Module
    coordinates: Coordinates
    execution: Execution
    loss_fn: LossFunction
    example_weights: ExampleWeights | None = None
    accuracy: Accuracy | None = None
    needs: Needs = NO_NEEDS
    batch_norm: BatchNorm = "recomputed"
    norms_train: bool = False
    norms: list[nn.Module] = field(init=False)
    _slots: Slots = field(init=False)
    _statistics_names: list[tuple[str, ...]] = field(init=False)
    _mode: tuple[str, list[bool]] | None = field(init=False, default=None)
    _graphs: CudaGraphs | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        stored = self.batch_norm == "stored"
        self.norms = [] if stored else moving_modules(self.model)
        self._slots = Slots.of(self.model)
        names = self._slots.first_names()
        self._statistics_names = [
            tuple(names[id(buffer)] for buffer in running_statistics(norm)) for norm in self.norms
        ]

    @property
    def name(self) -> str:
        """The model's, in messages."""
        return type(self.model).__name__

    @property
    def own_point(self) -> Tensor:
        """The point (d,) of the model's own parameters."""
        return self.coordinates.flatten(self.model.state_dict(), self.execution.device)

    def own_buffers(self, count: int) -> dict[str, Tensor]:
        """The model's own buffers at points, (count, ...) by name: views."""
        buffers = self._slots.buffers().items()
        return {name: buffer.expand(count, *buffer.shape) for name, buffer in buffers}

    def totals(self, targets: Tree) -> Totals:
        """The weight of targets (n, ...), in the loss and in the accuracy."""
        counted = 0 if self.accuracy is None else self.accuracy.count(targets)
        return Totals(total_weight(self.example_weights, targets), counted)

    def arranged(self, examples: Examples) -> Examples:
        """Examples whose inputs have the layout that the model reads fastest."""
        return examples._replace(inputs=self.execution.arranged(examples.inputs))

    def run(
        self, points: Tensor, buffers: Buffers, examples: Examples, mode: ForwardMode
    ) -> tuple[Tensor, Tensor]:
        """Loss and accuracy, (batch,) each, at points (batch, d).

        Differentiable by `torch.autograd` with respect to the points, in the memory of one point
        where they come one after another; and, in evaluation, to buffers that carry a gradient.
        buffers (batch, ...) by name stay as they are.
        """
        points = points.to(self.execution.device, self.coordinates.dtype)
        works = self.values, self.gradients
        values, gradients = (partial(self._replay, work, examples, mode) for work in works)
        return differentiable(points, buffers, values, gradients)

    def set_mode(self, network: nn.Module, mode: ForwardMode) -> None:
        """Set the mode of a network of the model's architecture."""
        network.train(mode.name == "training")
        if self.batch_norm == "stored":
            for norm in running_modules(network):
                norm.train(False)

    def _enter(self, mode: ForwardMode) -> None:
        """Set the model's mode, unless it has it: a walk over its modules takes its time."""
        if self._mode != (mode.name, self._slots.modes()):
            self.set_mode(self.model, mode)
            self._mode = mode.name, self._slots.modes()

    def statistics(
        self,
        points: Tensor,
        parts: Sequence[Callable[[], Tree]],
        graphs: Sequence[Callable[[], Tree]] = (),
    ) -> dict[str, Tensor]:
        """Buffers (batch, ...) at points (batch, d), with running statistics of the inputs.

        parts   of the inputs, trees (n, ...), each read when it is called
        graphs  the same inputs in parts whose graphs fit into memory; as parts, unless given
        Points come one after another, so that statistics have the same bits in every batch. Empty
        for a model without statistics to be recomputed; see `population_statistics`. Differentiable
        by `torch.autograd` with respect to the points, see `nets.execution.statistics_gradient`.
        """
        if not self.norms:
            return {}
        points = points.to(self.execution.device, self.coordinates.dtype)
        gradient = StatisticsGradient(self._evaluated, parts, graphs or parts, self.needs.copied)
        found = differentiable_statistics(points, partial(self._statistics, parts=parts), gradient)
        given = dict[str, Tensor]()
        for names, statistics in zip(self._statistics_names, found, strict=True):
            given |= zip(names, statistics or (), strict=False)
        return {
            name: given[name].to(own) if name in given else own.expand(len(points), *own.shape)
            for name, own in self._slots.buffers().items()
        }

    def allow_training_statistics(self, part: Tree) -> None:
        """Take statistics of one batch by torch's training mode from now on, if they are the same.

        part  of the inputs, (n, ...), on which that is tried
        """
        if not self.norms or self.execution.device.type != "cpu":
            return
        with torch.no_grad():
            trained = self._trained_statistics(self.own_point, lambda: part)
            if trained is not None:
                exact = self._passed_statistics(self.own_point, [lambda: part])
                self.norms_train = all(map(statistics_agree, trained, exact))

    def _statistics(
        self, point: Tensor, parts: Sequence[Callable[[], Tree]]
    ) -> Sequence[PopulationStatistics | None]:
        """The statistics of the norms at a point (d,)."""
        one = self.norms_train and len(parts) == 1
        trained = self._trained_statistics(point, parts[0]) if one else None
        return trained or self._passed_statistics(point, parts)

    def _trained_statistics(
        self, point: Tensor, part: Callable[[], Tree]
    ) -> Sequence[PopulationStatistics] | None:
        with self._evaluated(point) as (norms, forward):
            return statistics_of_training(norms, partial(forward, part))

    def _passed_statistics(
        self, point: Tensor, parts: Sequence[Callable[[], Tree]]
    ) -> Sequence[PopulationStatistics | None]:
        with self._evaluated(point) as (norms, forward):
            return population_statistics(norms, forward, parts)

    @contextmanager
    def _evaluated(
        self, point: Tensor
    ) -> Generator[tuple[list[nn.Module], Callable[[Callable[[], Tree]], None]]]:
        """The norms of the network at a point (d,), and its evaluation of a part of the inputs."""
        self._enter(EVALUATION)
        placed = self._slots.placed(self.needs, self.tensors(point))
        arithmetic = self.execution.arithmetic(False, self._slots.modules)
        with self.execution.exactly(), arithmetic, placed as network:

            def forward(part: Callable[[], Tree]) -> None:
                positional, named = arguments(self.execution.arranged(part()))
                network(*positional, **named)

            yield self.norms if network is self.model else self._norms_of(network), forward

    def _norms_of(self, copied: nn.Module) -> list[nn.Module]:
        """The norms of a copy of the model."""
        modules = zip(self.model.modules(), copied.modules(), strict=True)
        copies = {id(module): copy for module, copy in modules}
        return [copies[id(norm)] for norm in self.norms]

    def values(
        self, points: Tensor, buffers: Buffers, examples: Examples, mode: ForwardMode
    ) -> tuple[Tensor, Tensor]:
        """Results of `run` at points of the coordinates' dtype, on the device: by torch's graph."""
        moving = self.norms if mode.name == "training" else []
        carry = any(buffer.requires_grad for buffer in buffers.values())
        norms = DifferentiableNorms() if carry else nullcontext()
        with self.execution.exactly(), momentum_of(moving, 0.0), norms:
            if self.execution.batching == "vmap":
                return self._batched(points, buffers, examples, mode)
            rows = [  # by unbind, else each gradient has all rows; states may change in place
                self._one(
                    self.parameters(point),
                    {k: b[i].clone() for k, b in buffers.items()},
                    examples,
                    mode,
                )
                for i, point in enumerate(points.unbind())
            ]
            losses, accuracies = zip(*rows, strict=True)
            return torch.stack(losses), torch.stack(accuracies)

    def parameters(self, point: Tensor) -> dict[str, Tensor]:
        """The parameters of one network (d,), copied for cuDNN: its kernels may need alignment."""
        on_cuda = self.execution.device.type == "cuda"
        return self.coordinates.views(point, copied=on_cuda)

    def tensors(self, point: Tensor) -> dict[str, Tensor]:
        """The parameters of one network (d,), and copies of the model's own buffers, by name."""
        return self.parameters(point) | {k: b.clone() for k, b in self._slots.buffers().items()}

    def outputs(self, tensors: Mapping[str, Tensor], inputs: Tree) -> Any:
        """Outputs of the model with other parameters and buffers, by name."""
        positional, named = arguments(inputs)
        with self._slots.placed(self.needs, tensors) as network:
            return network(*positional, **named)

    def state_dict(self, point: Tensor, buffers: Buffers) -> dict[str, Tensor]:
        """A state dict of the network at a point (d,), with buffers (1, ...) by name or its own."""
        state = mapped(torch.clone, dict(self.model.state_dict()))  # extra states are no tensors
        parameters = self.coordinates.views(point)
        for alias, name in self.coordinates.aliases.items():
            parameters[alias] = parameters[name]
        state |= {k: v.clone() for k, v in parameters.items()}
        first = self._slots.first_names()
        for name, buffer in self.model.named_buffers(remove_duplicate=False):
            if buffers and name in state:
                state[name] = buffers[first[id(buffer)]][0].clone()
        return state

    def allow_cuda_graphs(self, points: Tensor, examples: Examples) -> None:
        """Capture work from now on, on a CUDA device, if it is the same each time.

        points (batch, d) and examples on which that is tried.
        """
        if self.execution.device.type != "cuda" or self.needs.copied:
            return

        def work() -> None:
            self.gradients(points, self.own_buffers(len(points)), examples, ForwardMode("training"))

        if not draws(self.execution.device, work) and not synchronizes(work):
            self._graphs = CudaGraphs(self.execution.device)

    def _replay(
        self,
        work: Callable[..., Any],
        examples: Examples,
        mode: ForwardMode,
        points: Tensor,
        buffers: Buffers,
    ) -> Any:
        """Work at points, by a CUDA graph where it is the same each time."""
        if self._graphs is None or torch.is_grad_enabled():
            return work(points, buffers, examples, mode)
        mode = replace(mode, seed=None)  # work that is captured draws nothing
        carry = tuple(buffer.requires_grad for buffer in buffers.values())

        def captured(points: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
            given = iter(tensors)
            own = mapped(lambda _: next(given), examples)
            state = {
                k: tensor.detach().requires_grad_(carries)
                for k, carries, tensor in zip(buffers, carry, given, strict=True)
            }
            return work(points, state, own, mode)

        tensors = points, *tensors_of(examples), *buffers.values()
        return self._graphs.replay((work.__name__, mode.name, carry), captured, tensors)

    def gradients(
        self, points: Tensor, buffers: Buffers, examples: Examples, mode: ForwardMode
    ) -> tuple[Tensor, ...]:
        """Results of `values`, and the losses' gradients (batch, d); then those (batch, ...) by
        buffers that carry a gradient.

        Where points come one after another, so do gradients: what one keeps is kept for one point.
        """
        gradients = torch.empty_like(points)
        carry = [name for name, buffer in buffers.items() if buffer.requires_grad]
        found = list[tuple[Tensor, ...]]()
        size = len(points) if self.execution.batching == "vmap" else 1
        for part in (slice(i, i + size) for i in range(0, len(points), size)):
            with torch.enable_grad(), self.execution.exactly():
                leaf = points[part].detach().requires_grad_()
                state = {name: buffer[part] for name, buffer in buffers.items()}
                state |= {name: state[name].detach().requires_grad_() for name in carry}
                losses, accuracies = self.values(leaf, state, examples, mode)
                leaves = [leaf, *(state[name] for name in carry)]
                gradients[part], *slopes = self._gradients(losses, leaves)
            found.append((losses.detach(), accuracies, *slopes))
        losses, accuracies, *slopes = map(torch.cat, zip(*found, strict=True))
        return losses, accuracies, gradients, *slopes

    def _gradients(self, losses: Tensor, leaves: Sequence[Tensor]) -> Sequence[Tensor]:
        """The losses' gradients (batch, ...) at leaves (batch, ...)."""
        if not self.needs.copied:
            return torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        losses.sum().backward()  # as the reentrant torch.utils.checkpoint wants it
        return [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]

    def _batched(
        self, points: Tensor, buffers: Buffers, examples: Examples, mode: ForwardMode
    ) -> tuple[Tensor, Tensor]:
        """Results of `values`, all points at once."""
        batched = vmap(partial(self._one, examples=examples, mode=mode), randomness="same")
        if len(points) > 1:
            return batched(
                self.coordinates.views(points), {k: b.clone() for k, b in buffers.items()}
            )
        # products of one matrix are summed otherwise than those of several
        twice = {k: torch.cat([b, b]) for k, b in buffers.items()}
        values, correct = batched(self.coordinates.views(points.expand(2, -1)), twice)
        return values[:1], correct[:1]

    def _one(
        self,
        parameters: dict[str, Tensor],
        state: dict[str, Tensor],
        examples: Examples,
        mode: ForwardMode,
    ) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of one network."""
        training, device = mode.name == "training", self.execution.device
        self._enter(mode)
        tensors = {**parameters, **state}
        with seeded(device, mode.seed):
            with self.execution.arithmetic(training, self._slots.modules):
                outputs = self.outputs(tensors, examples.inputs)
            if training and self.execution.precision == "bfloat16":
                outputs = mapped(_widened, outputs)
            correct = self._correct(outputs, examples.targets)
            loss = self.loss_fn(outputs, mapped(torch.clone, examples.targets))
            return loss, loss.new_zeros(()) if correct is None else correct

    def _correct(self, outputs: Any, targets: Tree) -> Tensor | None:
        return None if self.accuracy is None else self.accuracy(outputs.detach(), targets)


def _widened(outputs: Tensor) -> Tensor:
    """Outputs in float32 where autocast made them bfloat16; others as they are."""
    return outputs.float() if outputs.dtype == torch.bfloat16 else outputs
