"""The oracle of mixtures in the plane, beside grids by hand and GUDHI on the same triangles."""

import gudhi
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracles.lower_star import interpolation_error, plane_barcode


def by_gudhi(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Bars of the indices 0 and 1 of positive length, each cell cut from its first corner on."""
    n, m = values.shape
    number = np.arange(n * m).reshape(n, m)
    tree = gudhi.SimplexTree()
    for i in range(n - 1):
        for j in range(m - 1):
            a, b, c, d = number[i, j], number[i + 1, j], number[i, j + 1], number[i + 1, j + 1]
            tree.insert([a, b, d], np.inf)
            tree.insert([a, c, d], np.inf)
    for simplex, _ in list(tree.get_simplices()):
        tree.assign_filtration(simplex, float(values.ravel()[simplex].max()))
    tree.compute_persistence(homology_coeff_field=2, min_persistence=0)
    found = [tree.persistence_intervals_in_dimension(r).reshape(-1, 2) for r in (0, 1)]
    return [bars[np.lexsort((bars[:, 1], bars[:, 0]))] for bars in found]


def in_a_bowl(inside: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(inside, 1, constant_values=float(inside.max()) + 1)


def test_two_basins_meet_at_the_pass_between_them() -> None:
    found = plane_barcode(in_a_bowl(np.array([[0.0, 3.0, 1.0]])))
    assert found.components.tolist() == [[0.0, np.inf], [1.0, 3.0]]
    assert found.holes.shape == (0, 2)


def test_a_peak_inside_of_a_ring_is_a_hole() -> None:
    ring = np.array([[1.0, 1.0, 1.0], [1.0, 5.0, 2.0], [1.0, 1.0, 1.0]])
    found = plane_barcode(in_a_bowl(ring))
    assert found.components.tolist() == [[1.0, np.inf]]
    assert found.holes.tolist() == [[2.0, 5.0]]


def test_cells_are_cut_from_their_first_corner_to_the_opposite_one() -> None:
    """On one diagonal two low corners are neighbours, on the other they are not."""
    joined, apart = np.array([[0.0, 9.0], [9.0, 1.0]]), np.array([[9.0, 0.0], [1.0, 9.0]])
    assert plane_barcode(in_a_bowl(joined)).components.tolist() == [[0.0, np.inf]]
    assert plane_barcode(in_a_bowl(apart)).components.tolist() == [[0.0, np.inf], [1.0, 9.0]]


@pytest.mark.parametrize("levels", [4, 1000])  # few: with ties
@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (1, 7), (8, 8)])
@pytest.mark.parametrize("seed", range(5))
def test_bars_are_those_of_gudhi_on_the_same_triangles(
    shape: tuple[int, int], levels: int, seed: int
) -> None:
    inside = np.random.default_rng(seed).integers(levels, size=shape).astype(np.float64)
    values = in_a_bowl(inside)
    found, expected = plane_barcode(values), by_gudhi(values)
    np.testing.assert_array_equal(found.components, expected[0])
    holes = found.holes[np.lexsort((found.holes[:, 1], found.holes[:, 0]))]
    np.testing.assert_array_equal(holes, expected[1])
    if levels > 4:
        assert len(found.components) > 1
        assert min(shape) == 1 or len(found.holes)


def test_a_bowl_is_off_by_the_interpolation_error_and_no_more() -> None:
    """(|x|^2) / 2 has both curvatures 1; the middle of a diagonal is the farthest."""
    spacing, shares = 0.5, np.linspace(0, 1, 41)
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * spacing + 0.3
    heights = (corners**2).sum(axis=1) / 2
    grid = [(a, b, 1 - a - b) for a in shares for b in shares if a + b <= 1]
    weights = np.array(grid)
    points = weights @ corners
    off = weights @ heights - (points**2).sum(axis=1) / 2
    assert off.min() >= -1e-15
    assert off.max() == pytest.approx(interpolation_error(1.0, spacing), rel=1e-12)
