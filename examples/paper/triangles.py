"""Figures 2 and 3 alike: the loss inside the triangle, networks with shortcuts above those without.

The first seed's triangle, all on one scale of colours; the test error, a mean over the minima, in
the title.
"""

from matplotlib.axes import Axes

from examples.paper.experiment import Experiment, Network
from examples.paper.options import add_picture, add_way, options, way
from examples.paper.pictures import caption, grid
from simplicial import plot_samples


def main(description: str | None, networks: list[Network], name: str) -> None:
    """Train the missing networks, and draw."""
    parser = options(description)
    add_picture(parser, name)
    add_way(parser)
    given = parser.parse_args()
    experiment = Experiment.asked_for(given)
    cells = [experiment.cell(network, 0, way(given)).first(3) for network in networks]
    lowest = min(float(cell.samples.loss.min()) for cell in cells)
    highest = max(float(cell.samples.loss.max()) for cell in cells)

    def draw(k: int, ax: Axes) -> None:
        plot_samples(cells[k].samples, cells[k].largest, "loss", ax)
        ax.collections[0].set_clim(lowest, highest)

    grid([caption(*pair) for pair in zip(networks, cells, strict=True)], draw, given.out)
