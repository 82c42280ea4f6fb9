"""Importing any module leaves its process as it was, and loads no heavy library."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.structure.imports import PACKAGES, ROOT, modules

# Threads are counted before and after: a setting from outside would hide one that is made.
SETTINGS = ("MKL", "OMP", "OPENBLAS", "NUMEXPR", "KMP", "NUMBA_NUM", "MPLBACKEND")


def compared(
    *arguments: str, folders: tuple[Path, ...] = (ROOT,)
) -> dict[str, dict[str, list[str]]]:
    """What tests/structure/process_state.py prints, run in a fresh process."""
    environment = {name: v for name, v in os.environ.items() if not name.startswith(SETTINGS)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.structure.process_state", *arguments],
        env=environment | {"PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT)))},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_module_changes_its_process() -> None:
    names = list(modules())  # a package before the modules in it, as Python imports them
    assert len(names) > 100
    found = compared(*names)
    assert list(found) == names
    assert {name: changed for name, changed in found.items() if changed} == {}


def test_packages_that_are_imported_first_change_nothing() -> None:
    found = compared("--bare", *PACKAGES, "nets.cli")
    assert {name: changed for name, changed in found.items() if changed} == {}


CHANGES = [
    ("environment: OMP_NUM_THREADS", "import os; os.environ['OMP_NUM_THREADS'] = '1'"),
    ("sys.path", "import sys; sys.path.append('here')"),
    ("threads of PyTorch", "import torch; torch.set_num_threads(1 + torch.get_num_threads())"),
    ("threads of Numba", "import numba; numba.set_num_threads(1 + (numba.get_num_threads() < 2))"),
    ("warning filters", "import warnings; warnings.simplefilter('ignore')"),
    ("random numbers of Python", "import random; random.seed(1)"),
    ("random numbers of NumPy", "import numpy; numpy.random.seed(1)"),
    ("random numbers of PyTorch", "import torch; torch.manual_seed(1)"),
    ("matplotlib's backend", "import matplotlib; matplotlib.use('svg')"),
    ("heavy libraries", "import matplotlib.pyplot"),
    ("heavy libraries", "import torchvision"),
    ("open file", "kept = open(__file__)"),
    ("signal 15", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"),
]


def test_each_change_is_found(tmp_path: Path) -> None:
    for number, (_, line) in enumerate(CHANGES):
        (tmp_path / f"change_{number}.py").write_text(line, encoding="utf-8")
    (tmp_path / "no_change.py").write_text("import math", encoding="utf-8")
    names = [f"change_{number}" for number in range(len(CHANGES))]
    found = compared(*names, "no_change", folders=(tmp_path,))
    for (part, _), name in zip(CHANGES, names, strict=True):
        assert [changed for changed in found[name] if changed.startswith(part)], name
    assert found["no_change"] == {}
