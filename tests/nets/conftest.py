"""Runs and data folders that tests of the command line share."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.nets.cli_runner import DIGITS, succeed
from tests.nets.data.test_fashion_mnist import Tiny, plain, write


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than these runs, and are looked at in one test."""
    monkeypatch.setattr("simplicial.reports.result_folder._figures", lambda *_: {})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Tetrahedra on four networks of the digits."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "digits"
    return folder, succeed("run", *DIGITS, "--max-dim", 3, "--out", folder)


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Forty images of 28x28 in FashionMNIST's files."""
    rng = np.random.default_rng(4)
    images = [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (40, 5)]
    labels = [rng.integers(0, 10, n, dtype=np.uint8) for n in (40, 5)]
    write(tmp_path / "fashion", Tiny(images[0], labels[0], images[1], labels[1]), plain)
    return tmp_path / "fashion"
