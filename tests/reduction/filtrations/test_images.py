"""Cubical, lower-star and Freudenthal filtrations: every bar against GUDHI's, ties included."""

from itertools import permutations
from typing import Any

import gudhi
import numpy as np
import pytest
from numpy.typing import NDArray

from reduction import Barcode, CapacityError, ChainComplex, FilteredComplex
from reduction.filtrations import cubical, lower_star

Array = NDArray[np.float64]
SHAPES = {1: (9,), 2: (7, 6), 3: (4, 5, 3), 4: (3, 2, 3, 3)}


def images(dim: int, count: int) -> list[Array]:
    """Random images, by turns with many ties and with none; some axes have length 1."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng([29, dim, seed])
        shape = tuple(int(rng.integers(1 if seed % 5 == 0 else 2, n + 1)) for n in SHAPES[dim])
        levels = rng.integers(0, 6, shape).astype(float)
        found.append(levels if seed % 2 else rng.standard_normal(shape))
    return found


def assert_same(found: Barcode, truth: Any, dim: int) -> None:
    for r in range(dim):
        rows = np.asarray(truth.persistence_intervals_in_dimension(r)).reshape(-1, 2)
        np.testing.assert_array_equal(found[r], rows[np.lexsort((rows[:, 1], rows[:, 0]))])


@pytest.mark.parametrize("values_on", ["top cells", "vertices"])
@pytest.mark.parametrize(("dim", "count"), [(1, 40), (2, 200), (3, 120), (4, 20)])
def test_cubical_complexes_have_gudhis_bars(values_on: str, dim: int, count: int) -> None:
    bars = 0
    for k, image in enumerate(images(dim, count)):
        superlevel, field = k % 3 == 0, (2, 3, 11)[k % 3]
        signed = -image if superlevel else image
        if values_on == "top cells":
            truth = gudhi.CubicalComplex(top_dimensional_cells=signed)
        else:
            truth = gudhi.CubicalComplex(vertices=signed)
        truth.compute_persistence(homology_coeff_field=field, min_persistence=0)
        chains = ChainComplex.cubical(image, values_on=values_on, superlevel=superlevel)
        found = chains.barcode(field)
        assert_same(found, truth, dim)
        assert len(found) == dim + 1
        assert not len(found[dim])
        bars += sum(len(rows) for rows in found)
    assert bars > count


@pytest.mark.parametrize("values_on", ["top cells", "vertices"])
def test_periodic_images_have_gudhis_bars(values_on: str) -> None:
    """GUDHI's periodic complexes take the values of top-dimensional cells; on a torus the vertices
    of one grid are the cells of the dual one."""
    rng = np.random.default_rng(290)
    for k in range(60):
        shape = tuple(int(n) for n in rng.integers(3, 6, 2 + k % 2))
        image = rng.integers(0, 9, shape) if k % 4 else rng.standard_normal(shape)
        periodic = [bool(flag) for flag in rng.integers(0, 2, image.ndim)]
        chains = ChainComplex.cubical(image, values_on=values_on, periodic=periodic)
        if values_on == "top cells":
            truth = gudhi.PeriodicCubicalComplex(
                top_dimensional_cells=image, periodic_dimensions=periodic
            )
        else:
            truth = gudhi.PeriodicCubicalComplex(vertices=image, periodic_dimensions=periodic)
        truth.compute_persistence(homology_coeff_field=2, min_persistence=0)
        assert_same(chains.barcode(), truth, image.ndim + 1)


@pytest.mark.parametrize("values_on", ["top cells", "vertices"])
@pytest.mark.parametrize("shape", [(1,), (2,), (1, 1), (2, 1), (1, 2, 4)])
def test_a_torus_has_its_homology_however_short_its_axes(
    values_on: str, shape: tuple[int, ...]
) -> None:
    chains = ChainComplex.cubical(np.zeros(shape), values_on=values_on, periodic=True)
    betti = [len(chains.barcode(3).essential(r)) for r in range(len(shape) + 1)]
    assert betti == {1: [1, 1], 2: [1, 2, 1], 3: [1, 3, 3, 1]}[len(shape)]
    assert chains.euler_characteristic == 0


@pytest.mark.parametrize("values_on", ["top cells", "vertices"])
def test_matrices_of_cells_pass_every_check_of_chain_complexes(values_on: str) -> None:
    image = np.random.default_rng(291).integers(0, 9, (3, 4, 2))
    for periodic in (False, True, [True, False, False]):
        chains = ChainComplex.cubical(image, values_on=values_on, periodic=periodic)
        twin = ChainComplex(chains.boundaries, chains.values)
        for bars, others in zip(chains.barcode(3), twin.barcode(3), strict=True):
            np.testing.assert_array_equal(bars, others)
        assert not chains.values[0].flags.writeable


def test_bars_name_cells_in_the_order_of_the_docstring() -> None:
    """A hole around the pixel (1, 1): it ends at the square of that pixel."""
    image = np.zeros((3, 4))
    image[1, 1] = 5
    found = ChainComplex.cubical(image).barcode()
    assert found[1].tolist() == [[0.0, 5.0]]
    assert found.pairs(1).deaths.tolist() == [[1 * 4 + 1]]


def test_types_of_images() -> None:
    image = np.random.default_rng(292).integers(0, 256, (5, 4)).astype(np.uint8)
    for given in (image, image.tolist(), image.astype(np.float32), np.asfortranarray(image)):
        found = ChainComplex.cubical(given, superlevel=True).barcode()
        np.testing.assert_array_equal(
            found[0], ChainComplex.cubical(-image.astype(float)).barcode()[0]
        )
        assert found[0][0, 0] == -int(image.max())
    assert len(ChainComplex.cubical(image > 99).barcode()[0]) >= 1


def lower_star_tree(simplices: list[Any], values: Array) -> gudhi.SimplexTree:
    """GUDHI's: vertices at their values, all else raised to the vertices."""
    tree = gudhi.SimplexTree()
    for v, value in enumerate(values):
        tree.insert([v], value)
    for rows in simplices:
        for row in rows.tolist():
            tree.insert(row, -np.inf)
            tree.assign_filtration(row, -np.inf)
    for simplex, _ in list(tree.get_simplices()):
        tree.assign_filtration(simplex, values[simplex[0]] if len(simplex) == 1 else -np.inf)
    tree.make_filtration_non_decreasing()
    return tree


