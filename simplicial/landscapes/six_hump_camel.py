"""The six-hump camel: six wells, a ring on either side of the origin, everything twice.

f(x, y) = (4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (-4 + 4 y^2) y^2, and f(-x, -y) = f(x, y). On either
side the wells deep(+), low(+), high(+) and deep(-) follow each other around a peak, and the saddle
at the origin joins the two deep ones. The rim of a high well has two saddles that differ by 1.1e-4
only: over the lower the well ends, over the higher the ring around the peak closes.
Source: Dixon & Szegö, The global optimization problem: an introduction, in Towards Global
Optimization 2, North-Holland (1978), pages 1-15.
"""

from torch import Tensor

from simplicial.landscapes.truth.landscape import Landscape
from simplicial.landscapes.truth.tabulated import Pairs, Start, from_table

# (+) has x > 0, (-) is its mirror image through the origin; a-b is the saddle between wells a and b
STARTS: dict[str, Start] = {
    "deep(+)": ((0.08984, -0.71266), 0),
    "deep(-)": ((-0.08984, 0.71266), 0),
    "low(+)": ((1.70361, -0.79608), 0),
    "low(-)": ((-1.70361, 0.79608), 0),
    "high(+)": ((1.60710, 0.56865), 0),
    "high(-)": ((-1.60710, -0.56865), 0),
    "origin": ((0.0, 0.0), 1),
    "deep-low(+)": ((1.10921, -0.76827), 1),
    "deep-low(-)": ((-1.10921, 0.76827), 1),
    "low-high(+)": ((1.63807, 0.22867), 1),
    "low-high(-)": ((-1.63807, -0.22867), 1),
    "high-deep(+)": ((1.29607, 0.60508), 1),
    "high-deep(-)": ((-1.29607, -0.60508), 1),
    "peak(+)": ((1.23023, 0.16233), 2),
    "peak(-)": ((-1.23023, -0.16233), 2),
}
PAIRS: Pairs = (
    ("deep(+)", None),
    ("deep(-)", "origin"),
    ("low(+)", "deep-low(+)"),
    ("low(-)", "deep-low(-)"),
    ("high(+)", "low-high(+)"),
    ("high(-)", "low-high(-)"),
    ("high-deep(+)", "peak(+)"),
    ("high-deep(-)", "peak(-)"),
)


def six_hump_camel() -> Landscape:
    """The six-hump camel; index 1 has the bar [2.229471, 2.496295] twice."""
    return from_table(
        "six-hump-camel", _formula, domain=((-2.5, -1.5), (2.5, 1.5)), starts=STARTS, pairs=PAIRS
    )


def _formula(points: Tensor) -> Tensor:
    x, y = points.unbind(dim=1)
    x2, y2 = x.square(), y.square()
    return (4 - 2.1 * x2 + x2.square() / 3) * x2 + x * y + (-4 + 4 * y2) * y2
