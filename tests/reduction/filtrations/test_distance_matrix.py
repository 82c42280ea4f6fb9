"""Distances as libraries and people give them: their Rips barcodes are GUDHI's of exact ones."""

from collections.abc import Callable
from typing import Any

import gudhi
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import distance, distance_matrix
from sklearn.metrics import pairwise
from sklearn.neighbors import radius_neighbors_graph

from reduction import CapacityError, FilteredComplex, FiltrationError, OptionError, ShapeError
from tests.reduction.persistence.test_persistence import sorted_rows

POINTS = np.random.default_rng(20240719).normal(size=(40, 5))
SINGLE = POINTS.astype(np.float32)
TENSOR, FAR = torch.from_numpy(SINGLE), torch.from_numpy(SINGLE) + 10
SQUARES = (POINTS**2).sum(axis=1)


def by_gudhi(distances: NDArray[np.float64], dim: int, threshold: float = np.inf) -> list[Any]:
    tree = gudhi.RipsComplex(
        distance_matrix=distances, max_edge_length=threshold
    ).create_simplex_tree(dim)
    tree.compute_persistence(2, min_persistence=0)
    return [sorted_rows(tree.persistence_intervals_in_dimension(r)) for r in range(dim)]


def exact(metric: str) -> NDArray[np.float64]:
    pdist: Any = distance.pdist
    return distance.squareform(pdist(POINTS, metric))


