"""The Müller-Brown potential: three wells in a row along a bent valley, the test of reaction paths.

f(x, y) = sum_k A_k exp(a_k dx^2 + b_k dx dy + c_k dy^2) with dx = x - x_k, dy = y - y_k: three
Gaussian wells and a weak, ever steeper bowl. The wells A, B and C lie from the north-west to the
south-east, and there is one saddle between neighbours. B, the shallowest, ends where it meets C; C
where both meet A.
Source: Müller & Brown, Location of saddle points and minimum energy paths by a constrained simplex
optimization procedure, Theoretica Chimica Acta 53, 75-93 (1979), the potential of its figure 2.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from simplicial.landscapes.truth.landscape import Landscape
from simplicial.landscapes.truth.tabulated import Pairs, Start, from_table


class _Term(NamedTuple):
    height: float
    xx: float
    xy: float
    yy: float
    x: float
    y: float


_TERMS = (
    _Term(height=-200.0, xx=-1.0, xy=0.0, yy=-10.0, x=1.0, y=0.0),
    _Term(height=-100.0, xx=-1.0, xy=0.0, yy=-10.0, x=0.0, y=0.5),
    _Term(height=-170.0, xx=-6.5, xy=11.0, yy=-6.5, x=-0.5, y=1.5),
    _Term(height=15.0, xx=0.7, xy=0.6, yy=0.7, x=-1.0, y=1.0),
)
STARTS: dict[str, Start] = {
    "A": ((-0.55822, 1.44173), 0),
    "B": ((-0.05001, 0.46669), 0),
    "C": ((0.62350, 0.02804), 0),
    "AB": ((-0.82200, 0.62431), 1),
    "BC": ((0.21249, 0.29299), 1),
}
PAIRS: Pairs = (("A", None), ("B", "BC"), ("C", "AB"))


def mueller_brown() -> Landscape:
    """The Müller-Brown potential, in its authors' arbitrary units of energy and length."""
    return from_table(
        "muller-brown", _formula, domain=((-2.0, -1.0), (1.5, 2.5)), starts=STARTS, pairs=PAIRS
    )


def _formula(points: Tensor) -> Tensor:
    x, y = points.unbind(dim=1)
    total = torch.zeros_like(x)
    for term in _TERMS:
        dx, dy = x - term.x, y - term.y
        exponent = term.xx * dx.square() + term.xy * dx * dy + term.yy * dy.square()
        total = total + term.height * torch.exp(exponent)
    return total
