"""How kernels are compiled: cached on disk where Numba finds a folder, free of the GIL."""

from typing import Any, TypeVar

import numba

# A whole number and a real one in a kernel. NumPy's stubs cannot tell that an array indexed by a
# number of either library gives a number, and Numba does not read annotations.
Int = Any
Float = Any
Kernel = TypeVar("Kernel")


def _compiled(function: Kernel, **options: Any) -> Kernel:
    compiler: Any = numba  # its types turn a function into a Dispatcher, which has lost its own
    try:
        return compiler.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # no such folder: each process compiles anew
        return compiler.njit(nogil=True, **options)(function)


def njit(function: Kernel) -> Kernel:
    """Compile, and keep the machine code on disk where Numba finds a folder to write to."""
    return _compiled(function)


def njit_step(function: Kernel) -> Kernel:
    """Compile a step of a kernel, which makes no arrays.

    So it need not count who holds the arrays that it is given. Numba would, array by array, in
    each call that passes them on: four fifths of the time of a reduction by cursors.
    """
    return _compiled(function, _nrt=False)


def njit_inline(function: Kernel) -> Kernel:
    """Compile a step as part of the kernels that call it.

    Else each call would pass on all numbers that make up its arrays, a hundred or so: a third of
    the time of a reduction by cursors.
    """
    return _compiled(function, _nrt=False, inline="always")


def njit_sums(function: Kernel) -> Kernel:
    """Compile loops over real numbers, which may be added in another order than is written.

    So that processors add many at a time; the order is the same in each call. NaN and infinities
    are kept, and come of divisions by zero.
    """
    fastmath = {"contract", "nsz", "reassoc"}
    return _compiled(function, _nrt=False, fastmath=fastmath, error_model="numpy")


def njit_parallel(function: Kernel) -> Kernel:
    """Compile a loop over `numba.prange`."""
    return _compiled(function, parallel=True)
