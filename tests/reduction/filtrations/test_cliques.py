"""Clique complexes against sets of vertices tried one by one, and GUDHI's expansion."""

from typing import NamedTuple

import gudhi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import CapacityError, FilteredComplex
from reduction.filtrations.simplices import Complete
from tests.oracles.cliques import cliques
from tests.reduction.complete import assert_as_expected
from tests.reduction.persistence.test_persistence import FIELDS, sorted_rows


class Graph(NamedTuple):
    """A filtered graph, its rows shuffled."""

    labels: NDArray[np.int64]  # (n,)
    heights: NDArray[np.floating]  # (n,)
    edges: NDArray[np.int64]  # (m, 2)
    lengths: NDArray[np.floating]  # (m,)

    def expanded(self, dim: int) -> FilteredComplex:
        return FilteredComplex.cliques(
            [self.labels[:, None], self.edges], [self.heights, self.lengths], dim
        )


def random_graph(n: int, density: float, seed: int, levels: int) -> Graph:
    """With ties where there are levels; labels with gaps."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(3 * n)[:n]
    heights = rng.integers(0, levels, n) * 1.0 if levels else rng.random(n)
    above, below = np.nonzero(np.tril(rng.random((n, n)) < density, -1))
    lengths = rng.integers(0, levels, above.size) * 1.0 if levels else rng.random(above.size)
    lengths = np.maximum(lengths, np.maximum(heights[above], heights[below]))
    shuffled = rng.permutation(above.size)
    edges = np.sort(np.stack([labels[above], labels[below]], axis=1), axis=1)
    return Graph(labels, heights, edges[shuffled], lengths[shuffled])


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of 1 to 10 vertices, from none to all edges; with ties in half of them."""
    return random_graph(
        draw(st.integers(1, 10)),
        draw(st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0])),
        draw(st.integers(0, 2**32)),
        draw(st.sampled_from([0, 0, 1, 3])),
    )


@given(graph=graphs(), data=st.data())
def test_cliques_are_the_sets_of_vertices_joined_pairwise(
    graph: Graph, data: st.DataObject
) -> None:
    dim = data.draw(st.integers(0, min(4, graph.labels.size - 1)))
    edges = {(a, b): x for (a, b), x in zip(graph.edges.tolist(), graph.lengths, strict=True)}
    expected = cliques(graph.labels, graph.heights, edges, dim)
    complex = graph.expanded(dim)
    assert_as_expected(complex, expected)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("levels", [0, 4])
def test_barcodes_of_cliques_agree_with_gudhi(field: int, levels: int) -> None:
    graph = random_graph(60, 0.25, 20240401, levels)
    tree = gudhi.SimplexTree()
    for label, height in zip(graph.labels.tolist(), graph.heights.tolist(), strict=True):
        tree.insert([label], height)
    for edge, length in zip(graph.edges.tolist(), graph.lengths.tolist(), strict=True):
        tree.insert(edge, length)
    tree.expansion(3)
    tree.compute_persistence(field, min_persistence=-1, persistence_dim_max=True)
    barcode = graph.expanded(3).barcode(field, keep_zero=True, max_index=3)
    assert all(len(bars) for bars in barcode)
    for r, bars in enumerate(barcode):
        np.testing.assert_array_equal(bars, sorted_rows(tree.persistence_intervals_in_dimension(r)))


def test_a_complete_graph_gives_a_complete_complex() -> None:
    complex = random_graph(6, 1.0, 1, 0).expanded(3)
    assert isinstance(complex.vertices, Complete)
    assert complex.counts == (6, 15, 20, 15)


def test_a_complex_may_be_expanded_again() -> None:
    complex = random_graph(12, 0.5, 2, 0).expanded(3)
    again = FilteredComplex.cliques(complex.vertices[:2], complex.values[:2], 3)
    for rows, others in zip(complex.vertices, again.vertices, strict=True):
        np.testing.assert_array_equal(rows, others)


def test_dimensions_without_cliques_are_empty() -> None:
    square = [[0, 1], [1, 2], [2, 3], [0, 3]]
    complex = FilteredComplex.cliques([np.arange(4)[:, None], square], [[0] * 4, [1] * 4], 3)
    assert complex.counts == (4, 4, 0, 0)
    assert complex.barcode()[1].tolist() == [[1, np.inf]]


def test_more_cliques_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = random_graph(9, 1.0, 3, 0)
    monkeypatch.setattr("reduction.memory.available", lambda: 5000)
    with pytest.raises(
        CapacityError, match=r"listing the 126 cliques of dimension 3 needs .* GB .*; take fewer"
    ):
        graph.expanded(3)
    assert graph.expanded(2).counts == (9, 36, 84)
