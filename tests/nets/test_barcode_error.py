"""The error of networks' barcodes never grows with more work: along a run, and with its limits."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from nets import MLP, NetworkLoss, load_digits
from simplicial import LossComplex, Minima, StochasticMinimax, build_complex
from simplicial.construction.anytime import AnytimeBuilder
from simplicial.construction.measured_dimension import MeasuredDimension
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.state import ConstructionState
from simplicial.maps.control_points import lay_out
from simplicial.options import BuildOptions, Limits

pytestmark = pytest.mark.filterwarnings("ignore::simplicial.LossWarning")  # budgets of maxima
OPTIMIZER = StochasticMinimax(segments=4, epochs=16, batch_size=64)
BUDGET = 40  # of a refined maximum


@pytest.fixture(scope="module")
def minima() -> Minima:
    """Four small networks after some steps of full gradient descent, in double precision."""
    digits = load_digits()
    torch.manual_seed(5)
    loss = NetworkLoss(
        MLP(64, (6,)).double(),
        digits.train_inputs[:128].double(),
        digits.train_targets[:128],
        weight_decay=1e-2,
    )
    points = torch.randn(4, loss.dim, dtype=torch.float64) / 4
    for _ in range(150):
        at = points.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(at).sum(), at)
        points = points - 0.5 * slope
    return Minima(points, loss)


def errors_of(minima: Minima, epochs: int = 32, **limits: Any) -> list[float]:
    built = build_complex(
        minima, 2, optimizer=replace(OPTIMIZER, epochs=epochs), resolution=4, tolerance=1e-3,
        refinement_budget=BUDGET, progress=False, **limits,
    )  # fmt: skip
    barcode = built.barcode()
    return [barcode.error(r) for r in range(2)]


def assert_never_grows(errors: list[list[float]]) -> None:
    assert np.isfinite(errors).all()
    for before, after in pairwise(errors):
        assert all(b <= a * (1 + 1e-9) for a, b in zip(before, after, strict=True))
    assert all(last < first for first, last in zip(errors[0], errors[-1], strict=True))


def test_the_error_never_grows_with_a_narrower_tolerance(minima: Minima) -> None:
    tolerances = [10.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0]
    assert_never_grows([errors_of(minima, tolerance_of_bars=eps) for eps in tolerances])


def test_the_error_never_grows_with_more_gradients(minima: Minima) -> None:
    budgets = [0, 20, 60, 120, 240, 500, 1000]
    assert_never_grows([errors_of(minima, max_gradients=budget) for budget in budgets])


def test_the_error_never_grows_with_more_of_few_gradients(minima: Minima) -> None:
    budgets = [0, 20, 60, 120, 250, 500]
    assert_never_grows([errors_of(minima, 16, max_gradients=budget) for budget in budgets])


def test_the_error_never_grows_along_a_run(minima: Minima) -> None:
    layout = lay_out(len(minima), 2, OPTIMIZER.simplex_map)
    options = BuildOptions(resolution=4, tolerance=1e-3, seed=0, refinement_budget=BUDGET)
    state = ConstructionState.of_vertices(minima, layout, options, gradients=True)
    errors: list[list[float]] = [[], []]

    def look(dimension: MeasuredDimension) -> None:
        if np.isinf(dimension.values).any():
            return
        now = dimension.state.with_results(dimension.result())
        r = len(now.values) - 1
        parts = layout.simplices[: r + 1], now.control_points.clone(), now.interiors
        latest = LossComplex(minima, OPTIMIZER.simplex_map, 4, *parts).barcode()
        errors[r - 1].append(latest.error(r - 1))

    scheduler = Scheduler(OPTIMIZER, None, None, 1, progress=False)
    AnytimeBuilder(scheduler, Limits(), look).run(state, 2, 0.0)
    for each in errors:
        assert all(b <= a * (1 + 1e-9) for a, b in pairwise(each))
        assert each[-1] < each[0] < math.inf
    assert sum(map(len, errors)) >= 10
