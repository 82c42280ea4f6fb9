"""Linear pieces, the mesh that they make, its tangents, and fillings, on simplices known flat."""

from math import factorial

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial import Barycentric, Edgewise
from simplicial.maps.base import SimplexMap
from simplicial.maps.mesh import Mesh
from simplicial.maps.tangents import TangentSpaces
from simplicial.optimizers.fillings import harmonic, ruled

Floats = NDArray[np.float64]
MAPS = [Barycentric(), Edgewise(1), Edgewise(2), Edgewise(3), Edgewise(5)]
INNER = [(Barycentric(), r) for r in (1, 2, 3)] + [
    (Edgewise(k), r) for k, r in [(2, 1), (6, 1), (3, 2), (6, 2), (4, 3), (5, 3)]
]
ROUNDING = 1e-12


def flat(simplex_map: SimplexMap, corners: Floats) -> Tensor:
    """Control points (1, c, d) of the straight simplex on corners (r+1, d)."""
    return torch.as_tensor(simplex_map.control_points(len(corners) - 1) @ corners)[None]


def random_corners(seed: int, r: int, d: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(r + 1, d))


def area(mesh: Mesh, controls: Tensor) -> float:
    """Of the linear pieces of a triangle (c, d), together."""
    corners = controls[torch.as_tensor(mesh.pieces)]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    gram = (a * a).sum(1) * (b * b).sum(1) - (a * b).sum(1) ** 2
    return float(gram.clamp(min=0).sqrt().sum() / 2)


@pytest.mark.parametrize("simplex_map", MAPS)
@pytest.mark.parametrize("r", range(5))
def test_pieces_tile_the_simplex(simplex_map: SimplexMap, r: int) -> None:
    """As many as there must be, all different, and equally large; together the whole."""
    places, pieces = simplex_map.control_points(r), simplex_map.pieces(r)
    k = simplex_map.segments if isinstance(simplex_map, Edgewise) else None
    expected = factorial(r + 1) if k is None else k**r
    assert pieces.shape == (expected, r + 1)
    assert len(np.unique(np.sort(pieces, axis=1), axis=0)) == expected
    volumes = np.abs(np.linalg.det(places[pieces]))
    np.testing.assert_allclose(volumes, 1 / expected)
    assert set(pieces.ravel().tolist()) == set(range(len(places)))


@pytest.mark.parametrize("simplex_map", MAPS)
@pytest.mark.parametrize("r", range(5))
def test_pieces_are_those_that_hold_points(simplex_map: SimplexMap, r: int) -> None:
    """Random points are located in listed pieces, with the weights that a linear system gives."""
    places, pieces = simplex_map.control_points(r), simplex_map.pieces(r)
    listed = {frozenset(piece) for piece in pieces.tolist()}
    t = np.random.default_rng(10 + r).dirichlet(np.ones(r + 1), 4 * len(pieces))
    corners, weights = simplex_map.locate(t)
    assert {frozenset(row) for row in corners.tolist()} <= listed
    solved = np.linalg.solve(places[corners].transpose(0, 2, 1), t[..., None])[..., 0]
    np.testing.assert_allclose(weights, solved, atol=1e-10)
    centres, _ = simplex_map.locate(places[pieces].mean(axis=1))
    np.testing.assert_array_equal(np.sort(centres, axis=1), np.sort(pieces, axis=1))


@pytest.mark.parametrize(("simplex_map", "r"), INNER)
def test_neighbours_share_a_piece(simplex_map: SimplexMap, r: int) -> None:
    """Against a loop over pieces; rows are filled up by what is marked as absent."""
    mesh = Mesh.of(simplex_map, r)
    pairs = {(a, b) for piece in mesh.pieces.tolist() for a in piece for b in piece if a != b}
    assert {(a, b) for a, b in mesh.edges.tolist()} == {(a, b) for a, b in pairs if a < b}
    inside = [c for c, t in enumerate(mesh.barycentric.tolist()) if min(t) > 0]
    assert mesh.inside.tolist() == inside
    for row, c in enumerate(inside):
        own = mesh.neighbours[row][mesh.present[row]].tolist()
        assert sorted(own) == sorted(b for a, b in pairs if a == c)
        assert len(set(own)) == len(own)


@pytest.mark.parametrize("simplex_map", [Edgewise(1), Edgewise(2)])
def test_a_mesh_without_inner_control_points(simplex_map: Edgewise) -> None:
    mesh = Mesh.of(simplex_map, 2)
    assert len(mesh.inside) == len(mesh.neighbours) == len(mesh.harmonic) == 0


