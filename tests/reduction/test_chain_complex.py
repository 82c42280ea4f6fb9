"""Chain complexes: against GUDHI, in other bases, on surfaces that are no simplices, as files."""

from pathlib import Path

import gudhi
import numpy as np
import pytest
from numpy.typing import NDArray

from reduction import Barcode, ChainComplex, FilteredComplex, FiltrationError

FIELDS = (2, 3, 5, 2**31 - 1)


def random_complex(seed: int) -> tuple[gudhi.SimplexTree, ChainComplex]:
    """A random simplicial complex with tied values, by GUDHI and as matrices."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 9))
    tree = gudhi.SimplexTree()
    for v in range(n):
        tree.insert([v], float(rng.integers(0, 5)))
    for _ in range(12):
        size = int(rng.integers(1, min(n, 5) + 1))
        tree.insert(rng.choice(n, size, replace=False).tolist(), float(rng.integers(0, 9)))
    tree.make_filtration_non_decreasing()
    made = FilteredComplex.from_simplices({tuple(s): f for s, f in tree.get_filtration()})
    matrices = [made.boundary(r) for r in range(1, made.dim + 1)]
    values = [made.values[r][made.order(r)] for r in range(made.dim + 1)]
    return tree, ChainComplex(matrices, values)


@pytest.mark.parametrize("field", [2, 3, 11])
def test_random_complexes_have_gudhis_barcodes(field: int) -> None:
    for seed in range(60):
        tree, chains = random_complex(seed)
        tree.compute_persistence(field, min_persistence=0, persistence_dim_max=True)
        for r, bars in enumerate(chains.barcode(field)):
            truth = np.asarray(tree.persistence_intervals_in_dimension(r)).reshape(-1, 2)
            np.testing.assert_array_equal(bars, truth[np.lexsort((truth[:, 1], truth[:, 0]))])


def test_changes_of_basis_that_respect_the_filtration_change_no_bar() -> None:
    """Coefficients grow beyond 1, and columns of any length appear."""
    rng = np.random.default_rng(7)
    largest = 0
    for seed in range(40):
        _, chains = random_complex(seed)
        bases = [np.eye(m, dtype=np.int64) for m in chains.counts]
        for basis, values in zip(bases, chains.values, strict=True):
            older = values[:, None] <= values[None]
            basis += np.triu(rng.integers(-2, 3, basis.shape) * older, 1)
        changed = [
            np.rint(np.linalg.solve(bases[r], matrix.toarray() @ bases[r + 1])).astype(np.int64)
            for r, matrix in enumerate(chains.boundaries)
        ]
        largest = max(largest, *(int(np.abs(m).max(initial=0)) for m in changed), 0)
        twin = ChainComplex(changed, chains.values)
        for field in FIELDS:
            for bars, others in zip(
                chains.barcode(field, keep_zero=True),
                twin.barcode(field, keep_zero=True),
                strict=True,
            ):
                np.testing.assert_array_equal(bars, others)
    assert largest > 2


SURFACES = {  # cells, one vertex; Betti numbers over Z/2 and Z/3
    "projective plane": ([[[0]], [[2]]], (1, 1, 1), (1, 0, 0)),
    "torus": ([[[0, 0]], [[0], [0]]], (1, 2, 1), (1, 2, 1)),
    "Klein bottle": ([[[0, 0]], [[0], [2]]], (1, 2, 1), (1, 1, 0)),
}


@pytest.mark.parametrize("name", SURFACES)
def test_surfaces_have_their_homology_over_each_field(name: str) -> None:
    matrices, over_two, over_three = SURFACES[name]
    counts = [1, *(len(matrix[0]) for matrix in matrices)]
    chains = ChainComplex(matrices, [np.full(m, float(r)) for r, m in enumerate(counts)])
    for field, betti in ((2, over_two), (3, over_three)):
        found = chains.barcode(field)
        assert tuple(len(found.essential(r)) for r in range(3)) == betti
    assert chains.euler_characteristic == sum((-1) ** r * b for r, b in enumerate(over_two))


def test_bars_name_generators_and_a_file_keeps_them(tmp_path: Path) -> None:
    chains = ChainComplex([[[1, -1], [-1, 1]], [[1], [1]]], [[0.0, 1.0], [2.0, 3.0], [4.0]])
    found = chains.barcode()
    assert [rows.tolist() for rows in found.pairs(0)] == [[[0], [1]], [[-1], [0]]]
    assert [rows.tolist() for rows in found.pairs(1)] == [[[1]], [[0]]]
    assert "(1) -> (0)" in found.table()
    found.save(tmp_path / "barcode.json")
    loaded = Barcode.load(tmp_path / "barcode.json")
    for r in range(3):
        np.testing.assert_array_equal(loaded[r], found[r])
        for rows, others in zip(loaded.pairs(r), found.pairs(r), strict=True):
            assert rows.tolist() == others.tolist()


@pytest.mark.parametrize("size", [2**15, 2**30 + 2**29])
def test_large_coefficients_are_checked_exactly(size: int) -> None:
    """Sums below 2**62 are computed; the largest coefficients may be met by zeros alone."""
    values = [[0.0], [1.0] * 2, [2.0]]
    chains = ChainComplex([[[size, size]], [[size // 2], [-size // 2]]], values)
    assert len(chains.barcode(3).essential(0)) == (size % 3 == 0)
    with pytest.raises(FiltrationError, match=f"degree 2 has {size**2} times generator 0"):
        ChainComplex([[[size, size]], [[size // 2], [size // 2]]], values)


def test_matrices_are_copied_and_read_only() -> None:
    given: NDArray[np.int64] = np.array([[1], [-1]])
    chains = ChainComplex([given], [[0.0, 1.0], [2.0]])
    given[:] = 0
    assert chains.barcode()[0].tolist() == [[0.0, np.inf], [1.0, 2.0]]
    with pytest.raises(ValueError, match="read-only"):
        chains.boundaries[0].data[0] = 5
