"""Figure 4: persistence diagrams, all networks of table 1a.

python -m examples.paper.figure_4 --scale small --out figure_4.png
"""

from pathlib import Path

from matplotlib.axes import Axes

from examples.paper.experiment import DEPTHS, WIDTHS, Experiment, Network
from examples.paper.pictures import ABOVE, grid
from reduction import plot_diagram
from simplicial import LossComplex


def main() -> None:
    """Train what is missing, and draw."""
    experiment, out = Experiment.asked_for(__doc__)
    networks = list(dict.fromkeys([*DEPTHS, *WIDTHS]))

    def draw(network: Network, built: LossComplex, ax: Axes) -> None:
        plot_diagram(built.barcode(), ax)
        ax.set_title(
            f"{network}, test error {100 * experiment.test_error(network, built):.1f}%", pad=ABOVE
        )

    grid(networks, experiment.complexes(networks), draw, out or Path("figure_4.png"))


if __name__ == "__main__":
    main()
