"""Objects of users' own modules, by name: the function that makes a network, data, a loss."""

import importlib
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from torch import nn

from reduction import DataError


@contextmanager
def working_directory_importable() -> Generator[None]:
    """Imports in this block find modules of the working directory, as those of `python -m` do.

    So do worker processes that are begun in it, which multiprocessing tells the paths of this one.
    """
    folder = os.getcwd()
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # a user's module may have taken it out
            sys.path.remove(folder)


def find(kind: str, name: str) -> Any:
    """The object called `name`, "module:object", of a user's module.

    kind  what it stands for, in messages: "a factory"
    The module is imported as by `python -m`, so from the working directory too. Raises DataError.
    """
    module, _, path = name.partition(":")
    if not module or not path:
        raise DataError(
            f"{kind} is named as module:function, got {name!r}: give my_module:make_model, say"
        )
    try:
        with working_directory_importable():
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
    except (Exception, SystemExit) as error:  # a user's module raises what it likes
        raise DataError(
            f"{kind} {name!r} cannot be imported ({_reason(error)}): name a module on Python's "
            "path, or in the working directory, that imports without an error, and a function in it"
        ) from error
    return found


def call(kind: str, name: str, function: Callable[[], Any]) -> Any:
    """The value of a user's function without arguments. Raises DataError where it fails."""
    try:
        with working_directory_importable():
            return function()
    except (Exception, SystemExit) as error:
        raise DataError(
            f"{kind} must return its result when it is called without arguments, {name!r} "
            f"fails ({_reason(error)}): mend the function, or give its arguments defaults"
        ) from error


class Factory(NamedTuple):
    """A user's network, by name.

    model  the untrained network
    make   makes another one, freshly initialised; None for a network that stands in a module ready
           made, which has no other initialisation
    """

    model: nn.Module
    make: Callable[[], nn.Module] | None

    @classmethod
    def named(cls, name: str, kind: str = "a factory") -> "Factory":
        """The factory called "module:function", a function without arguments that returns an
        untrained network, or "module:network", a network. Raises DataError.
        """
        found = find(kind, name)
        if isinstance(found, nn.Module):
            return cls(found, None)
        if not callable(found):
            raise DataError(
                f"{kind} must be a function that returns a torch.nn.Module, {name!r} is a "
                f"{type(found).__name__}: return an untrained network"
            )

        def make() -> nn.Module:
            network = call(kind, name, found)
            if not isinstance(network, nn.Module):
                raise DataError(
                    f"{kind} must return a torch.nn.Module, {name!r} gives a "
                    f"{type(network).__name__}: return an untrained network"
                )
            return network

        return cls(make(), make)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}"
