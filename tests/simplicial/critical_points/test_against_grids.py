"""Functions in a box: the minima found, and what is missing of them, beside those of a grid."""

import numpy as np
import pytest
import torch

from simplicial import LossWarning, find_minima
from simplicial.landscapes import by_name
from tests.oracles.lower_star import plane_barcode


def bars_of_grid(name: str, radius: float, size: int) -> int:
    """Number of bars of index 0 longer than a thousandth of the range."""
    axis = np.linspace(-radius, radius, size)
    points = torch.tensor(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2))
    values = by_name(name)(points).numpy().reshape(size, size)
    bars = plane_barcode(values).components
    return int((bars[:, 1] - bars[:, 0] > 1e-3 * np.ptp(values)).sum())


def test_griewanks_minima_are_as_many_as_those_of_a_grid() -> None:
    minima = find_minima(by_name("griewank"), box=(-10.0, 10.0), starts=1000)
    assert len(minima) == bars_of_grid("griewank", 10.0, 401)


def test_ackleys_cusp_is_all_that_is_missing_and_is_told() -> None:
    with pytest.warns(LossWarning, match="a start ended lower"):
        minima = find_minima(by_name("ackley"), box=(-2.5, 2.5), starts=1000)
    assert minima.search is not None
    assert minima.search.left_out is not None
    np.testing.assert_allclose(minima.search.left_out.point, [0, 0], atol=1e-5)
    assert len(minima) + 1 == bars_of_grid("ackley", 2.5, 401)
