"""The budget of a refined maximum, spent best first: which parts are halved, and which never will.

On a smooth loss few parts may hold more than is known, and refinement ends by itself. On a rough
one, such as that of a residual network, almost all may, at every scale. So a simplex has a budget
of gradients, and the parts on which the loss may reach highest are halved first. What the loss may
reach on those that are left is what the maximum may be too low by (branch and bound: Land & Doig
1960, Econometrica 28).
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import Pieces

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ROUND = 4  # rounds at least in which a budget is spent, so that the last see what the first found
SMALLEST = 60  # halvings of a piece after which no more is known about it than rounding


class Spent(NamedTuple):
    """What the refined maxima of m simplices took so far, and what was left out.

    gradients  (m,) int64, at midpoints
    given_up   (m,) what the loss may reach on parts that may hold more than is known; -inf without
    below      (m,) what the loss may reach, at worst, on parts that by the rule hold no more, and
               on those that are too small to be told from their corners
    """

    gradients: Ints
    given_up: Floats
    below: Floats

    @classmethod
    def nothing(cls, count: int) -> "Spent":
        """Of simplices whose refinement begins."""
        return cls(np.zeros(count, np.int64), np.full(count, -np.inf), np.full(count, -np.inf))


class Selection(NamedTuple):
    """Parts that may hold more than is known, those of them to be halved next, and what is spent.

    pending  parts that some order of halvings within the budget could come to
    now      (a,) of these the ones to be halved: the highest of each simplex
    """

    pending: Pieces
    now: Bools
    spent: Spent


def most_halvings(points: Tensor, controls: Ints, dim: int) -> Ints:
    """Halvings (m,) of pieces of simplices with rows controls (m, c) of the points (K, d), after
    which their corners are as near as the points' rounding: at most `SMALLEST`.
    """
    halvings = np.empty(len(controls), np.int64)
    for row, rows in enumerate(controls):
        corners = points[torch.as_tensor(rows, device=points.device)]
        size = float((corners.amax(dim=0) - corners.amin(dim=0)).max())
        rounding = float(corners.abs().max()) * torch.finfo(points.dtype).eps
        each = np.log2(max(size, rounding) / rounding) if rounding else SMALLEST
        halvings[row] = min(SMALLEST, dim * int(each))
    return halvings


def best_first(pieces: Pieces, level: Floats, budget: int, most: Ints, spent: Spent) -> Selection:
    """The parts that may hold more than the level (m,) of their simplex, the highest to be halved.

    Of n parts, with n halvings left or more, all are; at most a quarter of the budget at once.
    Parts below as many as there are halvings left cannot come up any more, since a halving takes
    one part from above them: they are given up, so that no simplex has more parts pending than its
    budget. `most` (m,): see `most_halvings`.
    """
    estimates = pieces.estimates()
    above = (estimates.expected > level[pieces.owner]) & (pieces.halvings < most[pieces.owner])
    below, given_up = spent.below.copy(), spent.given_up.copy()
    np.maximum.at(below, pieces.owner[~above], estimates.at_worst[~above])
    pieces, expected, at_worst = pieces.part(above), *(part[above] for part in estimates)
    left = (budget - spent.gradients)[pieces.owner]
    rank = _ranks(pieces.owner, expected)
    reached = rank < left
    np.maximum.at(given_up, pieces.owner[~reached], at_worst[~reached])
    pending, at_once = pieces.part(reached), max(1, budget // ROUND)
    now = _ranks(pending.owner, expected[reached]) < np.minimum(left[reached], at_once)
    return Selection(pending, now, Spent(spent.gradients, given_up, below))


def _ranks(owner: Ints, values: Floats) -> Ints:
    """The rank (a,) of each value among those of its owner, 0 for the largest; of equal ones the
    first is before the others.
    """
    order = np.lexsort((-values, owner))
    first = np.searchsorted(owner[order], owner[order])
    ranks = np.empty(len(owner), np.int64)
    ranks[order] = np.arange(len(owner)) - first
    return ranks


class Bounded(NamedTuple):
    """Error bounds of refined maxima (m,), and which of these refinements the budget ended (m,)."""

    error_bounds: Floats
    exhausted: Bools


def bounded(known: Floats, maxima: Maxima, tolerance: Floats, spent: Spent) -> Bounded:
    """What the larger of `known` (m,) and the maxima may be too low by: the tolerance (m,) or,
    where parts were given up that may hold more, how far the loss may exceed it at worst, anywhere.
    """
    best = np.maximum(known, maxima.values)
    exhausted = spent.given_up > best + tolerance
    reach = np.maximum(spent.given_up, spent.below) - best
    return Bounded(np.where(exhausted, reach, tolerance), exhausted)
