"""Figure 2: the loss inside the triangle, ResNets of three depths with and without shortcuts.

python -m examples.paper.figure_2 --scale small --out figure_2.png
"""

from functools import partial

from examples.paper.experiment import DEPTHS
from examples.paper.options import in_a_sentence
from examples.paper.triangles import main

if __name__ == "__main__":
    in_a_sentence(partial(main, __doc__, DEPTHS, "figure_2.png"))
