"""Vietoris-Rips complexes against sets of points tried one by one, and GUDHI's."""

from itertools import combinations

import gudhi
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reduction import CapacityError, FilteredComplex
from reduction.filtrations.simplices import Complete, Listed
from tests.oracles.cliques import cliques
from tests.reduction.complete import assert_as_expected
from tests.reduction.persistence.test_persistence import FIELDS, sorted_rows

SQUARE = np.array([[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0]])


def random_distances(n: int, seed: int, levels: int) -> NDArray[np.float64]:
    """Symmetric, of no metric space; whole numbers where there are levels."""
    rng = np.random.default_rng(seed)
    upper = rng.integers(0, levels, (n, n)) * 1.0 if levels else rng.random((n, n))
    return np.triu(upper, 1) + np.triu(upper, 1).T


@given(
    n=st.integers(1, 9),
    seed=st.integers(0, 2**32),
    levels=st.sampled_from([0, 0, 1, 4]),
    data=st.data(),
)
def test_simplices_are_as_high_as_their_longest_edge(
    n: int, seed: int, levels: int, data: st.DataObject
) -> None:
    distances = random_distances(n, seed, levels)
    lengths = sorted(set(distances.ravel().tolist()))
    threshold = data.draw(st.sampled_from([np.inf, *lengths, *np.add(lengths, 0.01)]))
    dim = data.draw(st.integers(0, 4))
    edges = {
        (i, j): distances[i, j]
        for i, j in combinations(range(n), 2)
        if distances[i, j] <= threshold
    }
    expected = cliques(np.arange(n), np.zeros(n), edges, dim)
    complex = FilteredComplex.rips(distances, dim, threshold=threshold)
    assert_as_expected(complex, expected)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("levels", [0, 20])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_barcodes_agree_with_gudhi(field: int, levels: int, threshold: float | None) -> None:
    distances = random_distances(30, 20240402, levels) / (levels or 1)
    tree = gudhi.RipsComplex(
        distance_matrix=distances, max_edge_length=np.inf if threshold is None else threshold
    ).create_simplex_tree(3)
    tree.compute_persistence(field, min_persistence=-1, persistence_dim_max=True)
    complex = FilteredComplex.rips(distances, 3, threshold=threshold)
    assert isinstance(complex.vertices, Complete if threshold is None else Listed)
    barcode = complex.barcode(field, keep_zero=True, max_index=3)
    assert all(len(bars) for bars in barcode)
    for r, bars in enumerate(barcode):
        np.testing.assert_array_equal(bars, sorted_rows(tree.persistence_intervals_in_dimension(r)))


def test_the_corners_of_a_square() -> None:
    """The threshold is inclusive: at 2 the diagonals close the cycle of the sides."""
    barcode = FilteredComplex.rips(SQUARE, 2).barcode()
    assert barcode[0].tolist() == [[0, 1]] * 3 + [[0, np.inf]]
    assert barcode[1].tolist() == [[1, 2]]
    assert FilteredComplex.rips(SQUARE, 2, threshold=2).counts == (4, 6, 4)
    assert FilteredComplex.rips(SQUARE, 2, threshold=1).barcode()[1].tolist() == [[1, np.inf]]
    assert FilteredComplex.rips(SQUARE, 2, threshold=0).counts == (4, 0, 0)
    assert FilteredComplex.rips([[0]], 0).counts == (1,)


@pytest.mark.parametrize("threshold", [None, 1.5])
def test_dimensions_above_the_last_simplex_are_empty(threshold: float | None) -> None:
    complex = FilteredComplex.rips(SQUARE, 5, threshold=threshold)
    assert complex.dim == 5
    assert complex.counts == ((4, 6, 4, 1, 0, 0) if threshold is None else (4, 4, 0, 0, 0, 0))
    for field in FIELDS:
        barcode = complex.barcode(field, max_index=5)
        assert barcode[0].tolist() == [[0, 1]] * 3 + [[0, np.inf]]
        assert barcode[1].tolist() == [[1, np.inf if threshold else 2]]
        assert all(not len(barcode[r]) for r in range(2, 6))
    assert complex.canonical_form().pairs(4).shape == (0, 2)
    assert FilteredComplex.rips([[0]], 2).barcode()[0].tolist() == [[0, np.inf]]


def test_distances_of_any_number_type_are_copied() -> None:
    for kind in (np.uint8, np.int32, np.float32, ">f8"):
        distances = SQUARE.astype(kind)
        complex = FilteredComplex.rips(distances, 1)
        distances[:] = 7
        assert complex.values[1].tolist() == [1, 2, 1, 1, 2, 1]
    complex = FilteredComplex.rips(np.asfortranarray(SQUARE * 1.0)[::-1, ::-1], 2)
    assert complex.values[2].tolist() == [2] * 4


def test_more_simplices_than_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    distances = random_distances(12, 1, 0)
    monkeypatch.setattr("reduction.memory.available", lambda: 2000)
    with pytest.raises(
        CapacityError, match=r"12 points up to dimension 2 needs .* GB .* the enclosing radius 0\.8"
    ):
        FilteredComplex.rips(distances, 2)
    with pytest.raises(CapacityError, match=r"listing the \d+ cliques of dimension 2 needs"):
        FilteredComplex.rips(distances, 2, threshold=float(np.sort(distances.ravel())[-3]))


def test_a_threshold_beyond_all_floats_is_none() -> None:
    made = FilteredComplex.rips(SQUARE, 2, threshold=10**400)
    assert made.counts == FilteredComplex.rips(SQUARE, 2, threshold=np.inf).counts == (4, 6, 4)
