"""Barriers on straight lines between networks, plain and with aligned hidden units, as a table.

Three MLPs of each kind, trained by the recipe of the digits on all training images. A barrier is
the largest loss at 25 points of the straight line, less the larger loss of its ends; the mean over
the three pairs, and the mean distance of the pairs. Alignment is weight matching (`nets.align`).

    python tests/benchmarks/alignment.py [--epochs 50] [--fashion-epochs 10]
"""

import argparse
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from nets import (
    DIGITS_MLP,
    MLP,
    ImageData,
    NetworkLoss,
    align,
    load_digits,
    load_fashion_mnist,
    train_minima,
)
from simplicial import Minima
from simplicial.evaluation import evaluate

POINTS = 25


class Case(NamedTuple):
    """A network on a data set."""

    data: str
    hidden: tuple[int, ...]


CASES = [
    Case("digits", (32,)),
    Case("digits", (512,)),
    Case("digits", (64, 64)),
    Case("fashion-mnist", (64,)),
    Case("fashion-mnist", (512,)),
    Case("fashion-mnist", (512, 512)),
]


def straight(minima: Minima) -> tuple[float, float]:
    """Mean barrier and mean distance of all pairs."""
    barriers, distances = [], []
    share = torch.linspace(0, 1, POINTS)[:, None].to(minima.points)
    for a, b in combinations(minima.points, 2):
        losses = evaluate(minima.loss, (1 - share) * a + share * b).loss
        barriers.append(losses.max() - max(losses[0], losses[-1]))
        distances.append(float((a - b).norm()))
    return float(np.mean(barriers)), float(np.mean(distances))


def row(case: Case, images: ImageData, epochs: int) -> str:
    """A line of the table."""
    model = MLP(int(np.prod(images.shape)), case.hidden)
    loss = NetworkLoss(model, images.train_inputs, images.train_targets)
    plain = train_minima(loss, 3, recipe=DIGITS_MLP.changed(epochs=epochs), progress=False)
    aligned = align(plain)
    changed = np.abs(aligned.values - plain.values).max()
    (barrier, distance), (lower, nearer) = straight(plain), straight(aligned)
    hidden = "-".join(map(str, case.hidden))
    return (
        f"| {case.data} | {hidden} | {plain.values.max():.3g} | {barrier:.3g} | {lower:.3g} "
        f"| {distance:.3g} | {nearer:.3g} | {changed:.1e} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=50, help="on the digits")
    parser.add_argument("--fashion-epochs", type=int, default=10, help="on FashionMNIST")
    options = parser.parse_args()
    images = {"digits": load_digits(), "fashion-mnist": load_fashion_mnist()}
    epochs = {"digits": options.epochs, "fashion-mnist": options.fashion_epochs}
    lines = [
        "| data | hidden | largest loss | barrier, plain | aligned | distance, plain | aligned "
        "| change of the losses |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [row(case, images[case.data], epochs[case.data]) for case in tqdm(CASES)]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
