"""A stand-in for Windows: what Linux has and it has not is refused, to our packages alone.

Every Python that starts with this folder in PYTHONPATH imports this file first, workers too. Other
packages, which are built for the system that they run on, get all that it has.
"""

import builtins
import io
import os
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

OURS = {"reduction", "simplicial", "nets"}
MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "tty"}
CALLS = {
    *("O_DIRECTORY", "O_NOFOLLOW", "fork", "geteuid", "getuid", "mkfifo", "register_at_fork"),
    *("sched_getaffinity", "sysconf", "uname"),
}
FOLDERS = ("/proc", "/sys")


class Altered(ModuleType):
    """A module without some of its names, and with others."""

    def __init__(self, whole: ModuleType, missing: set[str], **others: Any) -> None:
        super().__init__(whole.__name__)
        vars(self).update(others, _whole=whole, _missing=missing)

    def __getattr__(self, name: str) -> Any:
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._whole, name)


ALTERED = {"os": Altered(os, CALLS), "sys": Altered(sys, set(), platform="win32")}


def is_ours(name: object) -> bool:
    return str(name).partition(".")[0] in OURS


def importing(find: Callable[..., ModuleType]) -> Callable[..., ModuleType]:
    def find_module(name: str, globals: Any = None, *others: Any, **named: Any) -> ModuleType:
        if is_ours((globals or {}).get("__name__")):
            if name in MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in ALTERED:
                return ALTERED[name]
        return find(name, globals, *others, **named)

    return find_module


def outside(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of paths that finds nothing in FOLDERS where our packages call it, or pathlib does
    for them."""

    def call(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith(FOLDERS):
            caller: FrameType | None = sys._getframe(1)
            while caller is not None and caller.f_globals.get("__name__") == "pathlib":
                caller = caller.f_back
            if caller is not None and is_ours(caller.f_globals.get("__name__")):
                raise FileNotFoundError(2, "No such file or directory", str(path))
        return function(path, *arguments, **options)

    return call


builtins.__import__ = importing(builtins.__import__)
builtins.open = io.open = outside(io.open)
os.stat = outside(os.stat)
