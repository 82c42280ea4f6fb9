"""A module with other parameters and buffers than its own, for some calls.

They are put into the module as `torch.func.functional_call` does it, for several calls if need be.
Beside them a forward may leave tensors in attributes of modules (a weight that a hook computes from
other parameters, an activation), which belong to the point, so they are taken away again; what else
it leaves is state (`nets.execution.checks` refuses what changes evaluation).

Parts that torch.utils.checkpoint runs again are run when a gradient is taken, after the call, and
parameters in a list of a module are out of reach: such a module is copied instead, and the copy has
the other tensors for good.
"""

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import is_
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode

from nets.execution.modules.norm_functions import differentiable_norms

DIFFERENTIATE: tuple[Any, ...] = (
    torch.autograd.grad,  # by which torch.func differentiates, too
    torch.autograd.backward,
    Tensor.backward,
    Tensor.requires_grad_,
    vars(torch._C.TensorBase)["requires_grad"].__set__,
)


class Needs(NamedTuple):
    """Needs of a module in its calls, as trials found.

    copied          a copy with the other tensors, since parts of it run again for gradients
    differentiates  torch must record also where the caller wants no gradient, since its forward
                    takes some itself, of outputs with respect to inputs, say
    """

    copied: bool = False
    differentiates: bool = False


NO_NEEDS = Needs()


class Slot(NamedTuple):
    """The entry of a parameter or buffer in a module: its kind is the attribute that holds it."""

    module: nn.Module
    kind: Literal["_parameters", "_buffers"]
    name: str

    @property
    def tensor(self) -> Tensor | None:
        """The tensor that stands in it."""
        return vars(self.module)[self.kind][self.name]


@dataclass(frozen=True, eq=False)
class Slots:
    """The parameters and buffers of a model, found by one walk over its modules.

    model    whose modules stay the same
    modules  of the model, each once
    slots    of each tensor, by its first name: further ones are those of tied tensors
    """

    model: nn.Module
    modules: Sequence[nn.Module]
    slots: Mapping[str, Sequence[Slot]]

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """The slots of a model."""
        slots, first = dict[str, list[Slot]](), dict[int, str]()
        for prefix, module in model.named_modules():
            for kind in ("_parameters", "_buffers"):
                for name, tensor in vars(module)[kind].items():
                    if tensor is not None:
                        own = first.setdefault(id(tensor), f"{prefix}.{name}".removeprefix("."))
                        slots.setdefault(own, []).append(Slot(module, kind, name))
        return cls(model, list(model.modules()), slots)

    def first_names(self) -> dict[int, str]:
        """The first name of each tensor that stands in a slot, by its id."""
        return {id(slot.tensor): name for name, slots in self.slots.items() for slot in slots}

    def modes(self) -> list[bool]:
        """Whether each module is in training mode."""
        return [module.training for module in self.modules]

    def buffers(self) -> dict[str, Tensor]:
        """The model's own buffers, by their first names."""
        own = {k: slots[0].tensor for k, slots in self.slots.items() if slots[0].kind == "_buffers"}
        return {name: buffer.detach() for name, buffer in own.items() if buffer is not None}

    @contextmanager
    def placed(self, needs: Needs, tensors: Mapping[str, Tensor]) -> Generator[nn.Module]:
        """The network that has these parameters and buffers, by their first names: the model, whose
        own come back afterwards, or a copy.
        """
        recorded = torch.is_grad_enabled() or needs.differentiates
        with torch.set_grad_enabled(recorded), without_fast_path():
            if needs.copied:
                yield _copied_with(self.model, tensors)
                return
            with _keeping_tensors(self.modules), self._filled(tensors):
                yield self.model

    @contextmanager
    def _filled(self, tensors: Mapping[str, Tensor]) -> Generator[None]:
        """The slots hold these tensors, by their first names."""
        own = list[tuple[dict[str, Tensor | None], str, Tensor | None]]()
        try:
            for path, tensor in tensors.items():
                for module, kind, name in self.slots[path]:
                    entries = vars(module)[kind]
                    own.append((entries, name, entries[name]))
                    entries[name] = tensor
            yield
        finally:
            for entries, name, tensor in reversed(own):
                entries[name] = tensor


class Watch(TorchFunctionMode):
    """A mode that notes whether what is called differentiates."""

    def __init__(self) -> None:
        super().__init__()
        self.differentiates = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.differentiates |= func in DIFFERENTIATE
        return func(*args, **(kwargs or {}))


class KeptGraphs(TorchFunctionMode):
    """A mode in which torch's graph keeps what torch.utils.checkpoint would compute again, when
    tensors of modules are others.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        with kept_graphs():
            return func(*args, **(kwargs or {}))


def kept_graphs() -> saved_tensors_hooks:
    """A context in which torch's graph keeps its tensors itself, in torch.utils.checkpoint too."""
    return saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor)


def _copied_with(model: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A copy of the model that has these tensors, and all else of the model's own.

    Its norms have derivatives by buffers that carry a gradient, when they run again, too.
    """
    memo: dict[int, Any] = {id(p): tensors.get(name, p) for name, p in model.named_parameters()}
    memo |= {id(b): tensors[name] for name, b in model.named_buffers() if name in tensors}
    copied = copy.deepcopy(model, memo)
    for module in copied.modules():
        if any(buffer.requires_grad for buffer in module.buffers(recurse=False)):
            module.forward = differentiable_norms(module.forward)
    return copied


@contextmanager
def without_fast_path() -> Generator[None]:
    """Attention by the path that has gradients: the other, which torch takes where it records none,
    has other values at padded positions.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _keeping_tensors(modules: Sequence[nn.Module]) -> Generator[None]:
    """Attributes that become tensors, or other ones, have their values again afterwards."""
    before = [dict(vars(module)) for module in modules]
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            attributes = vars(module)
            if len(attributes) == len(own) and all(map(is_, attributes.values(), own.values())):
                continue
            for name in [k for k, v in attributes.items() if isinstance(v, Tensor)]:
                if name not in own:
                    del attributes[name]
                elif own[name] is not attributes[name]:
                    attributes[name] = own[name]
