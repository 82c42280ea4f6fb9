"""Seconds from the end of `import reduction` to the first barcode, with nothing compiled and after.

Each time is that of a new process. At first Numba's cache is an empty folder, so the kernels are
compiled; then they are there. Short columns are reduced by cursors; long ones need blocks of bits
too, which are compiled then; a listed complex is reduced by other kernels.

    python tests/benchmarks/first_barcode.py
"""

import os
import subprocess
import sys
import tempfile

BEGIN = """
import time
import reduction
begin = time.perf_counter()
import numpy as np
rng = np.random.default_rng(20261124)
"""
COMPLETE = """
values = [np.zeros(20)] + [r + {values} for r, m in ((1, 190), (2, 1140), (3, 4845))]
reduction.FilteredComplex.complete(20, values).barcode()
"""
LISTED = """
triangles = np.sort(rng.random((200, 20)).argsort()[:, :3])
edges = np.unique(triangles[:, [[0, 1], [1, 2], [0, 2]]].reshape(-1, 2), axis=0)
simplices = [np.arange(20)[:, None], edges, np.unique(triangles, axis=0)]
values = [r + rng.random(len(rows)) for r, rows in enumerate(simplices)]
reduction.FilteredComplex(simplices, values).barcode()
"""
END = "print(f'{time.perf_counter() - begin:.2f} s')"
CASES = {
    "complete, short columns": COMPLETE.format(values="np.arange(m) / m"),
    "complete, long columns": COMPLETE.format(values="rng.random(m)"),
    "listed": LISTED,
}


def seconds(statements: str, cache: str) -> str:
    """What a new process prints."""
    command = [sys.executable, "-c", BEGIN + statements + END]
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return ended.stdout.strip()


def main() -> None:
    """Print the table."""
    print("| complex | nothing compiled | compiled before |\n|---|---|---|")
    for name, statements in CASES.items():
        with tempfile.TemporaryDirectory() as cache:
            print(f"| {name} | {seconds(statements, cache)} | {seconds(statements, cache)} |")


if __name__ == "__main__":
    main()
