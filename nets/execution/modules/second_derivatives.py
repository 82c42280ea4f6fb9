"""Operations whose fused kernels have no second derivatives, or wrong ones, by their definitions.

Fused attention has none: torch's MATH backend is its definition. That of `torch._weight_norm`, by
which weight norm is computed, differs from finite differences of the gradient by 16 to 50 per cent
on a CPU (torch 2.14), in double precision too.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def twice_differentiable() -> Generator[None]:
    """Compute with second derivatives, up to rounding with the same values."""
    with sdpa_kernel(SDPBackend.MATH), _Definitions():
        yield


class _Definitions(TorchFunctionMode):
    """A mode in which weight norm is computed by its definition."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch._weight_norm:  # pyright: ignore[reportPrivateImportUsage]
            return _weight_norm(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """v g / |v|, with the norms over all axes but one (Salimans & Kingma 2016, eq. 2)."""
    axes = [axis for axis in range(v.ndim) if axis != dim % v.ndim]
    return v * (g / torch.linalg.vector_norm(v, dim=axes, keepdim=True))
