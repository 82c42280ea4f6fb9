"""Filtered complexes: what they hold, what they refuse, and their files."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reduction import DataError, FilteredComplex, FiltrationError
from tests.oracles.complexes import Arrays, full_complexes, sparse_complexes

complexes = full_complexes() | sparse_complexes()
TRIANGLE = {(0,): 0.0, (1,): 1.0, (2,): 2.0, (0, 1): 3.0, (0, 2): 4.0, (1, 2): 5.0, (0, 1, 2): 6.0}


@given(arrays=complexes)
def test_rows_are_kept_in_colexicographic_order(arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    assert complex.counts == tuple(len(rows) for rows in arrays.vertices)
    assert len(complex) == sum(complex.counts)
    for r in range(complex.dim + 1):
        expected = sorted(
            zip(arrays.vertices[r].tolist(), arrays.values[r].tolist(), strict=True),
            key=lambda entry: entry[0][::-1],
        )
        assert complex.vertices[r].tolist() == [row for row, _ in expected]
        assert complex.values[r].tolist() == [value for _, value in expected]


@given(arrays=complexes)
def test_facets_omit_one_vertex_each(arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    for r in range(1, complex.dim + 1):
        for i in range(r + 1):
            np.testing.assert_array_equal(
                complex.vertices[r - 1][complex.facets(r)[:, i]],
                np.delete(complex.vertices[r], i, axis=1),
            )


@given(arrays=complexes)
def test_filtration_order_is_by_value_then_position(arrays: Arrays) -> None:
    complex = FilteredComplex(*arrays)
    for r in range(complex.dim + 1):
        values = complex.values[r].tolist()
        assert complex.order(r).tolist() == sorted(range(len(values)), key=lambda i: (values[i], i))


@given(n=st.integers(1, 12), data=st.data())
def test_complete_complexes_stand_at_sums_of_binomials(n: int, data: st.DataObject) -> None:
    dim = data.draw(st.integers(0, min(n - 1, 4)))
    expected = [
        sorted(combinations(range(n), r + 1), key=lambda simplex: simplex[::-1])
        for r in range(dim + 1)
    ]
    complex = FilteredComplex.complete(
        n, [np.full(len(rows), r) for r, rows in enumerate(expected)]
    )
    for r, rows in enumerate(expected):
        assert [tuple(row) for row in complex.vertices[r].tolist()] == rows


def test_simplices_may_be_named_in_any_order() -> None:
    complex = FilteredComplex.from_simplices(
        {(2, 9): 3, (9,): 1, (2,): 0.5, tuple(np.array([7])): 2.0}
    )
    assert complex.vertices[0].tolist() == [[2], [7], [9]]
    assert complex.values[0].tolist() == [0.5, 2.0, 1.0]
    assert complex.vertices[1].tolist() == [[2, 9]]


def test_arrays_are_copied_and_read_only() -> None:
    values = [np.zeros(2), np.ones(1)]
    complex = FilteredComplex.complete(2, values)
    values[1][0] = -1
    assert complex.values[1][0] == 1
    for array in (*complex.vertices, *complex.values, complex.facets(1)):
        assert not array.flags.writeable
        assert array.base is None or not array.base.flags.writeable
    with pytest.raises(AttributeError):
        complex.values = ()  # pyright: ignore[reportAttributeAccessIssue]


def test_a_dimension_may_be_empty() -> None:
    complex = FilteredComplex([[[0], [1]], np.empty((0, 2), np.int64)], [[0, 1], []])
    assert complex.counts == (2, 0)
    assert complex.boundary(1).shape == (2, 0)
    assert complex.barcode().essential(0).tolist() == [0, 1]


def test_the_graph_has_the_values_of_nodes_and_edges() -> None:
    graph = FilteredComplex.from_simplices(TRIANGLE).to_networkx()
    assert sorted(graph.nodes(data="value")) == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert sorted(graph.edges(data="value")) == [(0, 1, 3.0), (0, 2, 4.0), (1, 2, 5.0)]
    assert FilteredComplex([[[3]]], [[1.0]]).to_networkx().number_of_edges() == 0


def test_the_repr_names_the_counts() -> None:
    assert (
        repr(FilteredComplex.from_simplices(TRIANGLE)) == "FilteredComplex(dim=2, counts=(3, 3, 1))"
    )


# --- what is refused, and how

POINTS = [[0], [1], [2]]


@given(arrays=sparse_complexes(), data=st.data())
def test_a_missing_facet_or_a_lower_coface_is_always_found(
    arrays: Arrays, data: st.DataObject
) -> None:
    r = data.draw(st.integers(1, len(arrays.vertices) - 1))
    i = data.draw(st.integers(0, len(arrays.vertices[r]) - 1))
    k = data.draw(st.integers(0, r))
    face = np.delete(arrays.vertices[r][i], k)
    at = int(np.flatnonzero((arrays.vertices[r - 1] == face).all(axis=1))[0])
    vertices, values = list(arrays.vertices), list(arrays.values)
    vertices[r - 1] = np.delete(vertices[r - 1], at, axis=0)
    values[r - 1] = np.delete(values[r - 1], at)
    with pytest.raises(FiltrationError, match="is missing"):
        FilteredComplex(vertices, values)
    values = [row.copy() for row in arrays.values]
    values[r][i] = np.nextafter(values[r - 1][at], -np.inf)
    with pytest.raises(FiltrationError, match="a face is not above its simplex"):
        FilteredComplex(arrays.vertices, values)


# --- files


@given(arrays=complexes)
def test_files_restore_every_bit(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "complex"
    complex = FilteredComplex(*arrays)
    complex.save(path)
    loaded = FilteredComplex.load(path)
    assert loaded.counts == complex.counts
    for a, b in zip(
        (*complex.vertices, *complex.values), (*loaded.vertices, *loaded.values), strict=True
    ):
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes()


def test_altered_files_are_refused_or_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "complex.npz"
    complex = FilteredComplex.from_simplices(TRIANGLE)
    complex.save(path)
    content = path.read_bytes()
    refused = 0
    for at in range(0, len(content), 3):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            loaded = FilteredComplex.load(path)
        except DataError:
            refused += 1
        else:  # a date, say: nothing that is read
            assert [row.tolist() for row in loaded.values] == [r.tolist() for r in complex.values]
    assert refused > len(content) / 6


def test_archives_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, format="other", version=1)
    with pytest.raises(DataError, match="its format is 'other' of version 1"):
        FilteredComplex.load(path)
    np.savez(path, format="loss-barcodes filtered complex", version=2)
    with pytest.raises(DataError, match="of version 2"):
        FilteredComplex.load(path)
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(DataError, match="KeyError"):
        FilteredComplex.load(path)
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(DataError, match="is no filtered complex"):
        FilteredComplex.load(path.with_suffix(".npy"))
