"""What importing the package brings along, and what it leaves out."""

import subprocess
import sys

import reduction


def test_importing_reduction_leaves_torch_alone() -> None:
    script = "import sys, reduction; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_all_names_are_there_and_sorted() -> None:
    assert all(hasattr(reduction, name) for name in reduction.__all__)
    assert len(set(reduction.__all__)) == len(reduction.__all__)
