"""Networks of one architecture, at points of parameter space, run on some examples."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from nets.execution.checks import LossFunction, kept_bytes, made_bytes
from nets.execution.cuda_graphs import Recordings, waits
from nets.execution.policy import Execution
from nets.execution.rng import drawn, global_generators, seeded
from nets.execution.value_and_grad import differentiable
from nets.parameters import Coordinates

Mode = Literal["evaluation", "statistics", "training"]
Buffers = Mapping[str, Tensor]  # of several points, each (batch, ...)


@dataclass(frozen=True, eq=False, slots=True)
class Pass:
    """What is asked of networks: to be run on some examples.

    y     nothing in a pass for statistics, of which values are zeros
    mode  "evaluation"; "statistics": evaluation in which running statistics take up each batch's;
          "training"
    seed  of torch's global generators, for each point anew, so that what is drawn does not depend
          on the points beside it; None: nothing is drawn
    momentum  with which running statistics take up each batch's, in "statistics"
    """

    x: Tensor
    y: Tensor
    mode: Mode
    seed: int | None = None
    momentum: float = 0.0


class Networks:
    """A model, which is called with other parameters and buffers than its own.

    model        on the device, and this object's alone
    coordinates  its parameters
    execution    how it is run
    loss_fn      (outputs, targets) -> scalar, the mean over examples
    scored       whether targets are class indices

    A model gets copies of examples, so one that changes its inputs in place changes no data.
    """

    def __init__(
        self,
        model: nn.Module,
        coordinates: Coordinates,
        execution: Execution,
        loss_fn: LossFunction,
        scored: bool,
    ) -> None:
        self.model, self.coordinates, self.execution = model, coordinates, execution
        self.loss_fn, self.scored = loss_fn, scored
        self.norms = [m for m in model.modules() if _has_running_statistics(m)]
        self._ties = _ties(model)
        self._buffers = {k: b.detach() for k, b in model.named_buffers()}
        self._generators = global_generators(execution.device)
        self._recordings: Recordings | None = None

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).copy()
        del state["_generators"]
        return state | {"_recordings": self._recordings and Recordings(self.execution.device)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)  # another process draws from its own global generators
        self._generators = global_generators(self.execution.device)

    def record(self, points: Tensor, x: Tensor, y: Tensor) -> None:
        """From now on record work on a CUDA device, if it is the same each time.

        points  (batch, d) at which networks are tried, on examples x and y
        """
        if self.execution.device.type != "cuda":
            return
        asked = Pass(x, y, "training")

        def work() -> None:
            self._gradients(points, self.copies(len(points)), asked)

        if not drawn(self._generators, work) and not waits(work):
            self._recordings = Recordings(self.execution.device)

    def copies(self, count: int) -> dict[str, Tensor]:
        """The model's own buffers, so many times."""
        return {k: b.expand(count, *b.shape).clone() for k, b in self._buffers.items()}

    def run(self, points: Tensor, buffers: Buffers, asked: Pass) -> tuple[Tensor, Tensor]:
        """Loss and accuracy, (batch,) each, at points (batch, d).

        Differentiable by `torch.autograd` with respect to the points. buffers (batch, ...) by name
        stay as they are, but that a pass for statistics changes running statistics in place.
        """
        points = points.to(self.execution.device, self.coordinates.dtype)
        if asked.mode == "statistics":
            return self._values(points, buffers, asked)
        works = self._values, self._gradients
        values, gradients = (partial(self._work, work, buffers, asked) for work in works)
        return differentiable(points, values, gradients)

    def sizes(self, points: Tensor, asked: Pass) -> NDArray[np.int64]:
        """Bytes that one of points (batch, d), batch >= 2, takes of the examples.

        What its gradient keeps; then each tensor that is made without. Raises DataError where
        values carry no gradient.
        """
        some = points if self.execution.batching == "vmap" else points[:1]
        kept = kept_bytes(lambda: self._values(some, self.copies(len(some)), asked)[0])
        parameters = self._parameters(points[0].detach())
        self.model.eval()
        made = made_bytes(lambda: self._outputs(parameters, asked.x))
        return np.array([kept // len(some), *made])

    def _work(self, work: Callable[..., Any], buffers: Buffers, asked: Pass, points: Tensor) -> Any:
        """Work at points, from a recording where it is the same each time."""

        def done(points: Tensor, x: Tensor, y: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            copies = {name: b.clone() for name, b in zip(buffers, state, strict=True)}
            return work(points, copies, replace(asked, x=x, y=y))

        tensors = points, asked.x, asked.y, *buffers.values()
        if self._recordings is None or torch.is_grad_enabled():
            return done(*tensors)
        asked = replace(asked, seed=None)  # what is recorded draws nothing
        return self._recordings.replay((work.__name__, asked.mode), done, tensors)

    def _values(self, points: Tensor, buffers: Buffers, asked: Pass) -> tuple[Tensor, Tensor]:
        """As `run`; all buffers may change in place."""
        with self.execution.exactly(), self._momentum(asked.momentum):
            if self.execution.batching == "vmap":
                return self._batched(points, buffers, asked)
            losses, accuracies = zip(
                *(
                    self._one(self._parameters(point), {k: b[i] for k, b in buffers.items()}, asked)
                    for i, point in enumerate(points.unbind())  # else each gradient has all rows
                ),
                strict=True,
            )
            return torch.stack(losses), torch.stack(accuracies)

    def _gradients(
        self, points: Tensor, buffers: Buffers, asked: Pass
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `_values`, and the losses' gradients (batch, d).

        Where points come one after another, so do gradients: what one keeps is kept for one point.
        """
        gradients = torch.empty_like(points)
        found = list[tuple[Tensor, Tensor]]()
        size = len(points) if self.execution.batching == "vmap" else 1
        for part in (slice(i, i + size) for i in range(0, len(points), size)):
            with torch.enable_grad(), self.execution.exactly():
                leaf = points[part].detach().requires_grad_()
                state = {name: buffer[part] for name, buffer in buffers.items()}
                losses, accuracies = self._values(leaf, state, asked)
                (gradients[part],) = torch.autograd.grad(losses.sum(), leaf)
            found.append((losses.detach(), accuracies))
        losses, accuracies = map(torch.cat, zip(*found, strict=True))
        return losses, accuracies, gradients

    def _batched(self, points: Tensor, buffers: Buffers, asked: Pass) -> tuple[Tensor, Tensor]:
        """As `_values`, all points at once."""
        batched = vmap(partial(self._one, asked=asked), randomness="same")
        if len(points) > 1:
            return batched(self.coordinates.views(points), dict(buffers))
        # products of one matrix are summed otherwise than those of several
        twice = {k: torch.cat([b, b.clone()]) for k, b in buffers.items()}
        values, correct = batched(self.coordinates.views(points.expand(2, -1)), twice)
        for name, buffer in buffers.items():
            buffer.copy_(twice[name][:1])
        return values[:1], correct[:1]

    @contextmanager
    def _momentum(self, momentum: float) -> Generator[None]:
        """Batch norms have this momentum.

        A number, since the cumulative mean of momentum=None cannot be batched.
        """
        before = [norm.momentum for norm in self.norms]
        try:
            for norm in self.norms:
                norm.momentum = momentum  # pyright: ignore
            yield
        finally:
            for norm, own in zip(self.norms, before, strict=True):
                norm.momentum = own

    def _parameters(self, point: Tensor) -> dict[str, Tensor]:
        """Those of one network (d,), copied for cuDNN, whose kernels may need aligned memory."""
        on_cuda = self.execution.device.type == "cuda"
        return self.coordinates.views(point, copied=on_cuda)

    def _one(
        self, parameters: dict[str, Tensor], state: dict[str, Tensor], asked: Pass
    ) -> tuple[Tensor, Tensor]:
        """Loss and accuracy of one network."""
        training = asked.mode == "training"
        self.model.train(training)
        if asked.mode == "statistics":
            return self._take_up(parameters, state, asked)
        with seeded(self._generators, asked.seed):
            with self.execution.arithmetic(training):
                outputs = self._outputs({**parameters, **state}, asked.x)
            if training and self.execution.precision == "bfloat16":
                outputs = outputs.float()
            correct = self._correct(outputs.detach(), asked.y)
            return self.loss_fn(outputs, asked.y.clone()), correct

    def _take_up(
        self, parameters: dict[str, Tensor], state: dict[str, Tensor], asked: Pass
    ) -> tuple[Tensor, Tensor]:
        """Let running statistics take up those of examples: means over all calls of a module."""
        for norm in self.norms:
            norm.train()  # dropout and the like stay in evaluation mode
        hooks = [norm.register_forward_pre_hook(_Turns(asked.momentum)) for norm in self.norms]
        try:
            with seeded(self._generators, asked.seed), self.execution.arithmetic(training=False):
                outputs = self._outputs({**parameters, **state}, asked.x)
        finally:
            for hook in hooks:
                hook.remove()
        return outputs.new_zeros(()), outputs.new_zeros(())

    def _outputs(self, tensors: dict[str, Tensor], x: Tensor) -> Tensor:
        """Of the model with other parameters and buffers, by name.

        Ties are told apart here: torch, where one module has two names, leaves it changed.
        """
        tied = {name: tensors[first] for name, first in self._ties.items() if first in tensors}
        return functional_call(self.model, tensors | tied, (x.clone(),), tie_weights=False)

    def _correct(self, outputs: Tensor, y: Tensor) -> Tensor:
        if not self.scored:
            return outputs.new_zeros(())
        return (outputs.argmax(dim=1) == y).to(outputs.dtype).mean()


class _Turns:
    """Before each call of a batch norm in one forward: its calls are to count alike, and all of
    them together as much as a momentum says.
    """

    def __init__(self, momentum: float) -> None:
        self.momentum, self.turn = momentum, 0
        self.before = list[Tensor]()

    def __call__(self, norm: Any, _inputs: Any) -> None:
        self.turn += 1
        norm.momentum = self.momentum / self.turn
        running = norm.running_mean, norm.running_var
        if self.turn == 1:
            self.before = [statistic.clone() for statistic in running]
            return
        for statistic, before in zip(running, self.before, strict=True):
            # b + f mean(x_1 .. x_j) of b + f mean(x_1 .. x_{j-1}), where b is (1 - f) before
            statistic.mul_(1 - 1 / self.turn).add_((1 - self.momentum) / self.turn * before)
            statistic.div_(1 - norm.momentum)


def _ties(model: nn.Module) -> dict[str, str]:
    """Names under which further modules have a parameter or buffer, each with its first name."""
    ties, first = dict[str, str](), dict[int, str]()
    for prefix, module in model.named_modules():
        for named in (module.named_parameters, module.named_buffers):
            for own, tensor in named(prefix, recurse=False, remove_duplicate=False):
                if first.setdefault(id(tensor), own) != own:
                    ties[own] = first[id(tensor)]
    return ties


def _has_running_statistics(module: nn.Module) -> bool:
    return isinstance(getattr(module, "running_mean", None), Tensor)
