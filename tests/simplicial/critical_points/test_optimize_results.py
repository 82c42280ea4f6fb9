"""Results of SciPy's optimisers are minima, if they had success and the loss is theirs."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import OptimizeResult, basinhopping, minimize, shgo

from reduction import OptionError, ShapeError
from simplicial import LossError, from_numpy, from_optimize_result
from tests.simplicial.functions import himmelblau

LOSS = from_numpy(himmelblau.value, himmelblau.gradient)
MINIMA = np.array(
    [[-3.77931025, -3.28318599], [-2.80511809, 3.13131252], [3, 2], [3.58442834, -1.84812653]]
)


def results(**options: Any) -> list[OptimizeResult]:
    starts = np.random.default_rng(4).uniform(-5, 5, (24, 2))
    return [
        minimize(himmelblau.value, start, jac=himmelblau.gradient, options=options)
        for start in starts
    ]


def test_results_of_many_starts_are_the_minima_each_once() -> None:
    given = results()
    minima = from_optimize_result(given, LOSS)
    found = minima.points.numpy()
    np.testing.assert_allclose(found[np.lexsort(found.T[::-1])], MINIMA, atol=1e-5)
    assert minima.points.dtype == torch.float64
    assert (np.diff(minima.values) >= 0).all()
    assert minima.values[0] == min(result.fun for result in given)


def test_one_result_with_local_minima_is_all_of_them() -> None:
    found = from_optimize_result(
        shgo(himmelblau.value, [(-5, 5)] * 2, n=64, sampling_method="sobol"), LOSS
    )
    assert len(found) > 1
    for point in found.points.numpy():
        assert np.linalg.norm(MINIMA - point, axis=1).min() < 1e-3


def test_one_result_is_one_minimum() -> None:
    hops = basinhopping(himmelblau.value, [1.0, 1.0], niter=2, rng=np.random.default_rng(1))
    assert len(from_optimize_result(hops, LOSS)) == 1


def test_results_without_success_are_named() -> None:
    given = results()[:3] + results(maxiter=1)[3:5]
    with pytest.raises(OptionError, match=r"2 of 5 have not, result 3 first \(Maximum number"):
        from_optimize_result(given, LOSS)


def test_results_of_another_function_are_refused() -> None:
    with pytest.raises(LossError, match="not its negative"):
        from_optimize_result(results()[:2], from_numpy(lambda x: 1 - himmelblau.value(x)))


def test_results_of_different_dimensions_are_refused() -> None:
    line = minimize(lambda x: float(x @ x), [1.0])
    with pytest.raises(ShapeError, match=r"points \(d,\) of one function"):
        from_optimize_result([*results()[:1], line], LOSS)


def test_results_that_repeat_each_other_exactly_are_one() -> None:
    one = OptimizeResult(x=np.array([3.0, 2.0]), fun=0.0, success=True)
    assert len(from_optimize_result([one, one], LOSS)) == 1