@pytest.mark.parametrize("field", [2, 5])
def test_lower_stars_have_gudhis_bars(field: int) -> None:
    for seed in range(150):
        rng = np.random.default_rng([292, seed])
        n = int(rng.integers(5, 12))
        values = rng.integers(0, 5, n).astype(float) if seed % 2 else rng.standard_normal(n)
        given = [
            np.stack([rng.permutation(n)[:size] for _ in range(int(rng.integers(1, 9)))])
            for size in rng.permutation([2, 3, 4, 5])[: int(rng.integers(1, 4))]
        ]
        tree = lower_star_tree(given, values)
        tree.compute_persistence(field, min_persistence=0, persistence_dim_max=True)
        complex_ = FilteredComplex.lower_star(given if len(given) > 1 else given[0], values)
        assert len(complex_) == tree.num_simplices()
        found = complex_.barcode(field, max_index=complex_.dim)
        assert_same(found, tree, complex_.dim + 1)


def kuhn_tree(image: Array) -> gudhi.SimplexTree:
    """GUDHI's lower star of top simplices, which are found by walking through each cube."""
    labels = np.arange(image.size).reshape(image.shape)
    top = []
    for corner in np.ndindex(*(n - 1 for n in image.shape)):
        for axes in permutations(range(image.ndim)):
            at = np.array(corner)
            row = [labels[tuple(at)]]
            for axis in axes:
                at[axis] += 1
                row.append(labels[tuple(at)])
            top.append(row)
    return lower_star_tree([np.array(top)], image.ravel())


@pytest.mark.parametrize(("dim", "count"), [(1, 20), (2, 120), (3, 60), (4, 3)])
def test_freudenthal_triangulations_have_gudhis_bars(dim: int, count: int) -> None:
    for k, image in enumerate(images(dim, count)):
        if min(image.shape) == 1:
            continue
        superlevel, field = k % 3 == 0, (2, 3, 11)[k % 3]
        tree = kuhn_tree(-image if superlevel else image)
        tree.compute_persistence(field, min_persistence=0, persistence_dim_max=True)
        complex_ = FilteredComplex.freudenthal(image, superlevel=superlevel)
        assert complex_.counts == tuple(
            sum(len(simplex) == r + 1 for simplex, _ in tree.get_simplices())
            for r in range(dim + 1)
        )
        assert_same(complex_.barcode(field), tree, dim)


def test_axes_of_length_1_add_no_simplices() -> None:
    rng = np.random.default_rng(293)
    image = rng.standard_normal((4, 5))
    flat = FilteredComplex.freudenthal(image)
    deep = FilteredComplex.freudenthal(image.reshape(4, 1, 5))
    assert deep.counts == (*flat.counts, 0)
    np.testing.assert_array_equal(deep.barcode()[1], flat.barcode()[1])


def test_vertices_alone_are_lower_stars_too() -> None:
    found = FilteredComplex.lower_star([], [3.0, 1.0])
    assert found.counts == (2,)
    assert found.barcode().essential(0).tolist() == [1.0, 3.0]


@pytest.mark.parametrize(
    ("module", "make"),
    [(cubical, ChainComplex.cubical), (lower_star, FilteredComplex.freudenthal)],
)
def test_images_that_do_not_fit_are_refused_before(
    module: Any, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for grows with the cells; the image is one number, seen many times."""
    asked: list[int] = []

    def refuse(size: int, what: str, remedy: str) -> None:
        asked.append(size)
        raise CapacityError(f"{what} needs {size}; {remedy}")

    monkeypatch.setattr(module, "require", refuse)
    image = np.broadcast_to(np.float64(0), (200, 200, 200))
    with pytest.raises(CapacityError, match="take a smaller array"):
        make(image)
    assert asked[0] > 200 * image.size
