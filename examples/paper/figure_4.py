"""Figure 4: persistence diagrams, all networks of table 1a.

python -m examples.paper.figure_4 --scale small --out figure_4.png
"""

from pathlib import Path

from examples.paper.experiment import NETWORKS, Experiment, options
from examples.paper.pictures import caption, grid
from reduction import plot_diagram


def main() -> None:
    """Train what is missing, and draw."""
    parser = options(__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("figure_4.png"), help="the picture (figure_4.png)"
    )
    given = parser.parse_args()
    experiment = Experiment.asked_for(given)
    found = [built for (built,) in experiment.complexes(NETWORKS, 1)]
    titles = [caption(experiment, n, built) for n, built in zip(NETWORKS, found, strict=True)]
    grid(titles, lambda k, ax: plot_diagram(found[k].barcode(), ax), given.out)


if __name__ == "__main__":
    main()
