"""What importing the package brings along, and what it leaves out."""

import subprocess
import sys

import reduction

LATE = {"matplotlib", "networkx", "numba", "scipy", "torch"}


def test_importing_all_of_reduction_leaves_heavy_libraries_alone() -> None:
    script = f"import sys; from reduction import *; print(sorted({LATE} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
    assert finished.stdout.strip() == b"[]"


def test_first_calls_of_a_kernel_may_come_from_many_threads() -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
from reduction.kernels.sparse_columns import inverse
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(inverse, range(1, 9), [11] * 8)) == [1, 6, 4, 3, 9, 2, 8, 7]
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_all_names_are_there_and_sorted() -> None:
    assert all(hasattr(reduction, name) for name in reduction.__all__)
    assert len(set(reduction.__all__)) == len(reduction.__all__)
