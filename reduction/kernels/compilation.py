"""How kernels are compiled: cached on disk where Numba finds a folder, free of the GIL."""

from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel")


def njit(function: Kernel) -> Kernel:
    """Compile, and keep the machine code on disk where Numba finds a folder to write to."""
    compiler: Any = numba  # its types turn a function into a Dispatcher, which has lost its own
    try:
        return compiler.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no such folder: each process compiles anew
        return compiler.njit(nogil=True)(function)
