"""Figure 3: the loss inside the triangle, WideResNet-56 of two widths with and without shortcuts.

python -m examples.paper.figure_3 --scale small --out figure_3.png
"""

from examples.paper.experiment import WIDTHS
from examples.paper.triangles import main

if __name__ == "__main__":
    main(__doc__, WIDTHS, "figure_3.png")
