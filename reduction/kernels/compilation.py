"""Compilation of kernels by Numba: at their first call, free of the GIL, cached on disk.

Numba takes longer to import than all else here together, so importing kernels leaves it alone. At
the first call of a kernel it and the kernels that it calls are given to Numba.
"""

import os
from functools import cache, update_wrapper
from threading import RLock
from typing import Any, TypeVar

# A whole number and a real one in a kernel. NumPy's stubs cannot tell that an array indexed by a
# number of either library gives a number, and Numba does not read annotations.
Int = Any
Float = Any
Function = TypeVar("Function")

LOCK = RLock()  # first calls may come from several threads


class Kernel:
    """A function that is compiled when it is called."""

    def __init__(self, function: Any, options: dict[str, Any]) -> None:
        self._function, self._options = function, options
        self._dispatcher: Any = None
        self._ready: Any = None  # the dispatcher, once all that it calls are dispatchers, too
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, compiled."""
        if self._ready is None:
            with LOCK:
                self._ready = self._compiled()
        return self._ready(*arguments)

    def _compiled(self) -> Any:
        """Numba's dispatcher; those of the kernels in its module take their places there."""
        if self._dispatcher is None:
            self._dispatcher = _njit(self._function, self._options)
            names = self._function.__globals__
            for name, value in list(names.items()):
                if isinstance(value, Kernel):
                    names[name] = value._compiled()
        return self._dispatcher


def _njit(function: Any, options: dict[str, Any]) -> Any:
    import numba

    _guard_forks()
    compiler: Any = numba
    try:
        return compiler.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:  # Numba finds no folder to write to: each process compiles anew
        return compiler.njit(nogil=True, **options)(function)


@cache
def _guard_forks() -> None:
    """Let a fork wait for compilations: in the child no thread is left to free their locks."""
    if not hasattr(os, "register_at_fork"):
        return
    from numba.core.compiler_lock import global_compiler_lock

    numbas: Any = global_compiler_lock

    def acquire() -> None:
        LOCK.acquire()
        numbas.acquire()

    def release() -> None:
        numbas.release()
        LOCK.release()

    os.register_at_fork(before=acquire, after_in_parent=release, after_in_child=release)


def _deferred(function: Function, **options: Any) -> Function:
    kernel: Any = Kernel(function, options)  # to its callers, the function
    return kernel


def njit(function: Function) -> Function:
    """Compile a kernel, which may make arrays."""
    return _deferred(function)


def njit_step(function: Function) -> Function:
    """Compile a step of a kernel, which makes no arrays.

    So it need not count who holds the arrays that it is given. Numba would, array by array, in
    each call that passes them on: four fifths of the time of a reduction by cursors.
    """
    return _deferred(function, _nrt=False)


def njit_inline(function: Function) -> Function:
    """Compile a step as part of the kernels that call it.

    Else each call would pass on all numbers that make up its arrays, a hundred or so: a third of
    the time of a reduction by cursors.
    """
    return _deferred(function, _nrt=False, inline="always")
