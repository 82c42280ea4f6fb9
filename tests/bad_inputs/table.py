"""What tables of bad inputs have in common: their rows, what a refusal is, and what has no row."""

import inspect
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib import pyplot as plt

from reduction import TopologyError

INSTEAD = (0.5, "1", None, True)
"""In place of a whole number."""

UNSURE = ("yes", 1, None)
"""In place of True or False."""

INF, NAN = math.inf, math.nan

NO_COUNT = (*INSTEAD, 0, -1, NAN)
"""In place of a whole number above 0."""

NO_SEED = (*INSTEAD, -1)
"""In place of a whole number of at least 0."""

NO_PATH = (3, None, "a\0b", str)
"""In place of the name of a file."""

NO_AXES = (5, "ax", np.array([1]))
"""In place of matplotlib's axes."""


class Row(NamedTuple):
    """Bad arguments of one kind.

    name      of a function, a class, or Class.method
    call      what takes a bad argument, with the package's good ones beside it
    error     what is raised
    sentence  a piece of what it says
    bad       arguments, each of them bad; one is enough where the call has its own
    """

    name: str
    call: Callable[[Any, Any], object]
    error: type[Exception]
    sentence: str
    bad: tuple[Any, ...] = (None,)


def rows(*table: Row) -> pytest.MarkDecorator:
    """A test for each bad argument of each row."""
    params = [
        pytest.param(row, bad, id=f"{row.name}-{row.sentence[:30]}-{str(bad)[:20]!r}")
        for row in table
        for bad in row.bad
    ]
    return pytest.mark.parametrize(("row", "bad"), params)


def assert_refused(row: Row, bad: Any, good: Any, folder: Path) -> None:
    """The library's own error, one sentence with a remedy, which names a bad number, its type or
    its shape; no file and no picture is left behind."""
    before, figures = _content(folder), plt.get_fignums()
    with pytest.raises(row.error) as caught:
        row.call(good, bad)
    assert _content(folder) == before
    assert plt.get_fignums() == figures
    text = str(caught.value)
    assert row.sentence in text
    if isinstance(bad, int | float):
        assert any(named in text for named in (repr(bad), type(bad).__name__, "shape"))
    if issubclass(row.error, OSError):
        return
    assert isinstance(caught.value, TopologyError)
    assert "\n" not in text
    assert "Traceback" not in text
    assert len(text) < 700
    remedies = [text.rpartition(mark)[2] for mark in (": ", "; ") if mark in text]
    assert remedies, "no remedy"
    assert all(remedy and not remedy.endswith(".") for remedy in remedies)


def assert_complete(package: ModuleType, table: Iterable[Row], handed: set[str]) -> None:
    """All of a package's names, and of their methods, that take an argument have a row; and every
    name of a row is there.

    handed  names that need none, a class with all its methods
    """
    covered = {row.name for row in table} | handed
    classes = {name.split(".")[0] for name in covered}
    methods = [name for name in _methods(package) if name.split(".")[0] not in handed]
    assert {*_called(package)} - classes | {*methods} - covered == set()
    assert covered - {*_called(package), *_methods(package)} == set()


def _called(package: ModuleType) -> list[str]:
    """Functions, classes that are no errors, and types of functions."""
    found = {name: getattr(package, name) for name in package.__all__}
    return [
        name
        for name, value in found.items()
        if callable(value) and not (isinstance(value, type) and issubclass(value, Exception))
    ]


def _methods(package: ModuleType) -> list[str]:
    """Class.method for every method of its own that takes an argument."""
    return [
        f"{name}.{method}"
        for name in _called(package)
        if isinstance(getattr(package, name), type)
        for method, value in vars(getattr(package, name)).items()
        if isinstance(value, classmethod | staticmethod) or inspect.isfunction(value)
        if not method.startswith("_") or method in ("__call__", "__getitem__")
        if _takes(getattr(package, name), method)
    ]


def _takes(kind: type, method: str) -> bool:
    bound = inspect.isfunction(inspect.getattr_static(kind, method))
    return len(inspect.signature(getattr(kind, method)).parameters) > (1 if bound else 0)


def _content(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
