"""Merges of basins and TO-scores, against minimax paths by brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray

from reduction import FilteredComplex
from simplicial import to_scores
from simplicial.graphs.merge_forest import merge_forest

Array = NDArray[np.float64]


def random_graph(seed: int, n: int, share: float, steps: int | None) -> FilteredComplex:
    """A graph with this share of all edges; of values that are multiples of 1 / steps: ties."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.choice(3 * n, n, replace=False))
    values = rng.uniform(size=n)
    a, b = np.triu_indices(n, 1)
    kept = rng.uniform(size=a.size) < share
    a, b = a[kept], b[kept]
    heights = np.maximum(values[a], values[b]) + rng.uniform(size=a.size)
    if steps is not None:
        values, heights = (np.round(x * steps) / steps for x in (values, heights))
    edges = np.stack([labels[a], labels[b]], axis=1)
    return FilteredComplex([labels[:, None], edges], [values, heights])


def passes(filtration: FilteredComplex) -> Array:
    """Lowest maxima (n, n) over all paths, by Floyd and Warshall's recursion."""
    labels, values = filtration.vertices[0][:, 0].tolist(), filtration.values[0]
    lowest = np.full((len(labels), len(labels)), np.inf)
    np.fill_diagonal(lowest, values)
    for (a, b), height in zip(filtration.vertices[1].tolist(), filtration.values[1], strict=True):
        i, j = labels.index(a), labels.index(b)
        lowest[i, j] = lowest[j, i] = height
    for k in range(len(labels)):
        lowest = np.minimum(lowest, np.maximum(lowest[:, [k]], lowest[[k]]))
    return lowest


GRAPHS = [
    random_graph(seed, n, share, steps)
    for seed, (n, share, steps) in enumerate(
        [(2, 1.0, None), (12, 1.0, None), (30, 0.1, None), (25, 0.3, 4), (25, 0.06, 3), (9, 0.0, 2)]
    )
]


@pytest.mark.parametrize("filtration", GRAPHS)
def test_a_to_score_is_the_height_of_the_lowest_pass_to_a_lower_minimum(
    filtration: FilteredComplex,
) -> None:
    values, lowest = filtration.values[0], passes(filtration)
    rank = np.lexsort((np.arange(len(values)), values)).argsort()
    for p, score in enumerate(to_scores(filtration).tolist()):
        over = [lowest[p, q] - values[p] for q in range(len(values)) if rank[q] < rank[p]]
        assert score == min(over, default=np.inf)


@pytest.mark.parametrize("filtration", GRAPHS)
def test_merges_are_between_the_lowest_minima_of_the_basins_that_meet(
    filtration: FilteredComplex,
) -> None:
    values, lowest = filtration.values[0], passes(filtration)
    rank = np.lexsort((np.arange(len(values)), values)).argsort()
    forest = merge_forest(filtration)
    assert (np.diff(forest.heights) >= 0).all()
    assert (rank[forest.older] < rank[forest.younger]).all()
    basins = [{i} for i in range(len(values))]
    labels = filtration.vertices[0][:, 0]
    edges = {tuple(edge) for edge in filtration.vertices[1].tolist()}
    for older, younger, (a, b), height in zip(*forest[2:], strict=True):
        assert tuple(labels[[a, b]].tolist()) in edges
        assert lowest[a, b] == height
        first, second = (next(x for x in basins if end in x) for end in (a, b))
        assert first is not second
        met = {min(basin, key=rank.__getitem__) for basin in (first, second)}
        assert met == {older, younger}
        basins = [basin for basin in basins if basin not in (first, second)] + [first | second]
    finite = np.isfinite(lowest)
    assert len(basins) == len({tuple(row) for row in finite.tolist()})
    assert all(finite[np.ix_(list(basin), list(basin))].all() for basin in basins)


@pytest.mark.parametrize("filtration", GRAPHS)
def test_to_scores_are_the_lengths_of_bars_of_index_0(filtration: FilteredComplex) -> None:
    barcode = filtration.barcode(keep_zero=True, max_index=0)
    lengths = np.diff(barcode[0], axis=1)[:, 0]
    np.testing.assert_array_equal(np.sort(to_scores(filtration)), np.sort(lengths))


def test_vertices_alone_have_no_pass() -> None:
    alone = FilteredComplex.from_simplices({(4,): 1.0, (7,): 0.0})
    np.testing.assert_array_equal(to_scores(alone), [np.inf, np.inf])
    assert merge_forest(alone).edges.shape == (0, 2)
