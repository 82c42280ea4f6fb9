"""Exchange with GUDHI's simplex trees, and distances in Ripser's text format."""

from pathlib import Path

import gudhi
import numpy as np
import pytest

from reduction import (
    DataError,
    FilteredComplex,
    from_simplex_tree,
    read_lower_distances,
    to_simplex_tree,
    write_lower_distances,
)
from tests.oracles.complexes import filtered, full, sparse


def test_simplex_trees_come_and_go() -> None:
    for seed in range(30):
        rng = np.random.default_rng([294, seed])
        arrays = filtered(full(5, 3) if seed % 2 else sparse(8, 3, 5, rng), rng, seed % 4)
        complex = FilteredComplex(*arrays)
        tree = to_simplex_tree(complex, gudhi.SimplexTree())
        assert {(tuple(s), v) for s, v in tree.get_simplices()} == {
            (tuple(sorted(row)), value)
            for rows, values in zip(*arrays, strict=True)
            for row, value in zip(rows.tolist(), values.tolist(), strict=True)
        }
        assert not tree.make_filtration_non_decreasing()  # nothing was to be raised
        back = from_simplex_tree(tree)
        assert back.counts == complex.counts
        for r in range(complex.dim + 1):
            np.testing.assert_array_equal(back.vertices[r], complex.vertices[r])
            np.testing.assert_array_equal(back.values[r], complex.values[r])


def test_an_alpha_complex_has_gudhis_bars() -> None:
    points = np.random.default_rng(295).random((40, 2)).tolist()
    tree = gudhi.AlphaComplex(points=points).create_simplex_tree()
    found = from_simplex_tree(tree).barcode(3)
    tree.compute_persistence(3, min_persistence=0)
    for r, bars in enumerate(found):
        truth = np.asarray(tree.persistence_intervals_in_dimension(r)).reshape(-1, 2)
        np.testing.assert_array_equal(bars, truth[np.lexsort((truth[:, 1], truth[:, 0]))])
    assert len(found[1]) > 3


def test_lower_distances_are_restored_bit_by_bit(tmp_path: Path) -> None:
    path = tmp_path / "distances.txt"
    points = np.random.default_rng(296).random((9, 3))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    write_lower_distances(path, distances)
    np.testing.assert_array_equal(read_lower_distances(path), distances)


@pytest.mark.parametrize("number", ["nan", "inf", "-3"])
def test_numbers_that_are_no_distances_are_refused(number: str, tmp_path: Path) -> None:
    path = tmp_path / "distances.txt"
    path.write_text(f"1,2,{number}", "utf-8")
    with pytest.raises(DataError, match=r"finite and not negative, .*distances\.txt has others"):
        read_lower_distances(path)


@pytest.mark.parametrize("text", ["1,2,3", "1\n2 3\n", "1,\n2,3,\n", " 1.0\t2e0 , 3"])
def test_the_format_of_ripsers_readme(text: str, tmp_path: Path) -> None:
    path = tmp_path / "distances.txt"
    path.write_text(text, "utf-8")
    assert read_lower_distances(path).tolist() == [[0, 1, 2], [1, 0, 3], [2, 3, 0]]
    write_lower_distances(path, [[0, 1, 2], [1, 0, 3], [2, 3, 0]])
    assert path.read_text("utf-8") == "1.0\n2.0,3.0\n"
