"""Benchmarks follow the code: each can be imported, and says what it prints."""

import importlib

import pytest

from tests.structure.imports import ROOT

BENCHMARKS = sorted(path.stem for path in (ROOT / "tests" / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_a_script_with_a_docstring(name: str) -> None:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    assert callable(module.main)
    assert module.__doc__
