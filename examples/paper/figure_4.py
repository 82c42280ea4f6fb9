"""Figure 4: persistence diagrams, all networks of table 1a.

python -m examples.paper.figure_4 --scale small --out figure_4.png
"""

from examples.paper.experiment import NETWORKS, Experiment
from examples.paper.options import add_picture, in_a_sentence, options
from examples.paper.pictures import caption, grid
from reduction import plot_diagram


def main() -> None:
    """Train the missing networks, and draw."""
    parser = options(__doc__)
    add_picture(parser, "figure_4.png")
    given = parser.parse_args()
    experiment = Experiment.asked_for(given)
    found = [built for (built,) in experiment.complexes(NETWORKS, 1)]
    titles = [caption(experiment, n, built) for n, built in zip(NETWORKS, found, strict=True)]
    grid(titles, lambda k, ax: plot_diagram(found[k].barcode(), ax), given.out)


if __name__ == "__main__":
    in_a_sentence(main)
