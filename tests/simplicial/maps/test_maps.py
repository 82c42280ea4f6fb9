"""The maps against eqs. 5 and 6 written out, and against what every simplex map must satisfy."""

from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest

from simplicial import Barycentric, Edgewise
from simplicial.maps.base import SimplexMap, face_positions, interior_controls

MAPS = [Barycentric(), Edgewise(1), Edgewise(2), Edgewise(3), Edgewise(8)]
ROUNDING = 1e-12  # sums of at most r + 1 products of numbers up to 1, times k <= 8


def dense_weights(simplex_map: SimplexMap, t: np.ndarray) -> np.ndarray:
    """W(t), (batch, c)."""
    corners, weights = simplex_map.locate(t)
    dense = np.zeros((len(t), len(simplex_map.control_points(t.shape[1] - 1))))
    np.add.at(dense, (np.arange(len(t))[:, None], corners), weights)
    return dense


def random_points(seed: int, r: int, count: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.dirichlet(np.ones(r + 1), count)
    points[::7] = np.round(points[::7] * 4) / 4  # ties, faces and lattice points too
    points[::7] /= points[::7].sum(axis=1, keepdims=True)
    return points


def eq_5(t: float, theta: np.ndarray, theta_1: np.ndarray, theta_2: np.ndarray) -> np.ndarray:
    if t <= 0.5:
        return 2 * (t * theta + (0.5 - t) * theta_1)
    return 2 * ((t - 0.5) * theta_2 + (1 - t) * theta)


def eq_6(t: np.ndarray, theta: dict[str, np.ndarray]) -> np.ndarray:
    """Eq. 6 as printed: its six cases, term by term."""
    t1, t2, t3 = t
    if t1 <= t2 <= t3:
        return (t3 - t2) * theta["1"] + 3 * t1 * theta["123"] + (2 * t2 - 2 * t1) * theta["12"]
    if t1 <= t3 <= t2:
        return (t2 - t3) * theta["2"] + 3 * t1 * theta["123"] + (2 * t3 - 2 * t1) * theta["12"]
    if t3 <= t2 <= t1:
        return (t1 - t2) * theta["3"] + 3 * t3 * theta["123"] + (2 * t2 - 2 * t3) * theta["23"]
    if t2 <= t1 <= t3:
        return (t3 - t1) * theta["1"] + 3 * t2 * theta["123"] + (2 * t1 - 2 * t2) * theta["13"]
    if t3 <= t1 <= t2:
        return (t2 - t1) * theta["2"] + 3 * t3 * theta["123"] + (2 * t1 - 2 * t3) * theta["23"]
    return (t1 - t3) * theta["3"] + 3 * t2 * theta["123"] + (2 * t3 - 2 * t2) * theta["13"]


def test_barycentric_edge_is_eq_5() -> None:
    rng = np.random.default_rng(11)
    first, last, centre = rng.standard_normal((3, 4))
    for t in np.linspace(0, 1, 41):
        weights = dense_weights(Barycentric(), np.array([[1 - t, t]]))
        expected = eq_5(t, centre, first, last)
        np.testing.assert_allclose(weights[0] @ [first, last, centre], expected, atol=ROUNDING)


def test_barycentric_triangle_is_eq_6_with_theta_1_and_theta_3_exchanged() -> None:
    """The printed eq. 6 has zeta(e_1) = theta_3: the exchange mends its vertices."""
    rng = np.random.default_rng(12)
    names = ["1", "2", "3", "12", "13", "23", "123"]
    controls = rng.standard_normal((7, 5))
    ours = dict(zip(names, controls, strict=True))
    exchange = {"1": "3", "2": "2", "3": "1", "12": "23", "13": "13", "23": "12", "123": "123"}
    printed = {name: ours[exchange[name]] for name in names}
    points = np.concatenate([random_points(13, 2), np.eye(3), [[1 / 3] * 3]])
    weights = dense_weights(Barycentric(), points)
    for t, w in zip(points, weights, strict=True):
        np.testing.assert_allclose(w @ controls, eq_6(t, printed), atol=ROUNDING)
    np.testing.assert_array_equal(eq_6(np.array([1.0, 0, 0]), ours), ours["3"])
    np.testing.assert_array_equal(eq_6(np.array([0, 0, 1.0]), ours), ours["1"])


@pytest.mark.parametrize("r", range(6))
def test_barycentric_weights_are_differences_of_sorted_coordinates(r: int) -> None:
    """A face has weight (k+1) (t_(k) - t_(k+1)) if its vertices have the largest coordinates."""
    points = random_points(20 + r, r)
    weights = dense_weights(Barycentric(), points)
    faces = [
        f
        for k in range(1, r + 2)
        for f in sorted(combinations(range(r + 1), k), key=lambda f: f[::-1])
    ]
    for t, w in zip(points, weights, strict=True):
        for face, weight in zip(faces, w, strict=True):
            others = [t[i] for i in range(r + 1) if i not in face]
            expected = len(face) * (min(t[i] for i in face) - max(others, default=0.0))
            assert abs(weight - max(expected, 0.0)) < ROUNDING


@pytest.mark.parametrize("simplex_map", MAPS)
@pytest.mark.parametrize("r", range(5))
def test_weights_are_a_partition_of_unity_that_reproduces_t(
    simplex_map: SimplexMap, r: int
) -> None:
    """With control points at their own coordinates the map is the identity."""
    points = random_points(30 + r, r)
    corners, weights = simplex_map.locate(points)
    assert weights.shape == (len(points), r + 1)
    assert (weights >= -ROUNDING).all()
    straight = np.einsum("bj,bjv->bv", weights, simplex_map.control_points(r)[corners])
    np.testing.assert_allclose(straight, points, atol=ROUNDING)


@pytest.mark.parametrize("simplex_map", MAPS)
@pytest.mark.parametrize("r", range(4))
def test_control_points_are_interpolated(simplex_map: SimplexMap, r: int) -> None:
    controls = simplex_map.control_points(r)
    np.testing.assert_allclose(
        dense_weights(simplex_map, controls), np.eye(len(controls)), atol=ROUNDING
    )


@pytest.mark.parametrize("simplex_map", MAPS)
@pytest.mark.parametrize("r", [1, 2, 3, 4])
def test_a_map_restricts_to_the_maps_of_its_faces(simplex_map: SimplexMap, r: int) -> None:
    """What makes the filtration monotone: on a face only the face's control points count."""
    places = face_positions(simplex_map, r)
    for k in range(r):
        interior = {d: interior_controls(simplex_map, d) for d in range(k + 1)}
        own = {face_place: i for i, face_place in enumerate(face_positions(simplex_map, k))}
        assert sum(len(v) for v in interior.values()) > 0
        for face in combinations(range(r + 1), k + 1):
            t = random_points(40 + k, k, 60)
            whole = np.zeros((len(t), r + 1))
            whole[:, face] = t
            weights = dense_weights(simplex_map, whole)
            expected = np.zeros_like(weights)
            of_face = dense_weights(simplex_map, t)
            for column, (carrier, place) in enumerate(places):
                if set(carrier) <= set(face):
                    within = tuple(face.index(v) for v in carrier)
                    expected[:, column] = of_face[:, own[within, place]]
            np.testing.assert_allclose(weights, expected, atol=ROUNDING)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_edgewise_pieces_are_congruent_up_to_volume(r: int) -> None:
    """k segments cut a simplex into k^r pieces of equal volume (Edelsbrunner & Grayson)."""
    k = 3
    corners, _ = Edgewise(k).locate(np.random.default_rng(50).dirichlet(np.ones(r + 1), 4000))
    pieces = np.unique(np.sort(corners, axis=1), axis=0)
    assert len(pieces) == k**r
    volumes = np.abs(np.linalg.det(Edgewise(k).control_points(r)[pieces]))
    np.testing.assert_allclose(volumes, 1 / k**r, atol=ROUNDING)


@pytest.mark.parametrize("r", range(5))
def test_numbers_of_control_points(r: int) -> None:
    assert len(Barycentric().control_points(r)) == 2 ** (r + 1) - 1
    assert len(interior_controls(Barycentric(), r)) == 1
    for k in (1, 2, 5):
        assert len(Edgewise(k).control_points(r)) == comb(k + r, r)
        assert len(interior_controls(Edgewise(k), r)) == comb(k - 1, r)


def test_edgewise_with_two_segments_on_an_edge_is_the_barycentric_map() -> None:
    points = random_points(60, 1)
    barycentric = dense_weights(Barycentric(), points)
    edgewise = dense_weights(Edgewise(2), points)
    np.testing.assert_allclose(barycentric[:, [0, 2, 1]], edgewise, atol=ROUNDING)


def test_barycentric_map_is_symmetric_in_the_vertices() -> None:
    points = random_points(61, 2)
    controls = Barycentric().control_points(2)
    for order in permutations(range(3)):
        column = [int(np.abs(controls - c[list(order)]).sum(axis=1).argmin()) for c in controls]
        np.testing.assert_allclose(
            dense_weights(Barycentric(), points[:, list(order)])[:, column],
            dense_weights(Barycentric(), points),
            atol=ROUNDING,
        )
