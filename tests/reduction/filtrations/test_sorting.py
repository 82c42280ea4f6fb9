"""Sorting: orders of filtrations and of keys, against NumPy's stable sort."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reduction.filtrations.sorting import ascending_order, filtration_order


@given(
    m=st.integers(0, 300),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["random", "ties", "tight", "clustered", "wide"]),
)
def test_filtration_order_is_a_stable_sort(m: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    kinds: dict[str, Any] = {
        "random": rng.random(m),
        "ties": rng.integers(0, 3, m) * 1.0,
        "tight": 1e9 + rng.random(m) * 1e-7,
        "clustered": np.append(rng.random(m) * 1e-300, 1.0),
        "wide": rng.choice([-1.7e308, 0.0, -0.0, 1.7e308], m),
    }
    values = kinds[kind]
    np.testing.assert_array_equal(filtration_order(values), np.argsort(values, kind="stable"))


@given(
    m=st.integers(1, 300),
    seed=st.integers(0, 2**32),
    bounds=st.sampled_from([(0, 5), (0, 2**11), (0, 2**40), (2**61, 2**62), (-3, 2**20)]),
)
def test_ascending_order_is_a_stable_sort(m: int, seed: int, bounds: tuple[int, int]) -> None:
    keys = np.random.default_rng(seed).integers(*bounds, m)
    order = ascending_order(keys.copy())
    expected = np.argsort(keys, kind="stable")
    if order is None:
        assert (np.diff(keys) > 0).all()
    else:
        np.testing.assert_array_equal(order, expected)
