"""Rows of pictures, networks with shortcuts above those without."""

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from examples.paper.experiment import Experiment, Network
from simplicial import LossComplex, plot_triangle

DPI = 90
ABOVE = 32  # points between a picture and its title: names of corners and legends stand there


def grid(
    networks: list[Network],
    complexes: dict[Network, list[LossComplex]],
    draw: Callable[[Network, LossComplex, Axes], None],
    path: Path,
) -> None:
    """A picture for each network, of its first seed."""
    rows = [[n for n in networks if n.shortcuts], [n for n in networks if not n.shortcuts]]
    columns = len(rows[0])
    figure = Figure(figsize=(4.6 * columns, 8.0), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    for row, cells in zip(rows, axes, strict=True):
        for network, ax in zip(row, cells, strict=True):
            draw(network, complexes[network][0], ax)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    print(f"picture: {path}")


def triangles(experiment: Experiment, networks: list[Network], path: Path) -> None:
    """The loss inside the triangle of the first three minima, the test error in the title."""

    def draw(network: Network, built: LossComplex, ax: Axes) -> None:
        plot_triangle(built[(0, 1, 2)], "loss", ax)
        error = experiment.test_error(network, built)
        ax.set_title(f"{network}, test error {100 * error:.1f}%", pad=ABOVE)

    grid(networks, experiment.complexes(networks), draw, path)
