"""Himmelblau's function: four wells of equal depth around one peak, a cycle in the plane.

f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2. Four saddles stand between neighbouring wells. In
order of height the first three join the four wells; the southern one, the highest, closes the ring
around the peak, and the peak fills it.
Source: Himmelblau, Applied Nonlinear Programming, McGraw-Hill (1972).
"""

from torch import Tensor

from simplicial.landscapes.truth.landscape import Landscape
from simplicial.landscapes.truth.tabulated import Pairs, Start, from_table

# wells by quadrant, saddles by the side on which they lie
STARTS: dict[str, Start] = {
    "NE": ((3.0, 2.0), 0),
    "NW": ((-2.8051, 3.1313), 0),
    "SW": ((-3.7793, -3.2832), 0),
    "SE": ((3.5844, -1.8481), 0),
    "E": ((3.3852, 0.0739), 1),
    "N": ((0.0867, 2.8843), 1),
    "W": ((-3.0730, -0.0814), 1),
    "S": ((-0.1280, -1.9537), 1),
    "peak": ((-0.2708, -0.9230), 2),
}
# The wells are equally deep. NE counts as the eldest: only there is f exactly 0 in floats too.
PAIRS: Pairs = (("NE", None), ("SE", "E"), ("NW", "N"), ("SW", "W"), ("S", "peak"))


def himmelblau() -> Landscape:
    """Himmelblau's function; index 1 has the bar [178.337239, 181.616522]."""
    return from_table(
        "himmelblau", _formula, domain=((-6.0, -6.0), (6.0, 6.0)), starts=STARTS, pairs=PAIRS
    )


def _formula(points: Tensor) -> Tensor:
    x, y = points.unbind(dim=1)
    return (x.square() + y - 11).square() + (x + y.square() - 7).square()
