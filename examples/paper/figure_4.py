"""Figure 4: persistence diagrams, all networks of table 1a.

python -m examples.paper.figure_4 --scale small --out figure_4.png
"""

from examples.paper.experiment import NETWORKS, Experiment
from examples.paper.options import add_picture, add_way, in_a_sentence, options, way
from examples.paper.pictures import caption, grid
from reduction import plot_diagram


def main() -> None:
    """Train the missing networks, and draw."""
    parser = options(__doc__)
    add_picture(parser, "figure_4.png")
    add_way(parser)
    given = parser.parse_args()
    experiment = Experiment.asked_for(given)
    cells = [experiment.cell(network, 0, way(given)).first(3) for network in NETWORKS]
    titles = [caption(*pair) for pair in zip(NETWORKS, cells, strict=True)]
    grid(titles, lambda k, ax: plot_diagram(cells[k].barcode(), ax), given.out)


if __name__ == "__main__":
    in_a_sentence(main)
