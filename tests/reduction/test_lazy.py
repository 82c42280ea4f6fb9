"""Packages that load their public names when they are used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from pkgutil import iter_modules

import pytest

PACKAGES = ["reduction", "simplicial", "nets", "nets.data"]


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_those_of_the_stub_and_hide_no_module(package: str) -> None:
    loaded = importlib.import_module(package)
    stub = ast.parse(Path(str(loaded.__file__)).with_suffix(".pyi").read_text("utf-8"))
    (listed,) = (s.value for s in stub.body if isinstance(s, ast.Assign))
    assert sorted(ast.literal_eval(listed)) == loaded.__all__
    assert set(loaded.__all__) <= set(dir(loaded))
    assert not set(loaded.__all__) & {module.name for module in iter_modules(loaded.__path__)}
    for name in loaded.__all__:
        assert getattr(loaded, name) is getattr(loaded, name)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error(package: str) -> None:
    loaded = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = loaded.nothing
    assert not hasattr(loaded, "_nothing")


def test_importing_packages_loads_nothing_and_modules_are_found_below_them() -> None:
    program = """
import sys
import nets, reduction, simplicial
assert not {"numpy", "torch", "numba", "matplotlib"} & set(sys.modules)
assert simplicial.errors.LossWarning is simplicial.LossWarning
assert reduction.errors.TopologyError is reduction.TopologyError
from simplicial import *
assert build_complex is simplicial.build.build_complex
"""
    subprocess.run([sys.executable, "-c", program], check=True)
