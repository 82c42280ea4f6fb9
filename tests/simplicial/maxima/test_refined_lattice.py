"""What a lattice saw that the corners of linear pieces do not show."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import (
    EXACT,
    Algorithm1,
    Barycentric,
    Edgewise,
    Minima,
    build_complex,
    find_minima,
)
from simplicial.evaluation import values_and_gradients
from simplicial.maps.base import SimplexMap
from simplicial.maps.lattice import interior_lattice
from simplicial.maps.mesh import Mesh
from simplicial.maxima.bernstein import cubic_values
from simplicial.maxima.pieces import CheckPoints, EvaluatedSimplices, Pieces
from simplicial.maxima.refined import Refinement, refined_maxima
from simplicial.options import MEMORY
from tests.simplicial.maxima.test_refined import (
    Floats,
    Formula,
    brute,
    bump,
    random_cubic,
    straight,
    wells,
)


def found_after_a_lattice(
    loss: Formula, r: int, resolution: int, simplex_map: SimplexMap, seen_before: bool = True
) -> tuple[Refinement, float]:
    """On the straight simplex with corners at 0 and at the unit vectors; the lattice's largest."""
    controls = straight(np.vstack([np.zeros(r), np.eye(r)])[None], simplex_map)
    mesh, points = Mesh.of(simplex_map, r), controls[0]
    at_controls = values_and_gradients(loss, points)
    places = interior_lattice(r, resolution)
    values = loss(torch.as_tensor(places[:, 1:])).numpy()[None]
    known = np.maximum(values.max(axis=1), at_controls.values.max())
    lattice = CheckPoints(places, values) if seen_before else None
    simplex = EvaluatedSimplices(points, at_controls, np.arange(len(points))[None], mesh)
    return refined_maxima(
        loss, simplex, known=known, tolerance=1e-9, memory=MEMORY, check_points=lattice
    ), float(values.max())


@pytest.mark.parametrize("simplex_map", [Edgewise(1), Edgewise(2), Edgewise(5), Barycentric()])
@pytest.mark.parametrize(
    ("centre", "width", "most"),
    [
        ([0.44], 0.035, 50),
        ([0.13], 0.035, 50),
        ([0.3, 0.36], 0.035, 400),
        ([0.12, 0.24], 0.035, 400),
        ([0.3, 0.22, 0.35], 0.05, 4_000),
        ([0.1, 0.15, 0.3], 0.05, 4_000),
    ],
)
def test_a_bump_that_no_corner_sees(
    simplex_map: SimplexMap, centre: list[float], width: float, most: int
) -> None:
    loss = bump(centre, width)
    found, sampled = found_after_a_lattice(loss, len(centre), 12, simplex_map)
    assert sampled < 0.95
    assert found.maxima.values[0] == pytest.approx(1, abs=2e-9)
    np.testing.assert_allclose(found.maxima.barycentric[0, 1:], centre, atol=1e-4)
    assert found.evaluations.item() < most


def test_the_lattice_is_what_shows_it() -> None:
    found, sampled = found_after_a_lattice(bump([0.17, 0.1], 0.035), 2, 12, Edgewise(1), False)
    assert found.maxima.values[0] < 0.01 < sampled


def test_centres_show_what_a_lattice_misses() -> None:
    """A lattice of the control points says nothing more than they do."""
    for centre in ([0.13], [0.3, 0.36], [0.3, 0.22, 0.35]):
        r = len(centre)
        mesh = Mesh.of(Edgewise(4), r)
        middles = mesh.barycentric[mesh.pieces].mean(axis=1)[:, 1:]
        near = middles[np.linalg.norm(middles - centre, axis=1).argmin()]
        loss = bump((near + 0.02).tolist(), 0.035)
        found, sampled = found_after_a_lattice(loss, r, 4, Edgewise(4))
        assert sampled < 0.2
        assert found.maxima.values[0] == pytest.approx(1, abs=2e-9)


@pytest.mark.parametrize("seed", [41, 42, 43])
def test_a_lattice_that_agrees_with_the_cubic_costs_nothing(seed: int) -> None:
    loss = random_cubic(seed, 1)
    without, _ = found_after_a_lattice(loss, 1, 12, Edgewise(2), seen_before=False)
    found, _ = found_after_a_lattice(loss, 1, 12, Edgewise(2))
    assert found.evaluations.item() == without.evaluations.item() - 2  # the centres of both pieces
    np.testing.assert_array_equal(found.maxima.values, without.maxima.values)


@pytest.mark.parametrize("simplex_map", [Edgewise(4), Edgewise(8), Barycentric()])
@pytest.mark.parametrize("resolution", [7, 12, 24])
def test_maxima_of_trained_simplices_do_not_depend_on_the_lattice(
    simplex_map: SimplexMap, resolution: int
) -> None:
    """Algorithm 1 lowers means, so its control points slide down on both sides of a saddle, and one
    linear piece holds all of it."""
    minima = find_minima(wells, n=4, dim=2, seed=0)
    built = build_complex(
        minima,
        2,
        optimizer=Algorithm1(),
        simplex_map=simplex_map,
        resolution=resolution,
        progress=False,
    )
    mesh = {r: Mesh.of(simplex_map, r) for r in (1, 2)}
    for r in (1, 2):
        for vertices in built.simplices[r].vertices.tolist():
            simplex = built[tuple(vertices)]
            expected = brute(wells, simplex.controls.numpy()[mesh[r].pieces])
            assert simplex.maximum.value > expected - 1e-6, vertices
            assert simplex.maximum.value > 1 - 1e-6
            at = wells(simplex(simplex.maximum.barycentric)).item()
            assert at == pytest.approx(simplex.maximum.value, abs=1e-9)


