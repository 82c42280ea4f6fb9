"""Basin hopping: local searches from beside minima already found, in chains that go down and up.

A chain stands at a minimum. Its next start is the minimum, moved at random by up to a step in each
coordinate; at the minimum in which that ends it stands next, if it is lower, or by the chance
exp(-rise / T). T is the spread of the values of the minima found so far, and the step such that
about half of the searches leave their basin. Before come as many uniform starts as of the other
method, and a quarter of all further ones are uniform, too, so that no part of the box is out of
reach.

Searches go on until no more minima are to be expected: the expected share of what is in no basin
met so far, w (w + 1) / (N (N - 1)) for w minima in N arrivals, is a hundredth or less, and none was
met by one arrival only, so that Good's estimate of that share is 0.
Sources: Li & Scheraga, PNAS 84, 6611 (1987); Wales & Doye, J. Phys. Chem. A 101, 5111 (1997), for
the chains; Boender & Rinnooy Kan, Math. Programming 37, 59 (1987), and Good, Biometrika 40, 237
(1953), for the stopping rule, which is for independent starts, so that here it is a guide.
Deviations: many chains at once; T and the step are adapted.
"""

from dataclasses import fields
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from simplicial.critical_points.eigenvector_following import Arrival
from simplicial.minima import Search

Floats = NDArray[np.float64]

CHAINS = 25  # for each variable
STEP = 0.1  # of the box's edges, at first
LONGEST, SHORTEST = 0.5, 0.01
GROWTH = 1.5  # of the step, after a round in which most searches came back
FRESH = 0.25  # share of the starts that are uniform in the box
UNSEEN = 0.01  # expected share of the basins not met


class Searched(Protocol):
    """A search for minima in a box."""

    @property
    def corners(self) -> Floats:
        """Of the box, (2, d)."""
        ...

    def descend(self, starts: Floats) -> Arrival:
        """From starts (m, d) to minima."""
        ...

    def told(self, arrival: Arrival) -> tuple[Search, Floats]:
        """The outcomes of all arrivals so far, and the values of the distinct minima."""
        ...

    def came_back(self, points: Floats, before: Floats) -> NDArray[np.bool_]:
        """Whether minima (m, d) are those from beside which they were sought, (m, d)."""
        ...


def hop(search: Searched, count: tuple[int, int], rng: np.random.Generator) -> Arrival:
    """All arrivals of basin hopping, in rounds of one start for each chain.

    count  of uniform starts before, and of all starts at most
    """
    corners, (first, most) = search.corners, count
    width = corners[1] - corners[0]
    arrivals = search.descend(rng.uniform(*corners, size=(min(first, most), len(width))))
    chains, step = min(len(arrivals.values), CHAINS * len(width)), STEP
    at = arrivals.points[:chains].numpy().copy()
    values = np.where(arrivals.morse == 0, arrivals.values, np.inf)[:chains]
    while (left := most - len(arrivals.values)) > 0:
        outcome, heights = search.told(arrivals)
        if not expects_more(outcome):
            break
        uniform = rng.uniform(*corners, size=at.shape)
        moved = at + step * width * rng.uniform(-1, 1, size=at.shape)
        fresh = (rng.random(chains) < FRESH) | np.isinf(values)
        chances = rng.random(chains)
        arrival = search.descend(np.where(fresh[:, None], uniform, moved)[:left])
        there, now = arrival.points.numpy(), len(arrival.values)
        back = search.came_back(there, at[:now])
        share = back[~fresh[:now]].mean() if (~fresh[:now]).any() else 0.5
        step = float(np.clip(step * (GROWTH if share > 0.5 else 1 / GROWTH), SHORTEST, LONGEST))
        rise = np.where(arrival.morse == 0, arrival.values, np.inf) - values[:now]
        temperature = float(np.std(heights)) if len(heights) else 0.0
        goes = (rise <= 0) | (rise < -temperature * np.log(np.maximum(chances[:now], 1e-300)))
        goes &= arrival.morse == 0
        at[:now][goes], values[:now][goes] = there[goes], arrival.values[goes]
        arrivals = _joined(arrivals, arrival)
    return arrivals


def expects_more(search: Search) -> bool:
    """Whether the stopping rule has searches go on."""
    w, n = search.found, search.arrivals
    return n < 2 or search.once > 0 or w * (w + 1) > UNSEEN * n * (n - 1)


def _joined(*arrivals: Arrival) -> Arrival:
    """All arrivals, in their order."""
    points, *arrays = (
        [getattr(part, field.name) for part in arrivals] for field in fields(Arrival)
    )
    return Arrival(torch.cat(points), *map(np.concatenate, arrays))