@pytest.mark.parametrize(("simplex_map", "r"), INNER)
def test_harmonic_control_points_are_means_of_their_neighbours(
    simplex_map: SimplexMap, r: int
) -> None:
    """On any faces; none is taken from an inner control point, which has yet to be placed."""
    mesh = Mesh.of(simplex_map, r)
    assert (mesh.harmonic[:, mesh.inside] == 0).all()
    np.testing.assert_allclose(mesh.harmonic.sum(axis=1), 1)
    controls = torch.as_tensor(np.random.default_rng(20).normal(size=(2, len(mesh.barycentric), 4)))
    filled = controls.clone()
    filled[:, mesh.inside] = harmonic(controls, mesh)
    for row, c in enumerate(mesh.inside):
        own = mesh.neighbours[row][mesh.present[row]]
        torch.testing.assert_close(filled[:, c], filled[:, own].mean(dim=1))
    assert float(mesh.spread(filled).abs().max()) < ROUNDING
    assert float(mesh.spread(controls).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("simplex_map", "r"), [(m, r) for m, r in INNER if isinstance(m, Edgewise) or r < 3]
)
def test_a_straight_simplex_is_even(simplex_map: SimplexMap, r: int) -> None:
    """There the harmonic filling is the affine one, and nothing is left to spread."""
    mesh, controls = Mesh.of(simplex_map, r), flat(simplex_map, random_corners(21, r, 5))
    torch.testing.assert_close(harmonic(controls, mesh), controls[:, mesh.inside])
    assert float(mesh.spread(controls).abs().max()) < ROUNDING


def test_spread_leads_to_the_mean_of_the_neighbours() -> None:
    mesh = Mesh.of(Edgewise(4), 2)
    controls = torch.as_tensor(np.random.default_rng(22).normal(size=(3, 15, 2)))
    for row, c in enumerate(mesh.inside):
        own = mesh.neighbours[row][mesh.present[row]]
        expected = controls[:, own].mean(dim=1) - controls[:, c]
        torch.testing.assert_close(mesh.spread(controls)[:, row], expected)


def test_spacing_is_the_mean_length_of_edges() -> None:
    line = flat(Edgewise(8), np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert Mesh.of(Edgewise(8), 1).spacing(line).tolist() == pytest.approx([5 / 8])
    corners = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    both = torch.cat([flat(Edgewise(5), corners), flat(Edgewise(5), 3 * corners)])
    spacing = Mesh.of(Edgewise(5), 2).spacing(both)
    assert spacing.tolist() == pytest.approx([np.sqrt(2) / 5, 3 * np.sqrt(2) / 5])


@pytest.mark.parametrize(("simplex_map", "r"), INNER)
def test_tangents_of_a_straight_simplex(simplex_map: SimplexMap, r: int) -> None:
    """The edges from the first vertex, whatever the loss: the fit is exact; their space by SVD."""
    corners = random_corners(23, r, 6)
    mesh, controls = Mesh.of(simplex_map, r), flat(simplex_map, corners)
    heights = torch.as_tensor(np.random.default_rng(24).normal(size=(1, len(mesh.barycentric))))
    tangents = mesh.tangents(controls, heights)
    expected = torch.as_tensor(corners[1:] - corners[0]).expand(tangents.shape)
    torch.testing.assert_close(tangents, expected)
    spaces = TangentSpaces.of(tangents)
    _, _, rows = np.linalg.svd(corners[1:] - corners[0])
    projector = torch.as_tensor(rows[:r].T @ rows[:r])
    found = tangents.mT @ spaces.inverses @ tangents
    torch.testing.assert_close(found, projector.expand(found.shape))
    vectors = torch.as_tensor(np.random.default_rng(25).normal(size=(1, len(mesh.inside), 6)))
    torch.testing.assert_close(spaces.projected(vectors), vectors @ projector)


def test_tangents_of_a_path_turn_uphill() -> None:
    """At a corner: along the higher neighbour; level, or on a hill's top, between the two."""
    corner = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]], dtype=torch.float64)
    mesh = Mesh.of(Edgewise(2), 1)
    order = np.argsort(mesh.barycentric[:, 1])
    controls = torch.empty_like(corner)
    controls[:, torch.as_tensor(order)] = corner

    def direction(*levels: float) -> list[float]:
        heights = torch.empty(1, 3, dtype=torch.float64)
        heights[0, torch.as_tensor(order)] = torch.tensor(levels, dtype=torch.float64)
        return torch.nn.functional.normalize(
            mesh.tangents(controls, heights)[0, 0, 0], dim=0
        ).tolist()

    assert direction(0, 1, 2)[1] > 0.99
    assert direction(2, 1, 0)[0] > 0.99
    between = [np.sqrt(0.5), np.sqrt(0.5)]
    assert direction(1, 1, 1) == pytest.approx(between)
    assert direction(0, 1, 0) == pytest.approx(between)
    assert direction(1, 0, 1) == pytest.approx(between)