@pytest.mark.parametrize("simplex_map", [Edgewise(3), Barycentric()])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_linear_pieces_hold_the_points_that_the_map_puts_there(
    simplex_map: SimplexMap, r: int
) -> None:
    mesh = Mesh.of(simplex_map, r)
    t = np.random.default_rng(51).dirichlet(np.ones(r + 1), 40)
    pairs, shares = mesh.holding(t)
    assert sorted(pairs[:, 1].tolist()) == list(range(40))  # no random point is on a common face
    corners, weights = simplex_map.locate(t)
    for (piece, point), share in zip(pairs.tolist(), shares, strict=True):
        located = {c: w for c, w in zip(corners[point].tolist(), weights[point], strict=True)}
        for corner, weight in zip(mesh.pieces[piece].tolist(), share, strict=True):
            assert weight == pytest.approx(located[corner], abs=1e-9)


def test_points_on_common_faces_are_held_by_all_pieces_there() -> None:
    mesh = Mesh.of(Edgewise(4), 1)
    pairs, shares = mesh.holding(np.array([[0.5, 0.5], [0.4, 0.6]]))
    assert np.bincount(pairs[:, 1]).tolist() == [2, 1]
    assert sorted(shares[pairs[:, 1] == 0].max(axis=1).tolist()) == [1, 1]
    middle, _ = Mesh.of(Barycentric(), 2).holding(np.full((1, 3), 1 / 3))
    assert len(middle) == 6
    assert all(a < b for a, b in pairwise(middle[:, 0].tolist()))


@pytest.mark.parametrize("r", [1, 2, 3])
def test_a_witness_stays_where_it_is_when_parts_are_halved(r: int) -> None:
    """And the cubic is the same polynomial on both halves, if its values at the cut are."""
    rng, a = np.random.default_rng(61 + r), np.arange(5)
    corners, witnesses = np.eye(r + 1), rng.dirichlet(np.ones(r + 1), (5, 4))
    linear = rng.normal(size=r + 1)

    def square(at: Floats) -> Floats:
        return (at @ linear) ** 2

    def slopes(at: Floats) -> Floats:
        return 2 * (at @ linear)[..., None] * linear

    whole = np.broadcast_to(corners, (5, r + 1, r + 1))
    part = Pieces(
        owner=a,
        piece=np.zeros(5, int),
        rows=np.zeros((5, r + 1), int),
        corners=whole,
        values=square(whole),
        slopes=slopes(whole),
        error_bound=np.zeros(5),
        halvings=np.zeros(5, int),
        known=square(witnesses),
        barycentric=witnesses,
    )
    for _ in range(6):
        i, j = part.edges_to_cut()
        middle = (part.corner(i) + part.corner(j)) / 2
        halves = part.halved(i, j, middle, square(middle), slopes(middle))
        at = np.einsum("aqi,aij->aqj", halves.barycentric, halves.corners)
        np.testing.assert_allclose(at, witnesses[halves.owner], atol=1e-12)
        cubic = cubic_values(halves.values, halves.rises(), halves.barycentric)
        np.testing.assert_allclose(cubic, halves.known, atol=1e-9)
        part = halves


def test_two_bumps_that_no_corner_sees() -> None:
    def loss(x: Tensor) -> Tensor:
        return 0.82 * bump([0.188], 0.062)(x) + 1.099 * bump([0.871], 0.043)(x)

    found, sampled = found_after_a_lattice(loss, 1, 12, Edgewise(1))
    assert sampled < 0.8
    assert found.maxima.values[0] == pytest.approx(1.099, abs=1e-6)


@pytest.mark.parametrize("periods", [1, 2, 3])
@pytest.mark.parametrize("segments", [1, 2, 6])
def test_a_period_that_corners_and_lattice_share_hides_no_ridge(
    periods: int, segments: int
) -> None:
    """A straight edge over `periods` hills in each segment: corners, and the lattice's points
    inside, all stand in valleys."""
    waves = periods * segments

    def hills(x: Tensor) -> Tensor:
        return -torch.cos(2 * torch.pi * waves * x[:, 0]) + 0.1 * x[:, 0]

    ends = Minima(torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64), hills)
    untrained = Algorithm1(recipe=EXACT.changed(epochs=0))
    built = build_complex(
        ends, 1, optimizer=untrained, simplex_map=Edgewise(segments),
        resolution=2 * segments, progress=False,
    )  # fmt: skip
    t = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    highest = float(hills(torch.stack([t, 0 * t], dim=1)).max())
    assert float(built.values[1][0]) == pytest.approx(highest, abs=1e-5)
