"""Boundary matrices in PHAT's text format."""

from pathlib import Path

import gudhi
import numpy as np
import pytest

from reduction import (
    ChainComplex,
    DataError,
    FilteredComplex,
    read_boundary_matrix,
    write_boundary_matrix,
)
from tests.oracles.complexes import PROJECTIVE_PLANE, filtered, full, sparse

TRIANGLE = """# a comment
0
0
1 0 1

0
1 1 3
1 0 3
2 2 4 5
"""


def standard_pairs(path: Path) -> set[tuple[int, int]]:
    """Pairs of columns by the standard algorithm over Z/2, on sets; no code is shared."""
    reduced: dict[int, tuple[int, set[int]]] = {}
    for j, line in enumerate(path.read_text("utf-8").splitlines()):
        column = set(map(int, line.split()[1:]))
        assert max(column, default=-1) < j
        while column and max(column) in reduced:
            column ^= reduced[max(column)][1]
        if column:
            reduced[max(column)] = (j, column)
    return {(i, j) for i, (j, _) in reduced.items()}


def test_the_pairs_of_a_triangle(tmp_path: Path) -> None:
    path = tmp_path / "triangle.dat"
    path.write_text(TRIANGLE, "utf-8")
    complex = read_boundary_matrix(path)
    assert complex.counts == (3, 3, 1)
    barcode = complex.barcode(3)
    assert [bars.tolist() for bars in barcode] == [[[0, np.inf], [1, 2], [3, 4]], [[5, 6]], []]
    assert write_boundary_matrix(path, complex).tolist() == list(range(7))
    assert path.read_text("utf-8").split("\n")[:-1] == [
        line for line in TRIANGLE.splitlines()[1:] if line
    ]


def test_files_of_random_complexes_have_the_bars_of_the_complex(tmp_path: Path) -> None:
    path = tmp_path / "matrix.dat"
    for seed in range(30):
        rng = np.random.default_rng([2941, seed])
        arrays = filtered(full(5, 3) if seed % 2 else sparse(8, 3, 5, rng), rng, seed % 4)
        complex = FilteredComplex(*arrays)
        values = write_boundary_matrix(path, complex)
        assert (np.diff(values) >= 0).all()
        pairs = standard_pairs(path)
        finite = np.concatenate([bars[np.isfinite(bars[:, 1])] for bars in complex.barcode()])
        bars = sorted((values[i], values[j]) for i, j in pairs if values[i] < values[j])
        assert bars == sorted(map(tuple, finite.tolist()))
        for p in (2, 3):
            found = read_boundary_matrix(path).barcode(p)
            for r, bars in enumerate(complex.barcode(p)):
                ends = np.append(values, np.inf)
                numbers = np.where(np.isinf(found[r]), values.size, found[r]).astype(np.int64)
                named = ends[numbers]
                named = named[named[:, 0] < named[:, 1]]
                np.testing.assert_array_equal(named[np.lexsort(named.T[::-1])], bars)


def test_signs_of_the_projective_plane_tell_fields_apart(tmp_path: Path) -> None:
    path = tmp_path / "plane.dat"
    complex = FilteredComplex(PROJECTIVE_PLANE, [np.zeros(len(rows)) for rows in PROJECTIVE_PLANE])
    write_boundary_matrix(path, complex)
    essential = [
        [int(np.isinf(bars[:, 1]).sum()) for bars in read_boundary_matrix(path).barcode(p)]
        for p in (2, 3)
    ]
    assert essential == [[1, 1, 1], [1, 0, 0]]


def test_images_have_gudhis_bars(tmp_path: Path) -> None:
    path = tmp_path / "image.dat"
    for seed, shape in enumerate([(5, 6), (3, 4, 3), (7,), (3, 3, 2, 2)]):
        image = np.random.default_rng([2942, seed]).random(shape)
        values = write_boundary_matrix(path, ChainComplex.cubical(image))
        found = read_boundary_matrix(path).barcode(5)
        cubical = gudhi.CubicalComplex(top_dimensional_cells=image)
        cubical.compute_persistence(homology_coeff_field=5, min_persistence=0)
        for r, bars in enumerate(found):
            ends = np.append(values, np.inf)
            numbers = np.where(np.isinf(bars), values.size, bars).astype(np.int64)
            named = ends[numbers]
            named = named[named[:, 0] < named[:, 1]]
            truth = np.asarray(cubical.persistence_intervals_in_dimension(r)).reshape(-1, 2)
            np.testing.assert_array_equal(
                named[np.lexsort(named.T[::-1])], truth[np.lexsort(truth.T[::-1])]
            )


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("", "has no columns; give"),
        ("0\n-1\n", r"column 1 of .* has \[-1\]"),
        ("0\n1 0 1\n0\n", r"column 1 of .* has \[1, 0, 1\]"),
        ("0\n0\n1 1 0\n", r"column 2 of .* has \[1, 1, 0\]"),
        ("0\n0\n2 0 1\n", r"column 2 of .* has \[2, 0, 1\]"),
        ("0\n1 0\n", "an edge has two ends, but column 1 has 1 entries"),
        ("0\n0\n1 0 1\n2 2\n", "column 3 is no such cell"),
        ("0\n0\n2\n", "column 2 is no such cell"),
    ],
)
def test_what_is_no_cell_complex_is_refused(text: str, piece: str, tmp_path: Path) -> None:
    path = tmp_path / "matrix.dat"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=piece):
        read_boundary_matrix(path)


def test_two_circles_bound_no_cell(tmp_path: Path) -> None:
    """Their orientations do not follow from each other."""
    path = tmp_path / "matrix.dat"
    path.write_text("0\n0\n0\n0\n1 0 1\n1 0 1\n1 2 3\n1 2 3\n2 4 5 6 7\n", "utf-8")
    with pytest.raises(DataError, match="column 8 is no such cell"):
        read_boundary_matrix(path)
