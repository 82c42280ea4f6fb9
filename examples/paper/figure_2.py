"""Figure 2: the loss inside the triangle, ResNets of three depths with and without shortcuts.

python -m examples.paper.figure_2 --scale small --out figure_2.png
"""

from pathlib import Path

from examples.paper.experiment import DEPTHS, Experiment
from examples.paper.pictures import triangles


def main() -> None:
    """Train what is missing, and draw."""
    experiment, out = Experiment.asked_for(__doc__)
    triangles(experiment, DEPTHS, out or Path("figure_2.png"))


if __name__ == "__main__":
    main()
