"""Figure 3: the loss inside the triangle, WideResNet-56 of two widths with and without shortcuts.

python -m examples.paper.figure_3 --scale small --out figure_3.png
"""

from pathlib import Path

from examples.paper.experiment import WIDTHS, Experiment
from examples.paper.pictures import triangles


def main() -> None:
    """Train what is missing, and draw."""
    experiment, out = Experiment.asked_for(__doc__)
    triangles(experiment, WIDTHS, out or Path("figure_3.png"))


if __name__ == "__main__":
    main()
