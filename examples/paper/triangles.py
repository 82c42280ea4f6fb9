"""Figures 2 and 3 alike: the loss inside the triangle, networks with shortcuts above those without.

The first seed's triangle; the test error, a mean over the minima, in the title.
"""

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
    grid(
        [caption(*pair) for pair in zip(networks, cells, strict=True)],
        lambda k, ax: plot_samples(cells[k].samples, cells[k].largest, "loss", ax),
        given.out,
    )