MATRICES: dict[str, tuple[str, Callable[[], Any]]] = {
    "SciPy": ("euclidean", lambda: distance.cdist(POINTS, POINTS)),
    "SciPy, cosine": ("cosine", lambda: distance.cdist(POINTS, POINTS, "cosine")),
    "SciPy, correlation": ("correlation", lambda: distance.cdist(POINTS, POINTS, "correlation")),
    "SciPy, distance_matrix": ("euclidean", lambda: distance_matrix(POINTS, POINTS)),
    "sklearn": ("euclidean", lambda: pairwise.euclidean_distances(POINTS)),
    "sklearn, float32": ("euclidean", lambda: pairwise.euclidean_distances(SINGLE)),
    "sklearn, cosine": ("cosine", lambda: pairwise.cosine_distances(POINTS)),
    "sklearn, cosine, float32": ("cosine", lambda: pairwise.cosine_distances(SINGLE)),
    "sklearn, l1": ("cityblock", lambda: pairwise.pairwise_distances(POINTS, metric="l1")),
    "sklearn, correlation": (
        "correlation", lambda: pairwise.pairwise_distances(POINTS, metric="correlation"),
    ),
    "torch": ("euclidean", lambda: torch.cdist(TENSOR.double(), TENSOR.double())),
    "torch, float32": ("euclidean", lambda: torch.cdist(TENSOR, TENSOR)),
    "torch, gradient": ("euclidean", lambda: torch.cdist(TENSOR, TENSOR.clone().requires_grad_())),
    "torch, bfloat16": ("euclidean", lambda: torch.cdist(TENSOR, TENSOR).bfloat16()),
    "torch, far": ("euclidean", lambda: torch.cdist(FAR, FAR)),
    "torch, cosine": (
        "cosine", lambda: 1 - torch.cosine_similarity(TENSOR[:, None], TENSOR[None], dim=2),
    ),
    "NumPy, squares": (
        "sqeuclidean", lambda: SQUARES[:, None] + SQUARES - 2 * POINTS @ POINTS.T,
    ),
    "NumPy, correlation": ("correlation", lambda: 1 - np.corrcoef(POINTS)),
    "pandas": ("euclidean", lambda: pd.DataFrame(distance.cdist(POINTS, POINTS))),
    "masked, none": ("euclidean", lambda: np.ma.masked_less(exact("euclidean"), 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRICES)
def test_rounded_distances_of_libraries_are_taken(name: str) -> None:
    """Bars are as near to those of exact distances as the distances are (stability)."""
    metric, given = MATRICES[name]
    distances, wanted = given(), exact(metric)
    complex = FilteredComplex.rips(distances, 2)
    numbers = np.asarray(distances.detach().double() if hasattr(distances, "detach") else distances)
    rounding = np.abs(numbers - wanted).max()
    assert complex.values[1].min() >= 0
    above, below = np.tril_indices(len(wanted), -1)
    error = np.abs(complex.values[1] - wanted[above, below]).max()
    assert error <= rounding
    for mine, theirs in zip(complex.barcode(keep_zero=False), by_gudhi(wanted, 2), strict=True):
        long = mine[mine[:, 1] - mine[:, 0] > 4 * rounding]
        theirs = theirs[theirs[:, 1] - theirs[:, 0] > 4 * rounding]
        np.testing.assert_allclose(long, theirs, rtol=0, atol=2 * rounding)


def test_exact_distances_keep_their_bits() -> None:
    distances = exact("euclidean")
    for given in (distances, pd.DataFrame(distances), torch.from_numpy(distances)):
        barcode = FilteredComplex.rips(given, 2).barcode()
        for mine, theirs in zip(barcode, by_gudhi(distances, 2), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    huge = 1.7e308 * np.array([[0, 1, 0.5], [1, 0, 1], [0.5, 1, 0]])
    assert FilteredComplex.rips(huge, 1).values[1].tolist() == [1.7e308, 0.85e308, 1.7e308]


def test_a_matrix_and_its_edges_have_the_same_values() -> None:
    """Negative by rounding and asymmetric by rounding: 0 first, then the mean."""
    rng = np.random.default_rng(12)
    distances = distance.squareform(rng.random(45))
    distances[0, 1] = distances[1, 0] = 1.0
    distances += 4e-15 * rng.random((10, 10)) * (distances > 0)
    distances[2, 3], distances[3, 2] = -1e-8, 4e-8
    distances[4, 5], distances[5, 4] = -1e-8, -2e-8
    ends = np.argwhere(~np.eye(10, dtype=bool))
    matrix = FilteredComplex.rips(distances, 1, threshold=np.inf)
    for given in (sparse.coo_array(distances), (ends, distances[ends[:, 0], ends[:, 1]])):
        edges = FilteredComplex.rips(given, 1)
        np.testing.assert_array_equal(edges.vertices[1], matrix.vertices[1])
        np.testing.assert_array_equal(edges.values[1], matrix.values[1])
    both = [matrix.vertices[1].tolist().index(ends) for ends in ([2, 3], [4, 5])]
    assert matrix.values[1][both].tolist() == [2e-8, 0]


@pytest.mark.parametrize("kind", ["NumPy, float16", "torch, float16", "torch, bfloat16"])
@pytest.mark.parametrize("door", ["matrix", "edges"])
def test_half_precision_is_judged_as_float32(kind: str, door: str) -> None:
    def rips(number: float) -> FilteredComplex:
        given = np.array([[0, number, 1], [number, 0, 1], [1, 1, 0]])
        if door == "edges":
            given = given[np.tril_indices(3, -1)]
        name = kind.split()[-1]
        numbers = (
            given.astype(np.float16)
            if kind.startswith("NumPy")
            else torch.from_numpy(given).to(getattr(torch, name))
        )
        return FilteredComplex.rips(
            ([[0, 1], [0, 2], [1, 2]], numbers) if door == "edges" else numbers, 1
        )

    assert rips(-0.0025).values[1].tolist() == [0, 1, 1]
    for number in (-0.2, -0.01, -0.003):
        with pytest.raises(FiltrationError, match=r"0, 1\W.* (is|has) -0\.|1, 0\W.* has -0\."):
            rips(number)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "chebyshev"])
def test_points_have_the_distances_of_their_metric(metric: str) -> None:
    complex = FilteredComplex.rips(POINTS, 2, metric=metric)
    for mine, theirs in zip(complex.barcode(), by_gudhi(exact(metric), 2), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_metric_may_be_a_function() -> None:
    complex = FilteredComplex.rips([[0], [2], [5]], 1, metric=lambda a, b: abs(a[0] - b[0]) ** 2)
    assert complex.values[1].tolist() == [4, 25, 9]
    partly = [[0, np.nan], [2, 0], [5, 7]]
    complex = FilteredComplex.rips(partly, 1, metric=lambda a, b: np.nanmax(np.abs(a - b)))
    assert complex.values[1].tolist() == [2, 5, 7]


# --- edges


def edges_of(distances: NDArray[np.float64], threshold: float) -> Any:
    return sparse.coo_array(np.where((distances <= threshold) & (distances > 0), distances, 0))


@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "lil", "dok", "upper", "matrix", "pair"])
def test_edges_make_the_complex_of_their_threshold(kind: str) -> None:
    distances = exact("euclidean")
    both = edges_of(distances, 2.5)
    given = {
        "upper": lambda: sparse.triu(both),
        "matrix": lambda: sparse.csr_matrix(both),
        "pair": lambda: (np.column_stack(both.nonzero()), both.tocoo().data),
    }.get(kind, lambda: both.asformat(kind))()
    barcode = FilteredComplex.rips(given, 3).barcode()
    for mine, theirs in zip(barcode, by_gudhi(distances, 3, 2.5), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    barcode = FilteredComplex.rips(given, 2, threshold=1.9).barcode()
    for mine, theirs in zip(barcode, by_gudhi(distances, 2, 1.9), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_graph_of_neighbours_of_sklearn_is_taken() -> None:
    graph = radius_neighbors_graph(POINTS, 2.5, mode="distance")
    barcode = FilteredComplex.rips(graph, 2).barcode()
    for mine, theirs in zip(barcode, by_gudhi(exact("euclidean"), 2, 2.5), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_stored_zeros_are_edges_and_what_is_inf_is_none() -> None:
    matrix = sparse.coo_array(([0.0, 1, np.inf, 0], ([0, 1, 0, 2], [1, 2, 3, 2])), shape=(5, 5))
    complex = FilteredComplex.rips(matrix, 1)
    assert complex.vertices[1].tolist() == [[0, 1], [1, 2]]
    assert complex.values[1].tolist() == [0, 1]
    assert complex.barcode().essential(0).size == 3
    complex = FilteredComplex.rips(([[3, 1]], [2.0]), 1)
    assert complex.counts == (4, 1)


def test_distances_of_inf_are_no_edges() -> None:
    apart = np.array([[0, 1, np.inf], [1, 0, np.inf], [np.inf, np.inf, 0]])
    for threshold in (None, np.inf, 5):
        complex = FilteredComplex.rips(apart, 2, threshold=threshold)
        assert complex.counts == (3, 1, 0)
        assert complex.barcode()[0].tolist() == [[0, 1], [0, np.inf], [0, np.inf]]
    distances = exact("euclidean")
    distances[distances > 4] = np.inf
    for mine, theirs in zip(
        FilteredComplex.rips(distances, 2).barcode(), by_gudhi(distances, 2, 4), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)


# --- sentences


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (np.tril(exact("euclidean")), FiltrationError, r"complete a triangle by d \+ d.T"),
        (np.triu(exact("euclidean")), FiltrationError, r"complete a triangle by d \+ d.T"),
        (POINTS, ShapeError, "or metric='euclidean' with their coordinates"),
        (POINTS[:5] ** 2, FiltrationError, "or give metric='euclidean' with coordinates"),
        (np.abs(POINTS[:5] - np.diag(np.diag(POINTS[:5]))), FiltrationError, "or give metric="),
        (distance.pdist(POINTS), ShapeError, "scipy.spatial.distance.squareform makes"),
        (exact("euclidean") + 1e-3 * np.tri(40, 40, -1), FiltrationError, "average what is round"),
        (np.ma.masked_greater(exact("euclidean"), 4), ShapeError, "are masked; fill or remove"),
        (sparse.coo_array(([1.0, 2], ([0, 1], [1, 0])), shape=(2, 2)), FiltrationError,
         r"the edge \(0, 1\) has the lengths 1.0 and 2.0; keep one"),
        (sparse.coo_array(([1.0], ([1], [1])), shape=(2, 2)), FiltrationError, r"\(1, 1\) has 1.0"),
        (sparse.coo_array(([-1.0], ([0], [1])), shape=(2, 2)), FiltrationError, r"\(0, 1\) has -1"),
        (sparse.coo_array((2, 3)), ShapeError, r"has shape \(2, 3\); give a sparse matrix"),
        (([[0, 1]], [np.nan]), FiltrationError, r"\(0, 1\) has nan; correct or remove"),
        (([[0, 1]], [1, 2]), ShapeError, r"distances\[1\] has shape \(2,\) .* for 1 edges"),
        (([[0, -1]], [1]), ShapeError, "has labels from -1 to 0; relabel"),
        (([[0.0, 1]], [1]), ShapeError, "type float64; give the edges, an integer array"),
    ],
)  # fmt: skip
def test_what_is_no_distance_has_a_sentence(given: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        FilteredComplex.rips(given, 1)


@pytest.mark.parametrize(
    ("given", "metric", "error", "match"),
    [
        (POINTS, "euclidian", OptionError, "by metric='euclidian': Unknown Distance Metric"),
        (POINTS, 3, OptionError, "pdist, got 3; give 'euclidean'"),
        (POINTS[0], "euclidean", ShapeError, r"points has shape \(5,\)"),
        (sparse.eye_array(3), "euclidean", OptionError, "edges have lengths already"),
        (np.zeros((3, 2)), "cosine", FiltrationError, r"distances\[0, 1\] is nan"),
        ([[0, 1], [2, np.nan]], "euclidean", FiltrationError, r"points\[1, 1\] is nan; correct"),
    ],
)
def test_a_metric_that_is_none_has_a_sentence(
    given: Any, metric: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match), np.errstate(all="ignore"):
        FilteredComplex.rips(given, 1, metric=metric)


# --- the enclosing radius


@pytest.mark.parametrize(("n", "share"), [(40, 0.0), (24, 0.9), (24, 0.2)])
def test_the_default_threshold_changes_no_bar(n: int, share: float) -> None:
    """A hub from which all points are near, and others far from each other: short lists."""
    rng = np.random.default_rng(7)
    points = rng.normal(size=(n, 6))
    points /= np.maximum(share, 1e-9) * np.linalg.norm(points, axis=1)[:, None] if share else 1
    points[0] = 0
    distances = distance.squareform(distance.pdist(points))
    complex = FilteredComplex.rips(distances, 3)
    every = FilteredComplex.rips(distances, 3, threshold=np.inf)
    assert len(complex) <= len(every)
    for mine, theirs, all_of_them in zip(
        complex.barcode(), by_gudhi(distances, 3), every.barcode(), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(all_of_them, theirs)


def test_a_list_up_to_the_enclosing_radius_is_taken_where_it_is_shorter() -> None:
    star = 2 - np.eye(30) * 2
    star[0, 1:] = star[1:, 0] = 1
    complex = FilteredComplex.rips(star, 3)
    assert complex.counts == (30, 29, 0, 0)
    assert FilteredComplex.rips(star, 3, threshold=np.inf).counts == (30, 435, 4060, 27405)
    assert complex.barcode()[0].tolist() == [[0, 1]] * 29 + [[0, np.inf]]


@pytest.mark.parametrize(
    "given",
    [
        sparse.coo_array((3, 3)),
        sparse.coo_array(([np.inf], ([0], [2])), shape=(3, 3)),
        ([[0, 2]], [np.inf]),
        ([[2, 2]], [0.0]),
    ],
)
def test_points_without_edges_are_components(given: Any) -> None:
    barcode = FilteredComplex.rips(given, 2).barcode()
    np.testing.assert_array_equal(barcode[0], [[0, np.inf]] * 3)
    assert len(barcode[1]) == 0


def test_narrow_integers_do_not_wrap_around() -> None:
    lengths = sparse.coo_array((np.array([200, 200], np.uint8), ([0, 0], [1, 1])), shape=(2, 2))
    assert FilteredComplex.rips(lengths, 1).barcode()[0].tolist() == [[0, 400], [0, np.inf]]


def test_a_graph_on_too_many_points_is_refused() -> None:
    huge = sparse.coo_array(([1.0], ([0], [1])), shape=(10**12, 10**12))
    with pytest.raises(CapacityError, match="a complex on 1000000000000 points"):
        FilteredComplex.rips(huge, 1)
