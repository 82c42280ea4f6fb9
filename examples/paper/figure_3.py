"""Figure 3: the loss inside the triangle, WideResNet-56 of two widths with and without shortcuts.

python -m examples.paper.figure_3 --scale small --out figure_3.png
"""

from functools import partial

from examples.paper.experiment import WIDTHS
from examples.paper.options import in_a_sentence
from examples.paper.triangles import main

if __name__ == "__main__":
    in_a_sentence(partial(main, __doc__, WIDTHS, "figure_3.png"))