def test_a_thin_simplex_has_fewer_directions() -> None:
    """A triangle of height 1e-3 beside its length spans a line; one of height 0.2 a plane."""
    for height, directions in ((1e-3, 1), (0.0, 1), (0.2, 2)):
        corners = np.array([[0.0, 0, 0], [2.0, 0, 0], [1.0, height, 0]])
        mesh, controls = Mesh.of(Edgewise(5), 2), flat(Edgewise(5), corners)
        spaces = TangentSpaces.of(mesh.tangents(controls, torch.zeros(1, 21).double()))
        projectors = spaces.tangents.mT @ spaces.inverses @ spaces.tangents
        traces = projectors.diagonal(dim1=2, dim2=3).sum(dim=2)
        assert (traces - directions).abs().max() < ROUNDING
        across = spaces.projected(torch.tensor([0.0, 1, 0]).double().expand(1, 6, 3))
        assert float(across.norm(dim=2).max()) == pytest.approx(directions - 1, abs=2e-3)
    point = TangentSpaces.of(torch.zeros(1, 1, 2, 3, dtype=torch.float64))
    assert (point.projected(torch.ones(1, 1, 3, dtype=torch.float64)) == 0).all()


@pytest.mark.parametrize(("simplex_map", "r"), [(m, r) for m, r in INNER if r > 1])
def test_ruled_fillings_of_a_straight_simplex_are_straight(simplex_map: SimplexMap, r: int) -> None:
    """Whatever inner control points were before; each of a batch as alone."""
    mesh = Mesh.of(simplex_map, r)
    many = torch.cat([flat(simplex_map, random_corners(seed, r, 4)) for seed in (26, 27)])
    spoilt = many.clone()
    spoilt[:, mesh.inside] = 1e3
    for apex in range(r + 1):
        filled = ruled(spoilt, mesh, simplex_map, apex)
        torch.testing.assert_close(filled, many[:, mesh.inside])


def test_a_foot_at_a_vertex() -> None:
    """The vertex nearest to the apex: lines run along that side, and the plane is kept."""
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 4.0]])
    mesh, controls = Mesh.of(Edgewise(6), 2), flat(Edgewise(6), corners)
    facet = np.flatnonzero(mesh.barycentric[:, 0] == 0)
    nearest = facet[controls[0, facet].norm(dim=1).argmin()]
    assert (mesh.barycentric[nearest] == [0, 1, 0]).all()
    torch.testing.assert_close(ruled(controls, mesh, Edgewise(6), 0), controls[:, mesh.inside])


def test_a_side_that_runs_along_the_other_two_leaves_a_thin_triangle() -> None:
    """Sides on a half circle, which chords cut by 0.9 %: so ruled, the triangle is there too, and
    the harmonic filling spills over the bend."""
    mesh = Mesh.of(Edgewise(12), 2)
    controls = torch.zeros(1, len(mesh.barycentric), 2, dtype=torch.float64)
    for c, t in enumerate(mesh.barycentric):
        angle = np.pi * (t[2] if t[1] == 0 else t[1] / 2 + t[2])  # along side 0-2, or 0-1-2
        controls[0, c] = torch.tensor([np.cos(angle), np.sin(angle)])
    radii = ruled(controls, mesh, Edgewise(12), 1).norm(dim=2)
    assert np.cos(np.pi / 24) - ROUNDING <= radii.min() <= radii.max() <= 1 + ROUNDING
    spilt = harmonic(controls, mesh)
    assert spilt.norm(dim=2).min() < 0.8
    areas = []
    for inner in (ruled(controls, mesh, Edgewise(12), 1), spilt):
        filled = controls.clone()
        filled[:, mesh.inside] = inner
        areas.append(area(mesh, filled[0]))
    assert areas[0] < 0.2 < 0.7 < areas[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tangents_of_a_level_loss_are_those_of_the_neighbours(dtype: torch.dtype) -> None:
    """No neighbour is higher: all count alike, in single precision too."""
    controls = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [3.0, 0.0]]], dtype=dtype)
    tangents = Mesh.of(Edgewise(2), 1).tangents(controls, torch.zeros(1, 3, dtype=dtype))
    torch.testing.assert_close(tangents[0, 0, 0], torch.tensor([3.0, 0.0], dtype=dtype))
