"""Figure 1: loss (above) and accuracy (below) inside the triangle of three LeNet-like networks on
FashionMNIST, sides' centres fixed and trainable, for several numbers of epochs.

    python -m examples.paper.figure_1 --scale small --out figure_1.png

The minima are trained once, by the paper's recipe; edges and triangles for as many epochs as a
title says. The triangles are kept beside the picture as JSON. Scales: smoke, the digits at 12 x 12
pixels, 64 images; small, FashionMNIST's first 6,000; paper, all of it and 50 epochs, which takes
an hour or two on one core.
"""

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure
from tqdm import tqdm

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
from examples.paper.scale import Scale
from nets import LENET, LeNet, NetworkLoss, train_minima
from simplicial import Algorithm1, LossComplex, Minima, build_complex, plot_samples


@dataclass(frozen=True, kw_only=True)
class TriangleScale(Scale):
    """Size of the experiment; budgets: epochs of edges and triangles, a pair of columns each."""

    budgets: tuple[int, ...]


SCALES = {
    "smoke": TriangleScale(
        data="digits", subset=64, image_size=12, epochs=1, budgets=(1,), resolution=3
    ),
    "small": TriangleScale(
        data="fashion-mnist", subset=6000, epochs=20, budgets=(5, 20), resolution=12
    ),
    "paper": TriangleScale(data="fashion-mnist", budgets=(10, 50), resolution=16),
}
SIDES: tuple[Literal["fixed", "trainable"], ...] = ("fixed", "trainable")


def network_loss(scale: Scale, given: argparse.Namespace) -> NetworkLoss:
    """The loss of LeNet on the training images."""
    images = scale.images(given.data_dir, given.download)
    channels, size, _ = images.shape
    model = LeNet(channels, size, images.classes)
    return NetworkLoss(model, images.train_inputs, images.train_targets, precision=given.precision)


def complexes(scale: TriangleScale, loss: NetworkLoss, folder: Path) -> dict[str, LossComplex]:
    """Complexes by the title of their column; kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)  # refused before anything is trained
    found: dict[str, LossComplex] = {}
    minima: Minima | None = None
    for budget, sides in tqdm(list(product(scale.budgets, SIDES)), desc="triangles"):
        path = folder / f"{sides}-{budget}-epochs-resolution-{scale.resolution}.npz"
        if not path.exists():
            recipe = scale.recipe(LENET)
            minima = minima or train_minima(loss, 3, recipe=recipe)
            optimizer = Algorithm1(recipe=recipe.changed(epochs=budget), sides=sides)
            built = build_complex(
                minima, 2, optimizer=optimizer, resolution=scale.resolution, tolerance=None
            )
            keep(built, path)
        found[f"{sides} sides, epochs: {budget}"] = LossComplex.load(path, loss)
    return found


def keep(built: LossComplex, path: Path) -> None:
    """Save a complex, whole or not at all."""
    partial = path.with_name(f"{path.stem}.partial.npz")
    built.save(partial)
    partial.rename(path)


def main() -> None:
    """Train the missing networks, or read an earlier picture, and draw."""
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
    """A column for each triangle."""
    figure = Figure(figsize=(4.6 * len(triangles), 7.6), layout="constrained")
    axes = figure.subplots(2, len(triangles), squeeze=False)
    for (title, samples, largest), (above, below) in zip(triangles, axes.T, strict=True):
        plot_samples(samples, largest, "loss", above).set_title(title, pad=ABOVE)
        plot_samples(samples, largest, "accuracy", below)
    save(figure, path)


if __name__ == "__main__":
    in_a_sentence(main)
