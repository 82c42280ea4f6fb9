"""Anytime builds of networks against the full build: gradients, and bottleneck distances.

MLPs 64-32-10 on the digits, on the cross-entropy with 0.5e-3 |theta|^2 added, polished: the case
"mlp" of `minimax_cases`. The full build and one for each tolerance, all by
StochasticMinimax with as many epochs, on maxima that are sampled. Gradients are counted as they are
asked for, each on a mini-batch of 128 examples.

    python -m tests.benchmarks.networks.anytime --minima FILE [--count 12] [--epochs 50]
        [--tolerances 0.02 0.01 0.005] [--full FILE]

FILE keeps the minima, which are trained where it is not there; that of --full likewise the full
build. The bound is half of the largest value of a simplex over its highest vertex, each up to the
level at which its boundary bounds without it: the error, but for what sampled maxima may be too
low by.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import gudhi.hera
import numpy as np
import torch

from simplicial import LossComplex, Minima, StochasticMinimax, build_complex, configure_process
from tests.benchmarks.networks.minimax_cases import CASES


def distances(one: LossComplex, other: LossComplex) -> list[float]:
    """Bottleneck distances of the indices 0 and 1."""
    a, b = one.barcode(), other.barcode()
    return [gudhi.hera.bottleneck_distance(a[r], b[r], 0.0) for r in range(2)]


def bounds(of: LossComplex) -> list[float]:
    """Those of the indices 0 and 1, as if maxima were exact."""
    lower = [of.values[0][simplices.vertices].max(axis=1) for simplices in of.simplices]
    barcode = of.filtration.barcode(lower=lower)
    return [barcode.error(r) for r in range(2)]


def line(name: str, gradients: int, share: float, of: LossComplex, apart: list[float]) -> None:
    """A row of the table."""
    barcode = of.barcode()
    longest = [float(np.ptp(barcode.finite(r), axis=1).max(initial=0.0)) for r in range(2)]
    numbers = [*apart, *bounds(of), *longest]
    print(f"{name:10} {gradients:9} {share:7.3f}" + "".join(f" {x:9.5f}" for x in numbers), end="")
    print("" if of.spent is None else f"  {of.spent.ended}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minima", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--tolerances", type=float, nargs="+", default=(0.02, 0.01, 0.005))
    parser.add_argument("--full", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    case, optimizer = CASES["mlp"], StochasticMinimax(epochs=arguments.epochs)
    loss = case.loss()
    minima = Minima(case._replace(minima=arguments.count).trained(loss, arguments.minima), loss)
    common: dict[str, Any] = {"optimizer": optimizer, "tolerance": None, "progress": False}
    if arguments.full is not None and arguments.full.exists():
        full = LossComplex.load(arguments.full, loss)
    else:
        full = build_complex(minima, 2, **common)
        if arguments.full is not None:
            full.save(arguments.full)
    each = [optimizer.gradient_count(r, optimizer.mini_batch_count(loss)) for r in (1, 2)]
    whole = sum(n * len(s.vertices) for n, s in zip(each, full.simplices[1:], strict=True))
    every = np.concatenate(full.values)
    print(f"{len(minima)} minima, values over {np.ptp(every):.4f}, of index 0, 1 each:")
    print(f"{'tolerance':10} gradients   share  distance to full       bound     longest bar")
    line("full", whole, 1.0, full, [0.0, 0.0])
    for tolerance in arguments.tolerances:
        before, began = loss.gradients, time.perf_counter()
        some = build_complex(minima, 2, tolerance_of_bars=tolerance, **common)
        count = loss.gradients - before
        line(f"{tolerance:g}", count, count / whole, some, distances(some, full))
        print(f"  {some.spent}; {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    configure_process()
    main()
