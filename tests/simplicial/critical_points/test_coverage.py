"""What a search has missed: points met once, estimates, the stopping rule, and what is left out."""

import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import LossWarning, Search, find_critical_points, find_minima
from simplicial.critical_points.basin_hopping import expects_more
from simplicial.errors import SearchError
from simplicial.landscapes import himmelblau

BOX = (-5.5, 5.5)
MINIMA = 121  # of Rastrigin's function in the plane, 11 in each coordinate of the box


def rastrigin(x: Tensor) -> Tensor:
    return 10 * x.shape[1] + (x.square() - 10 * torch.cos(2 * math.pi * x)).sum(dim=1)


def ackley(x: Tensor) -> Tensor:
    """0 at its cusp, 0."""
    cone = -20 * torch.exp(-0.2 * x.square().mean(dim=1).sqrt())
    return cone - torch.exp(torch.cos(2 * math.pi * x).mean(dim=1)) + 20 + math.e


def searched(arrivals: int, found: int, **counts: Any) -> Search:
    return Search(
        starts=arrivals, duplicates=arrivals - found, others=0, degenerate=0, failures=0, **counts
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_minimum_of_rastrigins_function_is_missing_silently(seed: int) -> None:
    with pytest.warns(LossWarning, match=r"minima or more are likely to be missing: of \d+ found"):
        minima = find_minima(rastrigin, dim=2, box=BOX, seed=seed)
    search = minima.search
    assert search is not None
    assert len(minima) < MINIMA
    assert search.once > 20
    assert len(minima) + 5 < len(minima) + search.missing < 1.2 * MINIMA
    assert f"{search.once} of {len(minima)} points were met by one start only" in str(search)


def test_more_starts_find_all_of_them_and_nothing_is_warned_of() -> None:
    minima = find_minima(rastrigin, dim=2, box=BOX, seed=0, starts=2000)
    assert len(minima) == MINIMA
    assert minima.search is not None
    assert minima.search.missing < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_basin_hopping_finds_all_of_them_until_its_rule_ends_it(seed: int) -> None:
    minima = find_minima(rastrigin, dim=2, box=BOX, seed=seed, method="basin hopping", starts=9000)
    search = minima.search
    assert search is not None
    assert len(minima) == MINIMA
    np.testing.assert_allclose(minima.values[0], 0, atol=1e-12)
    assert search.starts < 9000
    assert search.once == 0


def test_a_seed_gives_the_same_hops() -> None:
    first, again, other = (
        find_minima(himmelblau(), seed=seed, method="basin hopping") for seed in (3, 3, 4)
    )
    assert torch.equal(first.points, again.points)
    assert first.search == again.search
    torch.testing.assert_close(first.points, other.points, rtol=0, atol=1e-12)


def test_basin_hopping_takes_no_more_starts_than_it_is_given() -> None:
    with pytest.warns(LossWarning, match="likely to be missing"):
        minima = find_minima(rastrigin, dim=2, box=BOX, method="basin hopping", starts=230)
    assert minima.search is not None
    assert minima.search.starts == 230


def test_four_minima_are_all_in_either_way() -> None:
    for method in ("starts", "basin hopping"):
        minima = find_minima(himmelblau(), method=method)
        search = minima.search
        assert search is not None
        assert (len(minima), search.once, search.missing, search.left_out) == (4, 0, 0, None)
        assert search.complete > 0.6
        assert "missing" not in str(search)


@pytest.mark.parametrize(("found", "arrivals"), [(1, 3), (2, 9), (3, 40), (5, 30)])
def test_the_probability_that_all_are_found_is_that_of_bayes_rule(
    found: int, arrivals: int
) -> None:
    """The likelihood of `found` kinds in N draws if k are there, all chances being alike, is that
    of Bose-Einstein: k! (k - 1)! / ((k - w)! (k + N - 1)!); all k are alike before."""
    f = math.factorial

    def likelihood(k: int) -> Fraction:
        return Fraction(f(k) * f(k - 1), f(k - found) * f(k + arrivals - 1))

    total = sum(likelihood(k) for k in range(found, found + 2000 // arrivals))
    expected = float(likelihood(found) / total)
    assert searched(arrivals, found).complete == pytest.approx(expected, rel=2e-2)
    assert 0 < expected < 1


def test_the_estimates_are_those_of_their_sources() -> None:
    search = searched(200, 97, once=40, twice=28)
    assert search.unseen == 0.2
    assert search.missing == pytest.approx(199 / 200 * 40 * 39 / (2 * 29))
    assert (searched(200, 4).unseen, searched(200, 4).missing) == (0, 0)
    assert searched(1, 1, once=1).missing == 0


def test_a_search_says_how_likely_it_is_that_all_were_met() -> None:
    """Of 200 arrivals at 18 points: 0.18, by the product of Boender and Rinnooy Kan."""
    expected = math.prod((199 - i) / (199 + i) for i in range(1, 19))
    assert f"{expected:.2g}" == "0.18"
    assert str(searched(200, 18)).endswith("0 failures, all were met with probability 0.18")
    once = searched(200, 18, once=1, twice=3)
    assert str(once).endswith("by one start only, all were met with probability 0.18")
    for other in (searched(200, 4), searched(200, 97, once=40, twice=28), searched(0, 0)):
        assert "probability" not in str(other)


def test_the_rule_goes_on_while_one_was_met_once_or_arrivals_are_few() -> None:
    assert expects_more(searched(0, 0))
    assert expects_more(searched(5000, 121, once=1))
    assert expects_more(searched(1000, 121))
    assert not expects_more(searched(1300, 121))
    assert not expects_more(searched(50, 1))


def test_a_cusp_below_all_minima_is_told_with_its_value_and_place() -> None:
    with pytest.warns(LossWarning, match="a start ended lower than all minima found: .* cusp"):
        minima = find_minima(ackley, dim=2, box=(-3.2, 3.0), starts=400)
    assert minima.search is not None
    left_out = minima.search.left_out
    assert left_out is not None
    assert left_out.lowest
    assert left_out.kind == "failure"
    assert left_out.value == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(left_out.point, [0, 0], atol=1e-5)
    assert minima.values.min() > 2
    assert "lowest left out: " in str(minima.search)
    assert "LeftOut(value=" in repr(minima.search)


def test_a_degenerate_minimum_below_the_others_is_told() -> None:
    def wells(x: Tensor) -> Tensor:
        """Minima at 1, 0 below it and flat, and at -1, of value 1."""
        return ((x - 1).pow(4) * ((x + 1).square() + 0.0625)).sum(dim=1)

    with pytest.warns(LossWarning, match="degenerate point"):
        minima = find_minima(wells, dim=1, box=(-2.0, 2.0))
    assert minima.search is not None
    assert minima.search.left_out is not None
    np.testing.assert_allclose(minima.search.left_out.point, [1.0], atol=1e-2)


def test_a_loss_that_falls_for_ever_is_told_outside_of_a_box() -> None:
    def falling(x: Tensor) -> Tensor:
        return x.square().sum(dim=1) - x[:, 0].pow(4) / 9

    with pytest.warns(LossWarning, match="a box where the loss falls for ever"):
        find_minima(falling, dim=2)
    assert len(find_minima(falling, dim=2, box=(-2.0, 2.0))) == 1


def test_saddles_tell_what_is_left_out_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saddles = find_critical_points(himmelblau(), 1)
    assert len(saddles) == 4


class NoisyGradient(torch.autograd.Function):
    """Identity, whose derivative is off by `SIZE`, differently at every call."""

    SIZE = 1e-6
    generator = torch.Generator().manual_seed(0)

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        noise = torch.randn(grads[0].shape, generator=NoisyGradient.generator, dtype=torch.float64)
        return grads[0] + NoisyGradient.SIZE * noise


def noisy(x: Tensor) -> Tensor:
    return (NoisyGradient.apply(x).square() - 1).square().sum(dim=1)


def test_noisy_gradients_are_no_obstacle_within_their_tolerance() -> None:
    box = (-2.0, 2.0)
    with pytest.raises(SearchError, match=r"gradient of a failure is .*e-0\d, see gradie"):
        find_minima(noisy, dim=4, box=box, starts=200)
    minima = find_minima(noisy, dim=4, box=box, starts=200, gradient_tolerance=1e-5)
    assert len(minima) == 16
    np.testing.assert_allclose(minima.points.abs(), 1, atol=1e-5 / 8)
    assert minima.search is not None
    assert minima.search.failures == 0


def test_a_wide_tolerance_does_not_make_copies_of_a_minimum() -> None:
    minima = find_minima(himmelblau(), gradient_tolerance=1e-2)
    assert len(minima) == 4
    np.testing.assert_allclose(minima.values, 0, atol=1e-5)
