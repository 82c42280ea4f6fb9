"""How much faster two of Dask's workers finish a run than one does, and whether the bits are equal.

    python tests/benchmarks/dask_scaling.py [--epochs 50] [--times 1]

Four LeNets on the digits at 12 x 12 pixels, their 6 edges and 4 triangles, one to a batch. Workers
are processes of this machine with one thread each. A small run comes before each that is timed, so
that workers have imported what they need; of several, in turn, the best counts. What else the
machine does meanwhile is not known here: its load is printed.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path

import torch
from distributed import Client

from nets import LeNet, NetworkLoss, load_digits, train_minima
from simplicial import Algorithm1, Recipe, build_complex

SIZE = 12
WORKERS = (1, 2)


def barcodes(executor: Executor, epochs: int) -> bytes:
    """The file of the run's barcodes."""
    digits = load_digits().resized(SIZE)
    loss = NetworkLoss(LeNet(size=SIZE), digits.train_inputs, digits.train_targets)
    recipe = Recipe(epochs=epochs)
    minima = train_minima(loss, 4, recipe=recipe, executor=executor, batch=1)
    optimizer = Algorithm1(recipe=recipe)
    built = build_complex(
        minima, 2, optimizer=optimizer, tolerance=None, executor=executor, batch=1
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "barcodes.json"
        built.barcode().save(file)
        return file.read_bytes()


def timed(workers: int, epochs: int) -> tuple[float, bytes]:
    """Seconds of the run, and what came out."""
    with Client(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as client:
        executor = client.get_executor()
        barcodes(executor, 1)
        began = time.perf_counter()
        found = barcodes(executor, epochs)
        return time.perf_counter() - began, found


def main() -> None:
    """Print the seconds, their ratio, and whether the files are the same bytes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--times", type=int, default=1, help="runs, of which the best counts")
    options = parser.parse_args()
    torch.set_num_threads(1)
    seconds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    files: set[bytes] = set()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for _ in range(options.times):
        for workers in WORKERS:
            took, found = timed(workers, options.epochs)
            seconds[workers].append(took)
            files.add(found)
            print(f"{workers} of Dask's workers: {took:.1f} s")
    one, two = (min(seconds[workers]) for workers in WORKERS)
    print(f"two workers are {one / two:.2f} times as fast as one")
    print(f"barcodes equal bit for bit: {len(files) == 1}")


if __name__ == "__main__":
    main()
