"""Bounds on barcodes whose filtration values may still fall."""

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import gudhi
import gudhi.hera
import numpy as np
import pytest
from numpy.typing import NDArray

from reduction import Barcode, BarcodeError, DataError, FilteredComplex, FiltrationError, ShapeError
from reduction.barcodes.bounds import bounding_levels
from reduction.filtrations.filtration import Filtration
from reduction.persistence import boundary_reduction
from reduction.persistence.cohomology import pairings
from tests.oracles.bounding_level import bounding_level

Values = dict[tuple[int, ...], float]


def simplices(n: int, dim: int) -> list[tuple[int, ...]]:
    """All simplices, faces first."""
    return [s for r in range(dim + 1) for s in combinations(range(n), r + 1)]


def raised(own: Values) -> Values:
    """Values that are no lower than those of the facets."""
    values: Values = {}
    for simplex, value in own.items():
        faces = combinations(simplex, len(simplex) - 1) if len(simplex) > 1 else ()
        values[simplex] = max([value, *(values[face] for face in faces)])
    return values


def random_values(n: int, dim: int, rng: np.random.Generator, levels: int = 0) -> Values:
    draw = (lambda: float(rng.integers(levels))) if levels else rng.random
    return raised({s: draw() * len(s) for s in simplices(n, dim)})


def below(values: Values, rng: np.random.Generator) -> Values:
    """Lower bounds: some at the values, some below."""
    return {s: v - float(rng.integers(2)) * rng.random() for s, v in values.items()}


def between(lower: Values, values: Values, rng: np.random.Generator) -> Values:
    """A filtration between the two, often at one of them."""
    share = {s: float(rng.choice([0.0, 1.0, rng.random()])) for s in values}
    return raised({s: lower[s] + share[s] * (v - lower[s]) for s, v in values.items()})


def arrays_of(values: Values, complex: FilteredComplex) -> list[NDArray[np.float64]]:
    rows = (map(tuple, complex.vertices[r].tolist()) for r in range(complex.dim + 1))
    return [np.array([values[s] for s in each]) for each in rows]


def bars(values: Values, r: int) -> NDArray[np.float64]:
    """The bars of index r over Z/2, by GUDHI."""
    tree = gudhi.SimplexTree()
    for simplex, value in values.items():
        tree.insert(list(simplex), value)
    tree.compute_persistence(homology_coeff_field=2, min_persistence=-1, persistence_dim_max=True)
    return tree.persistence_intervals_in_dimension(r).reshape(-1, 2)


