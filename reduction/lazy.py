"""Public names of a package, imported when they are first used.

A package's `__init__.pyi` imports them: type checkers read it, and so does the package itself,
which then loads nothing when it is imported. Source: PEP 562; Scientific Python, SPEC 1.
"""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package, by the stub beside its `file`.

    A stub may import names that it does not list: former ones, which still load.
    """
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text("utf-8"))
    homes = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in stub.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for alias in statement.names
    }
    (listed,) = (statement.value for statement in stub.body if isinstance(statement, ast.Assign))
    public = sorted(ast.literal_eval(listed))

    def load(name: str) -> Any:
        """A public name, or a module of the package. Raises AttributeError for other names."""
        if name in homes:
            module, own = homes[name]
            value = getattr(import_module(module), own)
            setattr(sys.modules[package], name, value)
            return value
        path = f"{package}.{name}"
        try:
            if not name.startswith("_"):
                return import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load, lambda: sorted({*vars(sys.modules[package]), *public}), public
