"""Running statistics of batch norm and its kin, as means over given examples.

A module that keeps running statistics updates them by r <- (1 - m) r + m x in training mode, with
momentum m and a batch's statistics x. With m = |B_k| / (|B_1| + ... + |B_k|) for the k-th batch
they become the mean over all batches, weighted by their sizes. A module that is called several
times in a forward counts each of its calls alike.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


def running_modules(model: nn.Module) -> list[nn.Module]:
    """The modules of a model that keep running statistics."""
    return [m for m in model.modules() if isinstance(getattr(m, "running_mean", None), Tensor)]


@contextmanager
def momentum_of(modules: Sequence[nn.Module], momentum: float) -> Generator[None]:
    """The modules have this momentum.

    A number, since the cumulative mean of torch's momentum=None cannot be batched by vmap.
    """
    before: list[Any] = [module.momentum for module in modules]
    try:
        for module in modules:
            module.momentum = momentum  # pyright: ignore
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            module.momentum = own


@contextmanager
def accumulating(modules: Sequence[nn.Module], momentum: float) -> Generator[None]:
    """One forward updates running statistics; all calls of a module have this momentum together.

    The rest of the model stays in evaluation mode, dropout for one.
    """
    for module in modules:
        module.train()
    hooks = [module.register_forward_pre_hook(_MeanOfCalls(momentum)) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _MeanOfCalls:
    """A hook before each call of a module: the momentum for call j of one forward is m / j, behind
    a correction of the running statistics, so that j calls give (1 - m) r + m mean(x_1 .. x_j).
    """

    def __init__(self, momentum: float) -> None:
        self.momentum, self.calls = momentum, 0
        self.before = list[Tensor]()

    def __call__(self, module: Any, _inputs: Any) -> None:
        self.calls += 1
        module.momentum = self.momentum / self.calls
        running = module.running_mean, module.running_var
        if self.calls == 1:
            self.before = [statistic.clone() for statistic in running]
            return
        for statistic, before in zip(running, self.before, strict=True):
            # b + m mean(x_1 .. x_j) of b + m mean(x_1 .. x_{j-1}), where b is (1 - m) before
            statistic.mul_(1 - 1 / self.calls).add_((1 - self.momentum) / self.calls * before)
            statistic.div_(1 - module.momentum)
