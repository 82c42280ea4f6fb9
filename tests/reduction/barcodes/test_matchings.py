"""Optimal matchings by their definition, and large barcodes against Hera and in little memory."""

import math
import resource
from itertools import permutations

import gudhi.hera
import numpy as np
import pytest
from hypothesis import given

from reduction import CapacityError, bottleneck, optimal_matching, wasserstein
from tests.reduction.barcodes.test_distances import TOLERANCE, Bars, barcodes


@pytest.mark.parametrize("q", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("norm", [1.0, 2.0, math.inf])
@given(a=barcodes(essential=2), b=barcodes(essential=2))
def test_a_matching_covers_all_bars_and_has_the_distance(
    q: float, norm: float, a: Bars, b: Bars
) -> None:
    found = optimal_matching(a, b, q, norm=norm)
    assert found.distance == wasserstein(a, b, q, norm=norm)
    for side, bars in enumerate((a, b)):
        rows = found.pairs[:, side]
        assert sorted(rows[rows >= 0].tolist()) == list(range(len(bars)))
    assert (found.pairs.max(axis=1, initial=0) >= 0).all()
    lengths = [
        np.linalg.norm(a[i] - b[j], norm)
        if i >= 0 and j >= 0 and np.isfinite(a[i, 1])
        else abs(a[i, 0] - b[j, 0])
        if i >= 0 and j >= 0
        else (np.diff(a[i])[0] if i >= 0 else np.diff(b[j])[0]) / 2 ** (1 - 1 / norm)
        for i, j in found.pairs.tolist()
    ]
    np.testing.assert_allclose(found.lengths, lengths, rtol=TOLERANCE)
    if len(lengths):
        expected = np.linalg.norm(np.array(lengths), q)
        assert found.distance == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("kind", ["long", "short", "far", "grid"])
def test_large_barcodes_agree_with_hera(kind: str) -> None:
    """Far: every bar is near all bars of the other, and no table of the pairs would be small."""
    rng = np.random.default_rng(11)
    begin, n = rng.random((2, 3000)), 3000
    length = {
        "long": rng.random((2, n)),
        "short": rng.exponential(0.01, (2, n)),
        "far": 1 + 1e-3 * rng.random((2, n)),
        "grid": rng.integers(1, 9, (2, n)) / 8,
    }[kind]
    if kind == "grid":
        begin = np.round(begin * 16) / 16
    begin = begin * (1e-3 if kind == "far" else 1) + np.array([[0], [0.3 * (kind == "far")]])
    a, b = (np.column_stack([begin[k], begin[k] + length[k]]) for k in range(2))
    assert bottleneck(a, b) == gudhi.hera.bottleneck_distance(a, b, 0.0)


def test_lengths_one_rounding_apart_are_told_apart() -> None:
    """A bisection between neighbouring numbers ends: their middle is one of them."""
    ulp = 2.0**-52
    a, b = [[0.0, 100.0]] * 3, [[1.0, 100.0], [1 + ulp, 100.0], [-1 - 2 * ulp, 100.0]]
    assert bottleneck(a, b) == bottleneck(b, a) == 1 + 2 * ulp
    rng = np.random.default_rng(59)
    for _ in range(400):
        begin = ulp * rng.integers(0, 4, 4)
        other = rng.choice([-1, 1], 4) * (1 + ulp * rng.integers(0, 6, 4))
        short = 1 + ulp * float(rng.integers(0, 6))  # half the length of a bar without a partner
        table = np.abs(begin[:, None] - other)
        best = min(max(table[range(4), order]) for order in permutations(range(4)))
        a = [*([x, 100.0] for x in begin), [0.0, 2 * short]]
        b = [[x, 100.0] for x in other]
        assert bottleneck(a, b) == bottleneck(b, a) == max(best, short)


def test_no_table_is_made_for_the_bottleneck_distance() -> None:
    rng = np.random.default_rng(5)
    begin = rng.random((2, 12000))
    a, b = (np.column_stack([x, x + rng.exponential(0.02, x.size)]) for x in begin)
    bottleneck(a[:9], b[:9])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 0 < bottleneck(a, b) < 0.2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # kB; a table has 1.1 GB


def test_a_table_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reduction.memory.available", lambda: 100)
    a, b = [[0.0, 1.0]] * 4, [[0.0, 2.0]] * 5
    with pytest.raises(CapacityError, match="a table of 4 x 5 lengths needs"):
        wasserstein(a, b, 1)
    assert bottleneck(a, b) == 1.0


def test_a_table_with_more_rows_than_columns_is_counted_with_its_transpose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reduction.memory.available", lambda: 16 * 20)
    a, b = [[0.0, 1.0]] * 4, [[0.0, 2.0]] * 5
    assert wasserstein(a, b, 1) > 0
    with pytest.raises(CapacityError, match=r"a table of 5 x 4 lengths needs 4\.8e-07 GB"):
        wasserstein(b, a, 1)
