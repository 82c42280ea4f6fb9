"""Honest maxima against brute force on every linear piece, which knows values only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    LossComplex,
    Minima,
    Recipe,
    build_complex,
)
from simplicial.construction.finishing import REFINED_BYTES
from simplicial.evaluation import values_and_gradients
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import lay_out
from simplicial.maps.control_points import straight as straight_simplices
from simplicial.maps.lattice import lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.maxima import Maxima
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices, own_point
from simplicial.maxima.refined import Refinement, refined_maxima
from simplicial.options import MEMORY

Floats = NDArray[np.float64]
Formula = Callable[[Tensor], Tensor]

DENSE = {1: 200, 2: 24, 3: 8}  # segments of the brute-force lattice on every linear piece
ROUNDING = 1e-12  # of values of order 1 at points that two ways of summing give


def wells(x: Tensor) -> Tensor:
    return (x.square() - 1).square().sum(dim=1)


def random_trigonometric(seed: int, d: int) -> Formula:
    rng = np.random.default_rng(seed)
    waves = torch.as_tensor(rng.normal(scale=2, size=(6, d)))
    shifts, heights = torch.as_tensor(rng.uniform(0, 6, 6)), torch.as_tensor(rng.normal(size=6))
    return lambda x: torch.sin(x.double() @ waves.T + shifts).matmul(heights).to(x)


def random_cubic(seed: int, d: int) -> Formula:
    rng = np.random.default_rng(seed)
    a, b, c = (torch.as_tensor(rng.normal(size=(d,) * k)) for k in (3, 2, 1))
    return lambda x: torch.einsum("ijk,ni,nj,nk->n", a, x, x, x) + ((x @ b) * x).sum(1) + x @ c


def bump(centre: list[float], width: float) -> Formula:
    return lambda x: (-((x - x.new_tensor(centre)).square().sum(1)) / (2 * width**2)).exp()


def straight(vertices: Floats, simplex_map: SimplexMap) -> Tensor:
    """(m, c, d) control points of straight simplices on vertices (m, r+1, d)."""
    places = simplex_map.control_points(vertices.shape[1] - 1)
    return torch.as_tensor(np.einsum("cv,mvd->mcd", places, vertices))


def brute(loss: Formula, pieces: Floats) -> float:
    """The largest loss on linear simplices (p, r+1, d): a dense lattice, and smaller and smaller
    copies of it around the best of its points."""
    r = pieces.shape[1] - 1
    shares = lattice(r, DENSE[r]) / DENSE[r]
    points = np.einsum("sj,pjd->psd", shares, pieces)
    values = loss(torch.as_tensor(points).flatten(0, 1)).numpy()
    largest = values.max()
    for which in np.argsort(values)[-4:]:
        corners, best, size = pieces[which // len(shares)], shares[which % len(shares)], 0.2
        for _ in range(25):
            near = np.vstack([best, (1 - size) * best + size * shares])
            losses = loss(torch.as_tensor(near @ corners)).numpy()
            best, size = near[losses.argmax()], size / 2
            largest = max(largest, losses.max())
    return float(largest)


def psi(mesh: Mesh, controls: Floats, t: Floats) -> Floats:
    """The point at barycentric coordinates t, by a search for the linear piece that holds it."""
    shares = np.stack([np.linalg.solve(mesh.barycentric[piece].T, t) for piece in mesh.pieces])
    piece = shares.min(axis=1).argmax()
    assert shares[piece].min() > -1e-9
    return shares[piece] @ controls[mesh.pieces[piece]]


def measured(
    loss: Formula,
    controls: Tensor,
    simplex_map: SimplexMap,
    tolerance: float = 1e-9,
    memory: int = MEMORY,
    known: Floats | None = None,
    on_evaluations: Callable[[int], object] = lambda _count: None,
    budget: int | None = None,
) -> tuple[Refinement, Floats]:
    """What is found, and what was known: the largest value at control points on faces."""
    m, c, d = controls.shape
    r = simplex_dim(simplex_map, c)
    mesh, points = Mesh.of(simplex_map, r), controls.reshape(m * c, d)
    rows = np.arange(m * c).reshape(m, c)
    at_controls = values_and_gradients(loss, points)
    faces = np.setdiff1d(np.arange(c), mesh.inside)
    level = at_controls.values[rows[:, faces]].max(axis=1) if known is None else known
    found = refined_maxima(
        loss,
        EvaluatedSimplices(points, at_controls, rows, mesh),
        known=level,
        tolerance=tolerance,
        memory=memory,
        budget=budget,
        on_evaluations=on_evaluations,
    )
    return found, level


def simplex_dim(simplex_map: SimplexMap, count: int) -> int:
    return next(r for r in range(6) if len(simplex_map.control_points(r)) == count)


def bent(seed: int, simplex_map: SimplexMap, r: int, d: int, count: int) -> Tensor:
    """Random simplices whose inner and outer control points are off the flat ones."""
    rng = np.random.default_rng(seed)
    flat = straight(rng.uniform(-1.5, 1.5, (count, r + 1, d)), simplex_map)
    return flat + torch.as_tensor(rng.normal(scale=0.05, size=flat.shape))


CASES = [
    (random_trigonometric(1, 3), Edgewise(8), 1, 3, 12),
    (random_trigonometric(2, 2), Edgewise(5), 2, 2, 4),
    (random_trigonometric(3, 4), Barycentric(), 2, 4, 6),
    (random_trigonometric(4, 3), Edgewise(4), 3, 3, 2),
    (random_cubic(5, 3), Edgewise(3), 1, 3, 12),
    (random_cubic(6, 2), Edgewise(4), 2, 2, 6),
    (random_cubic(37, 5), Edgewise(4), 3, 5, 2),
    (wells, Edgewise(6), 2, 2, 6),
]


@pytest.mark.parametrize(("loss", "simplex_map", "r", "d", "count"), CASES)
def test_the_maximum_is_the_one_of_brute_force(
    loss: Formula, simplex_map: SimplexMap, r: int, d: int, count: int
) -> None:
    """The tolerance is kept; what is not above what was known is not told apart."""
    controls = bent(100 + r, simplex_map, r, d, count)
    pieces = controls.numpy()[:, simplex_map.pieces(r)]
    truth = np.array([brute(loss, of_one) for of_one in pieces])
    higher = 0
    for tolerance in (1e-9, 1e-3):
        found, known = measured(loss, controls, simplex_map, tolerance)
        best = np.maximum(found.maxima.values, known)
        assert (best <= truth + ROUNDING).all()
        assert (best >= truth - tolerance - ROUNDING).all()
        higher += int((found.maxima.values > known).sum())
    assert higher, "none lies above what is known: nothing was tested"


@pytest.mark.parametrize(("loss", "simplex_map", "r", "d", "count"), CASES)
def test_the_barycentric_coordinates_have_the_value(
    loss: Formula, simplex_map: SimplexMap, r: int, d: int, count: int
) -> None:
    controls, mesh = bent(200 + r, simplex_map, r, d, count), Mesh.of(simplex_map, r)
    found, _ = measured(loss, controls, simplex_map)
    higher = np.isfinite(found.maxima.values)
    assert higher.any()
    np.testing.assert_allclose(found.maxima.barycentric[higher].sum(axis=1), 1)
    assert (found.maxima.barycentric >= 0).all()
    for simplex in np.flatnonzero(higher):
        point = psi(mesh, controls[simplex].numpy(), found.maxima.barycentric[simplex])
        value = loss(torch.as_tensor(point)[None]).item()
        assert value == pytest.approx(found.maxima.values[simplex], rel=1e-10, abs=1e-10)


@pytest.mark.parametrize(
    ("vertices", "expected"),
    [
        ([[-1.0, 1, 1], [1, 1, 1]], 1.0),  # over a saddle, which is a control point
        ([[-1.0, -1, 1], [1, 1, 1]], 2.0),
        ([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1]], 2.0),  # the maximum lies on a side
        ([[-1.0, -1, -1], [1, -1, -1], [1, 1, -1], [1, 1, 1]], 3.0),
        ([[-1.0, -1, -1], [1, -1, 1], [-1, 1, 1], [1, 1, -1]], 3.0),  # the centre, inside
    ],
)
@pytest.mark.parametrize("segments", [4, 5])
def test_straight_simplices_of_a_double_well(
    vertices: list[list[float]], expected: float, segments: int
) -> None:
    """Closed form, by a lattice that holds the maximum and by one that does not."""
    simplex_map = Edgewise(segments)
    found, known = measured(wells, straight(np.array([vertices]), simplex_map), simplex_map)
    assert max(found.maxima.values[0], known[0]) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("centre", [0.44, 0.375, 0.401])
def test_a_narrow_bump_between_control_points(centre: float) -> None:
    """Inside a linear piece, at the corner of two, near one; half of the path is level."""
    loss = bump([centre, 0.02], 0.03)
    line = straight(np.array([[[0.0, 0.0], [1.0, 0.0]]]), Edgewise(8))
    found, known = measured(loss, line, Edgewise(8))
    assert known[0] < 1e-8
    assert found.maxima.values[0] == pytest.approx(np.exp(-2 / 9), abs=1e-9)
    assert found.maxima.barycentric[0, 1] == pytest.approx(centre, abs=1e-4)


def test_a_narrow_bump_inside_a_triangle() -> None:
    loss = bump([0.29, 0.36], 0.06)
    triangle = straight(np.array([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]), Edgewise(8))
    found, _ = measured(loss, triangle, Edgewise(8))
    assert found.maxima.values[0] == pytest.approx(1, abs=2e-9)
    np.testing.assert_allclose(found.maxima.barycentric[0], [0.35, 0.29, 0.36], atol=1e-4)


def test_what_is_known_to_be_higher_is_evaluated_once() -> None:
    """At the centre of each piece and at a point of its own; the largest of these and of inner
    control points is told."""
    controls = bent(301, Edgewise(5), 2, 2, 4)
    loss = random_trigonometric(8, 2)
    found, _ = measured(loss, controls, Edgewise(5), known=np.full(4, 100.0))
    assert found.evaluations.tolist() == [50] * 4
    mesh = Mesh.of(Edgewise(5), 2)
    corners, share = torch.as_tensor(controls)[:, mesh.pieces], own_point(3)
    own = torch.einsum("j,mpjd->mpd", torch.as_tensor(share), corners)
    inside = torch.as_tensor(controls)[:, mesh.inside]
    points = torch.cat([inside, own, corners.mean(dim=2)], dim=1)
    values = np.stack([loss(each).numpy() for each in points])
    np.testing.assert_allclose(found.maxima.values, values.max(axis=1), rtol=1e-12)
    of_corners = mesh.barycentric[mesh.pieces]
    places = [mesh.barycentric[mesh.inside], share @ of_corners, of_corners.mean(axis=1)]
    places = np.concatenate(places)
    np.testing.assert_allclose(found.maxima.barycentric, places[values.argmax(axis=1)], atol=1e-12)


def test_a_higher_known_value_saves_evaluations_and_changes_only_what_is_below_it() -> None:
    controls, loss = bent(302, Edgewise(6), 1, 3, 8), random_trigonometric(9, 3)
    found, known = measured(loss, controls, Edgewise(6))
    raised = known.copy()
    raised[::2] = 100
    fewer, _ = measured(loss, controls, Edgewise(6), known=raised)
    assert 0 < fewer.evaluations.sum() < found.evaluations.sum()
    np.testing.assert_allclose(fewer.maxima.values[1::2], found.maxima.values[1::2], rtol=1e-12)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_neither_memory_nor_the_batch_changes_the_result(r: int) -> None:
    loss, controls = random_trigonometric(10, 3), bent(310 + r, Edgewise(4), r, 3, 5)
    found, known = measured(loss, controls, Edgewise(4), 1e-6)
    small, _ = measured(loss, controls, Edgewise(4), 1e-6, memory=20_000)
    tiny, _ = measured(loss, controls[:2], Edgewise(4), 1e-6, memory=1)
    assert (found.maxima.values > known).any()
    np.testing.assert_allclose(small.maxima.values, found.maxima.values, rtol=1e-12)
    np.testing.assert_allclose(small.maxima.barycentric, found.maxima.barycentric, atol=1e-9)
    np.testing.assert_allclose(tiny.maxima.values, found.maxima.values[:2], rtol=1e-12)
    np.testing.assert_array_equal(small.evaluations, found.evaluations)
    alone = [measured(loss, one[None], Edgewise(4), 1e-6)[0] for one in controls]
    np.testing.assert_allclose(
        [one.maxima.values[0] for one in alone], found.maxima.values, rtol=1e-12
    )
    np.testing.assert_allclose(
        [one.maxima.barycentric[0] for one in alone], found.maxima.barycentric, atol=1e-9
    )
    assert [one.evaluations.item() for one in alone] == found.evaluations.tolist()


class Counting:
    """A loss that counts the points that it is given."""

    def __init__(self, loss: Formula) -> None:
        self.loss, self.points = loss, 0

    def __call__(self, points: Tensor) -> Tensor:
        self.points += len(points)
        return self.loss(points)


def test_evaluations_are_counted() -> None:
    counting, reported = Counting(random_trigonometric(11, 2)), []
    controls = bent(320, Edgewise(5), 2, 2, 3)
    found, _ = measured(
        counting, controls, Edgewise(5), memory=50_000, on_evaluations=reported.append
    )
    assert found.evaluations.sum() == counting.points - controls.shape[0] * controls.shape[1]
    assert found.evaluations.sum() == sum(reported)
    assert found.evaluations.sum() > 0


def test_float32_points() -> None:
    loss = random_trigonometric(12, 2)
    controls = bent(330, Edgewise(5), 2, 2, 4)
    double, known = measured(loss, controls, Edgewise(5), 1e-4)
    single, _ = measured(loss, controls.float(), Edgewise(5), 1e-4)
    assert single.maxima.values.dtype == np.float64
    assert (double.maxima.values > known).any()
    best = np.maximum(single.maxima.values, known)
    np.testing.assert_allclose(best, np.maximum(double.maxima.values, known), atol=2e-4)


def test_the_largest_of_each_owner_is_kept() -> None:
    """Against a loop; of equal values the first one counts, and what was known stays."""
    rng = np.random.default_rng(13)
    top = Maxima(np.array([2.0, -np.inf, 0.0, 9.0]), np.zeros((4, 2)))
    largest, place = top.values.copy(), top.barycentric.copy()
    for _ in range(20):
        owner, values = rng.integers(0, 3, 10), rng.integers(0, 9, 10).astype(float)
        places = rng.uniform(size=(10, 2))
        for who, value, where in zip(owner, values, places, strict=True):
            if value > largest[who]:
                largest[who], place[who] = value, where
        top = top.with_values(owner, values, places)
        np.testing.assert_array_equal(top.values, largest)
        np.testing.assert_array_equal(top.barycentric, place)


def straight_complex(minima: Minima, max_dim: int, **changed: Any) -> LossComplex:
    options: dict[str, Any] = {"simplex_map": Edgewise(4), "resolution": 6, "progress": False}
    straight = Algorithm1(recipe=Recipe(epochs=0))
    return build_complex(minima, max_dim, optimizer=straight, **(options | changed))


def test_a_complex_is_never_lower_for_its_refinement_and_counts_every_evaluation() -> None:
    """Straight simplices, so that only the maxima evaluate the loss."""
    counting = Counting(random_trigonometric(14, 3))
    points = torch.as_tensor(np.random.default_rng(15).uniform(-2, 2, (4, 3)))
    built = {}
    for tolerance in (None, 1e-2, 1e-6):
        counting.points = 0
        built[tolerance] = straight_complex(Minima(points, counting), 3, tolerance=tolerance)
        assert built[tolerance].evaluations == counting.points
    assert built[None].evaluations < built[1e-2].evaluations < built[1e-6].evaluations
    higher = 0
    for r in range(1, 4):
        lattice_only, rough, fine = (built[key].maxima[r] for key in (None, 1e-2, 1e-6))
        assert (rough >= lattice_only).all()
        assert (fine >= lattice_only).all()
        assert (fine >= rough - 1e-6 * 20).all()
        higher += int((fine > lattice_only + 1e-6).sum())
        for vertices, value in zip(built[1e-6].simplices[r].vertices, fine, strict=True):
            maximum = built[1e-6][tuple(vertices.tolist())].maximum
            assert counting(maximum.point[None]).item() == pytest.approx(value, abs=1e-10)
            assert maximum.value == value
    assert higher > 5


def low_wall(x: Tensor) -> Tensor:
    """Far from 0, where float32 has few digits left."""
    return 100 + 1e-3 * (x[:, 0].square() - 1).square()


def test_refined_maxima_stop_at_rounding() -> None:
    """Two vertices, one point of the lattice, four control points, one of each of three pieces, and
    few more."""
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float32)
    minima = Minima(points, low_wall)
    built = straight_complex(minima, 1, simplex_map=Edgewise(3), resolution=2)
    assert built.evaluations <= 2 + 1 + 4 + 3 + 4


def test_what_a_face_reaches_is_evaluated_at_check_points_of_pieces_only() -> None:
    """One in each of three pieces, and the centres of two: the lattice has a point in the third."""
    layout = lay_out(2, 1, Edgewise(3))
    points = straight_simplices(
        torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64), layout
    )
    at_controls = values_and_gradients(low_wall, points)
    lattice = CheckPoints(np.full((1, 2), 0.5), low_wall(points[:1] * 0).numpy()[None])
    mesh = Mesh.of(Edgewise(3), 1)
    simplices = EvaluatedSimplices(points, at_controls, layout.simplices[1].controls, mesh)
    for face_maximum, refines in ((105.0, False), (100.0, True)):
        known = np.maximum(lattice.values[:, 0], face_maximum)
        tolerance = np.array([1e-10])
        found = refined_maxima(
            low_wall, simplices, known=known, tolerance=tolerance, memory=MEMORY,
            check_points=lattice,
        )  # fmt: skip
        evaluations = found.evaluations.item()
        assert evaluations >= 3 + 2
        assert (evaluations > 3 + 2) == refines


def test_blocks_of_simplices_have_the_maxima_of_all_at_once() -> None:
    points = torch.as_tensor(np.random.default_rng(16).uniform(-2, 2, (5, 3)))
    minima = Minima(points, random_trigonometric(17, 3))
    whole, blocks = (
        straight_complex(minima, 2, memory=memory) for memory in (MEMORY, 2 * 10 * REFINED_BYTES)
    )
    assert whole.evaluations == blocks.evaluations
    for r in (1, 2):
        np.testing.assert_allclose(whole.maxima[r], blocks.maxima[r], rtol=1e-12)
    assert whole[(0, 1, 2)].samples is not None
    assert blocks[(0, 1, 2)].samples is None
