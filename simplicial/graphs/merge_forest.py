"""The merge forest of minima: which basins meet as the level rises, where, and how high.

As a level rises, every minimum begins a basin, a component of the sublevel set. Two basins meet at
an edge of the minimum spanning forest; the basin of the higher minimum ends there (the elder rule),
so that each merge is the end of a bar of index 0, those of length zero included.

The TO-score of a minimum is the height, over the minimum, of the lowest pass to a lower one: the
length of its bar. The lowest minimum of a component has none that is lower: inf.
Source: Barannikov, Korotin, Oganesyan, Emtsev & Burnaev, Barcodes as summary of objective
functions' topology (arXiv:1912.00043); Barannikov, Voronkova et al., Topological obstructions in
neural networks loss surfaces (arXiv:2012.15834), on the TO-score. Deviation: of equal minima the
one that comes first counts as lower, so that scores are the lengths of bars.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction import FilteredComplex, OptionError
from reduction.persistence.pairs import components
from reduction.validation import short_repr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class MergeForest(NamedTuple):
    """Minima, and the merges of their basins from the lowest up; minima are rows 0 .. n-1.

    labels   (n,) vertices of the filtration
    values   (n,) of the minima
    older    (m,) the lowest minimum of one basin
    younger  (m,) the lowest minimum of the other, which is the higher of the two
    edges    (m, 2) rows of the minima that the edge joins, one in either basin
    heights  (m,) non-decreasing, the edge's value
    """

    labels: Ints
    values: Floats
    older: Ints
    younger: Ints
    edges: Ints
    heights: Floats

    @property
    def scores(self) -> Floats:
        """TO-scores (n,), inf for the lowest minimum of each component."""
        scores = np.full(len(self.values), np.inf)
        scores[self.younger] = self.heights - self.values[self.younger]
        return scores


def merge_forest(filtration: FilteredComplex) -> MergeForest:
    """The merges of a filtration's vertices; at equal heights in the filtration's order."""
    labels, values = filtration.vertices[0][:, 0].astype(np.int64), filtration.values[0]
    none = np.empty(0, dtype=np.int64)
    if filtration.dim < 1:
        return MergeForest(labels, values, none, none, none.reshape(0, 2), np.empty(0))
    order = filtration.order(1)
    pairing = components(filtration.facets(1).__getitem__, values, order)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    rising = np.argsort(rank[pairing.deaths])
    deaths, younger = pairing.deaths[rising], pairing.births[: len(rising)][rising]
    edges = filtration.facets(1)[deaths, ::-1].astype(np.int64)  # facet i omits vertex i
    older = _older(len(values), edges, younger)
    return MergeForest(labels, values, older, younger, edges, filtration.values[1][deaths])


def to_scores(filtration: FilteredComplex) -> Floats:
    """TO-scores (n,) of the vertices: height of the lowest pass to a lower minimum over each.

    Those of a LossComplex are of its filtration: `to_scores(complex.filtration)`. The lowest
    minimum of each component has inf; a small score is that of a basin that is left easily.
    Raises OptionError for what is no filtration. Source: Barannikov et al. (arXiv:1912.00043,
    2012.15834).
    """
    if not isinstance(filtration, FilteredComplex):
        raise OptionError(
            f"TO-scores are of a FilteredComplex, got {short_repr(filtration)}: pass "
            "complex.filtration"
        )
    return merge_forest(filtration).scores


def _older(n: int, edges: Ints, younger: Ints) -> Ints:
    """The lowest minimum (m,) of the basin that goes on at each merge."""
    lowest, basins = np.arange(n), [[i] for i in range(n)]
    older = np.empty(len(edges), dtype=np.int64)
    for merge, (a, b) in enumerate(edges.tolist()):
        ends = int(younger[merge])
        older[merge] = goes_on = int(lowest[b] if lowest[a] == ends else lowest[a])
        lowest[basins[ends]] = goes_on
        basins[goes_on] += basins[ends]
    return older
