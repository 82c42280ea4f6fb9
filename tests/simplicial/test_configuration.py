"""What `configure_process` tells MKL, and that importing tells nothing."""

import subprocess
import sys

import pytest
import torch

MULTIPLY = "import torch; a = torch.ones(50, 50); a @ a"
CONFIGURE = "from simplicial import configure_process; configure_process()"


def ended(*statements: str) -> str:
    """What a fresh process of these statements says on stderr."""
    command = [sys.executable, "-c", "; ".join(statements)]
    done = subprocess.run(
        command, env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )
    return done.stderr


def test_what_comes_first_is_silent() -> None:
    assert not ended(CONFIGURE, MULTIPLY, CONFIGURE)
    assert not ended("import torch; torch.set_num_threads(1)", CONFIGURE, MULTIPLY, CONFIGURE)


def test_a_choice_of_the_environment_stays() -> None:
    choose = "import os; os.environ['MKL_CBWR'] = 'OFF'"
    assert not ended(choose, MULTIPLY, CONFIGURE, "assert os.environ['MKL_CBWR'] == 'OFF'")


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch has no MKL here")
def test_what_comes_too_late_says_so() -> None:
    assert "RuntimeWarning: MKL_CBWR must be set before torch multiplies" in ended(
        MULTIPLY, CONFIGURE
    )
