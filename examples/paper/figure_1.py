"""Figure 1: loss (above) and accuracy (below) inside the triangle of three LeNet-like networks on
FashionMNIST, sides' centres fixed and trainable, for several numbers of epochs.

    python -m examples.paper.figure_1 --scale small --out figure_1.png

The minima are trained once, by the paper's recipe; edges and triangles for as many epochs as a
title says. What is drawn is kept beside the picture as JSON. Scales: smoke, the digits at 12 x 12
pixels, 64 images; small, FashionMNIST's first 6,000; paper, all of it and 50 epochs, which takes
an hour or two on one core.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.figure import Figure
from tqdm import tqdm

from examples.paper.experiment import keep
from examples.paper.options import (
    add_data,
    add_folder,
    add_picture,
    add_precision,
    add_scale,
    in_a_sentence,
    refuse_with_drawn,
)
from examples.paper.pictures import ABOVE, Triangle, read, save, write
from nets import LENET, LeNet, NetworkLoss, train_minima
from nets.data import load
from simplicial import Algorithm1, LossComplex, Minima, build_complex, plot_samples


class Scale(NamedTuple):
    """How large the experiment is; None: all of it."""

    data: str
    subset: int | None
    image_size: int | None
    epochs: int  # of the minima
    budgets: tuple[int, ...]  # epochs of edges and triangles
    resolution: int


SCALES = {
    "smoke": Scale("digits", 64, 12, 1, (1,), 3),
    "small": Scale("fashion-mnist", 6000, None, 20, (5, 20), 12),
    "paper": Scale("fashion-mnist", None, None, 50, (10, 50), 16),
}
SIDES: tuple[Literal["fixed", "trainable"], ...] = ("fixed", "trainable")


def network_loss(scale: Scale, given: argparse.Namespace) -> NetworkLoss:
    """Of LeNet, on the training images."""
    images = load(
        scale.data,
        given.data_dir,
        given.download,
        subset=scale.subset,
        image_size=scale.image_size,
    )
    channels, size, _ = images.shape
    model = LeNet(channels, size, images.classes)
    return NetworkLoss(model, images.train_inputs, images.train_targets, precision=given.precision)


def complexes(scale: Scale, loss: NetworkLoss, folder: Path) -> dict[str, LossComplex]:
    """One for each column of the figure; kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)  # refused before anything is trained
    found: dict[str, LossComplex] = {}
    minima: Minima | None = None
    for budget, sides in tqdm(list(product(scale.budgets, SIDES)), desc="triangles"):
        path = folder / f"{sides}-{budget}-epochs-resolution-{scale.resolution}.npz"
        if not path.exists():
            recipe = LENET.changed(epochs=scale.epochs)
            minima = minima or train_minima(loss, 3, recipe=recipe)
            optimizer = Algorithm1(recipe=recipe.changed(epochs=budget), sides=sides)
            built = build_complex(
                minima, 2, optimizer=optimizer, resolution=scale.resolution, tolerance=None
            )
            keep(built, path)
        found[f"{sides} sides, epochs: {budget}"] = LossComplex.load(path, loss)
    return found


def main() -> None:
    """Train what is missing, or read what was drawn before, and draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add_scale(
        parser, SCALES, "small: 6,000 images of FashionMNIST, 20 epochs; paper: all, 50 epochs"
    )
    add_folder(parser, "runs/figure_1")
    add_data(parser)
    add_picture(parser, "figure_1.png")
    parser.add_argument("--drawn", type=Path, help="JSON of an earlier picture: trains nothing")
    add_precision(parser)
    given = parser.parse_args()
    refuse_with_drawn(parser, given)
    if given.drawn is None:
        scale, folder = SCALES[given.scale], given.folder / f"{given.scale}-{given.precision}"
        found = complexes(scale, network_loss(scale, given), folder)
        for title, built in found.items():
            ((birth, death),) = built.triplet_barcode()
            print(f"{title}: bar [{birth:.4f}, {death:.4f}] of index 1, length {death - birth:.4f}")
        triangles = [Triangle.of(title, built) for title, built in found.items()]
        write(given.out.with_suffix(".json"), triangles)
    else:
        triangles = read(given.drawn)
    draw(triangles, given.out)


def draw(triangles: list[Triangle], path: Path) -> None:
    """A column for each."""
    figure = Figure(figsize=(4.6 * len(triangles), 7.6), layout="constrained")
    axes = figure.subplots(2, len(triangles), squeeze=False)
    for (title, samples, place), (above, below) in zip(triangles, axes.T, strict=True):
        plot_samples(samples, place, "loss", above).set_title(title, pad=ABOVE)
        plot_samples(samples, place, "accuracy", below)
    save(figure, path)


if __name__ == "__main__":
    in_a_sentence(main)