@pytest.mark.parametrize("levels", [0, 4])
@pytest.mark.parametrize("seed", range(12))
def test_no_filtration_between_the_bounds_is_farther_away_than_the_error(
    seed: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    values = random_values(6, 3, rng, levels)
    lower = below(values, rng)
    complex = FilteredComplex.from_simplices(values)
    barcode = complex.barcode(lower=arrays_of(lower, complex), keep_zero=True)
    for r in range(3):
        own = bars(values, r)
        for _ in range(20):
            other = bars(between(lower, values, rng), r)
            assert gudhi.hera.bottleneck_distance(own, other, 0.0) <= barcode.error(r) + 1e-12


def test_classes_that_last_move_by_as_much_as_their_simplices() -> None:
    """A circle of three edges without a triangle: half a bar would say nothing of its birth."""
    values = {s: 0.0 if len(s) == 1 else 4.0 for s in simplices(3, 1)} | {(3,): 0.0, (0, 3): 4.0}
    filled = {s: 4.0 for s in [(1, 3), (0, 1, 3)]}  # so that index 1 is one of the complex
    complex = FilteredComplex.from_simplices(values | filled)
    lower = arrays_of({s: 0.0 for s in values | filled}, complex)
    barcode = complex.barcode(lower=lower)
    assert len(barcode.essential(1)) == 1
    assert (barcode.error(0), barcode.error(1)) == (2.0, 4.0)


def test_bars_of_the_lower_bounds_are_in_the_error() -> None:
    """A circle that begins at 0 in the bounds too, and is filled at 6 or at 4."""
    values = {s: 0.0 for s in simplices(3, 1)} | {(0, 1, 2): 6.0}
    complex = FilteredComplex.from_simplices(values)
    barcode = complex.barcode(lower=arrays_of(values | {(0, 1, 2): 4.0}, complex))
    assert barcode.error(1) == 2.0  # and not half of it: 6 and 4 are 2 apart


@pytest.mark.parametrize("seed", range(100, 106))
def test_the_error_is_that_of_simplices_up_to_the_level_at_which_their_boundary_bounds(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    values = random_values(6, 3, rng)
    lower = below(values, rng)
    complex = FilteredComplex.from_simplices(values)
    barcode = complex.barcode(lower=arrays_of(lower, complex))
    for r in range(3):
        gaps = [v - lower[s] for s, v in values.items() if len(s) == r + 1]
        above = [s for s in values if len(s) == r + 2]
        gaps += [min(values[s], bounding_level(values, s)) - lower[s] for s in above]
        lowest = bars(raised(lower), r)
        ends = lowest[np.isfinite(lowest[:, 1])]
        half = (max(gaps) + (ends[:, 1] - ends[:, 0]).max(initial=0.0)) / 2
        endless = max(v - lower[s] for s, v in values.items() if len(s) == 1) if r == 0 else 0.0
        assert barcode.error(r) == pytest.approx(min(max(gaps), max(half, endless)), abs=1e-12)
        plain = max(v - lower[s] for s, v in values.items() if len(s) in (r + 1, r + 2))
        assert barcode.error(r) <= plain


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("levels", [0, 4])
@pytest.mark.parametrize("seed", range(300, 304))
def test_the_level_of_every_boundary_is_the_lowest_at_which_it_bounds(
    seed: int, levels: int, p: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary_reduction, "TERMS", 1)  # so that all buffers grow
    values = random_values(7, 3, np.random.default_rng(seed), levels)
    complex = FilteredComplex.from_simplices(values)
    filtration = Filtration(complex.vertices, complex.values)
    for r in range(1, 4):
        pairing = pairings(filtration, p, r - 1)[r - 1]
        floor = np.full(len(complex.values[r]), -math.inf)
        found = bounding_levels(filtration, r, pairing, p, lower=floor)
        rows = list(map(tuple, complex.vertices[r].tolist()))
        exact = [min(values[s], bounding_level(values, s)) for s in rows]
        assert found.tolist() == exact
        assert (found < complex.values[r]).any()
        middle = np.full(len(rows), float(np.median(exact)))
        coarse = bounding_levels(filtration, r, pairing, p, lower=middle)
        assert (coarse >= found).all()
        assert (coarse[found > middle] == found[found > middle]).all()
        assert (coarse[found <= middle] <= middle[found <= middle]).all()


def test_a_simplex_whose_boundary_bounds_below_it_adds_nothing() -> None:
    """Three triangles fill the fourth's boundary at 2; it stands at 9."""
    low = {s: 0.0 if len(s) == 1 else 1.0 for s in simplices(4, 1)}
    triangles = dict.fromkeys(combinations(range(4), 3), 2.0) | {(1, 2, 3): 9.0}
    complex = FilteredComplex.from_simplices(low | triangles)
    lower = arrays_of(low | dict.fromkeys(triangles, 1.0), complex)
    barcode = complex.barcode(lower=lower)
    assert barcode.error(1) == 0.5  # half of 2 - 1
    assert barcode.error(0) == 0.0
    listed = complex.barcode(lower=lower, field=3)
    assert listed.error(1) == 0.5


@pytest.mark.parametrize("seed", range(200, 206))
def test_deaths_are_never_lower_than_the_lowest_and_attain_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = random_values(6, 3, rng)
    complex = FilteredComplex.from_simplices(values)
    barcode = complex.barcode(lower=complex.values, keep_zero=True)
    for r in range(3):
        lowest = barcode.bounds(r)
        assert lowest is not None
        born = [tuple(row) for row in barcode.pairs(r).births.tolist()]
        known = dict(zip(born, lowest.lowest_deaths.tolist(), strict=True))
        for share in [0.0, *rng.random(4)]:
            lower = raised({s: v * (share if len(s) == r + 2 else 1) for s, v in values.items()})
            other = FilteredComplex.from_simplices(
                {s: v for s, v in lower.items() if len(s) <= r + 2}
            ).barcode(keep_zero=True)
            deaths = dict(
                zip(map(tuple, other.pairs(r).births.tolist()), other[r][:, 1], strict=True)
            )
            assert deaths.keys() == known.keys()
            for birth, death in deaths.items():
                assert death == known[birth] if share == 0 else death >= known[birth]


def test_bounds_are_kept_in_files_and_with_ends_and_shown(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    values = random_values(5, 2, rng)
    complex = FilteredComplex.from_simplices(values)
    barcode = complex.barcode(lower=arrays_of(below(values, rng), complex))
    barcode.save(tmp_path / "barcode.json")
    loaded = Barcode.load(tmp_path / "barcode.json")
    for r in range(2):
        assert loaded.error(r) == barcode.error(r) < math.inf
        own, other = barcode.bounds(r), loaded.bounds(r)
        assert own is not None
        assert other is not None
        assert own.lowest_deaths.tolist() == other.lowest_deaths.tolist()
    assert loaded.table() == barcode.table()
    assert f"{barcode.error(1):.6g}" in barcode.table()
    assert "lowest" in barcode.table()
    endless = barcode.with_bounds([(barcode[r][:, 1], math.inf) for r in range(2)])
    endless.save(tmp_path / "barcode.json")
    assert Barcode.load(tmp_path / "barcode.json").error(0) == math.inf


def test_a_barcode_without_bounds_says_so() -> None:
    barcode = FilteredComplex.from_simplices({(0,): 0.0, (1,): 0.0, (0, 1): 1.0}).barcode()
    assert barcode.bounds(0) is None
    assert "lowest" not in barcode.table()
    with pytest.raises(BarcodeError, match="an error belongs to values of optimised simplices"):
        barcode.error(0)


@pytest.mark.parametrize(
    ("lower", "error", "match"),
    [
        ([[0.0, 0.0]], ShapeError, "lower has 1 dimensions and the complex 2"),
        ([[0.0], [0.0]], ShapeError, r"lower\[0\] has shape \(1,\) and type float64 for 2"),
        ([[0.0, 0.0], [1.5]], FiltrationError, r"lower\[1\]\[0\] is 1.5 and the value 1.0"),
        ([[0.0, 0.0], [math.nan]], FiltrationError, r"lower\[1\]\[0\] is nan"),
    ],
)
def test_lower_bounds_that_are_none_are_refused(lower: Any, error: Any, match: str) -> None:
    complex = FilteredComplex.from_simplices({(0,): 0.0, (1,): 0.0, (0, 1): 1.0})
    with pytest.raises(error, match=match):
        complex.barcode(lower=lower)


@pytest.mark.parametrize(
    ("bounds", "error", "match"),
    [
        ([], ShapeError, "bounds has 0 indices and the barcode 1"),
        ([([math.inf, 0.5],)], ShapeError, r"bounds\[0\] has 1 parts"),
        ([([0.5], 0.0)], ShapeError, "for 2 bars"),
        ([(["a", "b"], 0.0)], ShapeError, "and type <U1 for"),
        ([([1.5, math.inf], 0.0)], BarcodeError, "lies between birth and death"),
        ([([-0.5, math.inf], 0.0)], BarcodeError, "lies between birth and death"),
        ([([1.0, 0.5], 0.0)], BarcodeError, "lies between birth and death"),
        ([([0.5, math.inf], -1.0)], BarcodeError, "an error is not negative"),
        ([([0.5, math.inf], math.nan)], BarcodeError, "an error is not negative"),
    ],
)
def test_bounds_that_contradict_the_bars_are_refused(bounds: Any, error: Any, match: str) -> None:
    barcode = FilteredComplex.from_simplices({(0,): 0.0, (1,): 0.0, (0, 1): 1.0}).barcode()
    with pytest.raises(error, match=match):
        barcode.with_bounds(bounds)


def test_a_file_with_bounds_of_some_indices_only_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "barcode.json"
    values = raised({s: float(len(s)) for s in simplices(4, 2)})
    complex = FilteredComplex.from_simplices(values)
    complex.barcode(lower=complex.values).save(path)
    text = path.read_text()
    start = text.index(', "bounds"')
    end = text.index("}", start) + 1
    cut = text[:start] + text[end:]
    path.write_text(cut[: cut.index(', "sha256"')] + "}" if ', "sha256"' in cut else cut)
    with pytest.raises(DataError):
        Barcode.load(path)
