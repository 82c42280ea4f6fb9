"""Changes that imports make to their process: `python -m tests.structure.process_state MODULE...`.

Modules are imported one after another, and printed as JSON: for each the parts of the process's
state that differ, before and after. PyTorch, Numba, NumPy, SciPy and matplotlib are imported first,
so that their own changes are not counted. With `--bare` nothing is imported first, and only what
Python itself knows is compared: code might act only where no library has read a setting yet.
"""

import importlib
import json
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

State = dict[str, str]
HEAVY = ("matplotlib.pyplot", "networkx", "scipy.optimize", "sklearn", "torchvision")


def of_python() -> State:
    """The parts of a process's state that need no library."""
    state: State = {f"environment: {name}": value for name, value in os.environ.items()}
    state |= {f"open file {fd}": path for fd, path in open_files()}
    state |= {f"signal {n}": str(signal.getsignal(n)) for n in signal.valid_signals()}
    return state | {
        "sys.path": str(sys.path),
        "finders of modules": str([*sys.meta_path, *sys.path_hooks]),
        "working folder": os.getcwd(),
        "hooks": str([sys.excepthook, sys.displayhook, threading.excepthook]),
        "recursion limit": str(sys.getrecursionlimit()),
        "threads of Python": str(threading.enumerate()),
        "random numbers of Python": str(random.getstate()),
    }


def open_files() -> Iterable[tuple[str, str]]:
    """Descriptors of this process and what they are of, where /proc lists them."""
    listed = Path("/proc/self/fd")
    for link in sorted(listed.iterdir()) if listed.exists() else []:
        try:
            yield link.name, os.readlink(link)
        except OSError:  # the descriptor by which the folder was read
            continue


def of_libraries() -> State:
    """The same, and what libraries know that must have been imported before."""
    import matplotlib as mpl
    import numba
    import numpy as np
    import torch

    settings = {name: dict.__getitem__(mpl.rcParams, name) for name in mpl.rcParams}
    state = of_python() | {f"matplotlib's {name}": str(value) for name, value in settings.items()}
    return state | {
        "heavy libraries": str([name for name in HEAVY if name in sys.modules]),
        "threads of Numba": str(numba.get_num_threads()),
        "threads of PyTorch": f"{torch.get_num_threads()}, {torch.get_num_interop_threads()}",
        "random numbers of NumPy": str(np.random.get_state()),  # noqa: NPY002
        "random numbers of PyTorch": str(torch.get_rng_state().tolist()),
        "errors and printing of NumPy": f"{np.geterr()}, {np.get_printoptions()}",
        "PyTorch's dtype": str(torch.get_default_dtype()),
        "PyTorch's gradients": str(torch.is_grad_enabled()),
        "PyTorch's determinism": str(torch.are_deterministic_algorithms_enabled()),
        "PyTorch's precision": torch.get_float32_matmul_precision(),
        "PyTorch's backends": f"{torch.backends.cudnn.benchmark}, {torch.backends.cudnn.enabled}",
        "warning filters": str(warnings.filters),
    }


def changes(module: str, state: Callable[[], State]) -> dict[str, list[str]]:
    """The parts of the state that an import changes, their values before and after."""
    before = state()
    importlib.import_module(module)
    after = state()
    pairs = {name: [before.get(name, ""), after.get(name, "")] for name in before | after}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def main(*arguments: str) -> None:
    """Import, compare and print."""
    bare, names = arguments[0] == "--bare", [name for name in arguments if name != "--bare"]
    if not bare:
        for library in ("matplotlib", "numba", "scipy.sparse", "scipy.special", "torch"):
            importlib.import_module(library)
    state = of_python if bare else of_libraries
    print(json.dumps({name: changes(name, state) for name in names}))


if __name__ == "__main__":
    main(*sys.argv[1:])
