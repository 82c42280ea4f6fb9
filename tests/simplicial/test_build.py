"""Arguments of `build_complex` that are refused before anything is built, and another loss on the
simplices of a complex."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DimensionError, OptionError
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    LossComplex,
    LossWarning,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
    with_loss,
)
from simplicial.landscapes import double_well, himmelblau
from simplicial.options import Limits, check_limits
from tests.simplicial.test_complex import POINTS, wavy

WORSENED = pytest.mark.filterwarnings("ignore:.*keep their start")


def test_options_are_checked_before_saddles_are_sought(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("sought before the options were checked")

    monkeypatch.setattr("simplicial.build.with_saddles", forbidden)
    cases: list[dict[str, Any]] = [
        {"tolerance": 2.0}, {"resolution": 0}, {"seed": -1}, {"memory": 0}, {"certify": 3}
    ]  # fmt: skip
    for changed in cases:
        with pytest.raises(OptionError, match=f"^{next(iter(changed))} must be"):
            build_complex(Minima(POINTS, wavy), 2, saddles=True, **changed)


def test_saddles_count_when_max_dim_is_checked() -> None:
    """One minimum of the double well and saddles around it: an edge is possible, 9 dimensions not.

    The nine critical points of index 0 and 1 are all that there can be.
    """
    lone = Minima(torch.tensor([[1.0, 1.0]]).double(), lambda x: double_well(2)(x))
    built = build_complex(
        lone, 1, optimizer=Algorithm1(recipe=Recipe(epochs=1)), saddles=True, progress=False
    )
    assert len(built.minima) >= 2
    with pytest.raises(DimensionError, match="max_dim=9 with "):
        build_complex(lone, 9, saddles=True)


def test_a_build_that_would_not_fit_is_refused_before_it_is_laid_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def laid_out(*_arguments: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr("simplicial.build.lay_out", laid_out)
    points = torch.as_tensor(np.random.default_rng(0).standard_normal((32, 5)))
    minima = Minima(points, wavy)
    cases: list[tuple[int, dict[str, Any], str]] = [
        (5, {"simplex_map": Edgewise(12)}, "control points need"),
        (2, {"resolution": 40_000}, "lattice of resolution=40000 needs"),
    ]
    for max_dim, changed, needed in cases:
        with pytest.raises(
            OptionError, match=f"its {needed} .*: raise memory, or lower max_dim, .*$"
        ):
            build_complex(minima, max_dim, **changed)
        enough: list[dict[str, Any]] = [
            changed | {"memory": 2**40},
            {"resolution": 12, "simplex_map": Edgewise(5)},
        ]
        for allowed in enough:
            with pytest.raises(InterruptedError):
                build_complex(minima, max_dim, **allowed)
    with pytest.raises(InterruptedError):  # a small batch is no wish for a small complex
        build_complex(minima, 3, memory=1000)


def test_limits_that_are_not_given_are_none_but_for_the_tolerance() -> None:
    assert Limits.given(None, None, None) is None
    assert Limits.given(None, 5, None) == Limits(tolerance_of_bars=0.0, max_gradients=5)


@pytest.mark.parametrize("tolerance", [None, -1, float("inf"), "1"])
def test_a_tolerance_of_bars_is_a_number(tolerance: Any) -> None:
    with pytest.raises(OptionError, match="tolerance_of_bars must be a number that is 0 or more"):
        Limits(tolerance_of_bars=tolerance)


def test_faces_that_move_have_no_limits() -> None:
    check_limits(None, moves_faces=True)
    check_limits(Limits(), moves_faces=False)
    sentence = "leave out tolerance_of_bars, max_gradients and max_seconds"
    with pytest.raises(OptionError, match=sentence):
        check_limits(Limits(), moves_faces=True)


def himmelblau_complex(**options: object) -> LossComplex:
    loss = himmelblau()
    minima = Minima(torch.tensor(loss.minima), loss)
    optimizer = NudgedElastic(segments=4, steps=5)
    return build_complex(minima, 3, optimizer=optimizer, progress=False, **options)  # pyright: ignore


def tilted(points: Tensor) -> Tensor:
    return himmelblau()(points) + 20 * points[:, 0] - 3 * points[:, 1]


@WORSENED
@pytest.mark.parametrize("tolerance", [None, 1e-7])
def test_the_loss_that_it_was_built_for_gives_the_same_values(tolerance: float | None) -> None:
    before = himmelblau_complex(tolerance=tolerance, resolution=5)
    after = with_loss(before, before.minima.loss, tolerance=tolerance, resolution=5, progress=False)
    for was, now in zip(before.maxima, after.maxima, strict=True):
        np.testing.assert_array_equal(was, now)
    assert torch.equal(before.control_points, after.control_points)


@WORSENED
def test_values_are_the_other_losss_on_the_same_maps() -> None:
    before = himmelblau_complex(tolerance=None, resolution=5)
    after = with_loss(before, tilted, tolerance=None, resolution=7, progress=False)
    for vertices in [(0, 1), (1, 3), (0, 1, 2), (0, 1, 2, 3)]:
        r = len(vertices) - 1
        corners = torch.cartesian_prod(*[torch.arange(8)] * (r + 1)).double()
        t = (corners[corners.sum(dim=1) == 7] / 7).numpy()
        points = before[vertices](t)
        assert after[vertices].maximum.value == pytest.approx(
            float(tilted(points).max()), rel=1e-12
        )
    at_minima = tilted(before.minima.points).numpy()
    np.testing.assert_array_equal(after.minima.values, at_minima)


@WORSENED
def test_refined_maxima_are_those_of_the_other_loss() -> None:
    before = himmelblau_complex(tolerance=None, resolution=5)
    after = with_loss(before, tilted, progress=False)
    t = np.linspace(0, 1, 20_001)
    for edge in [(0, 1), (0, 2), (2, 3)]:
        points = before[edge](np.stack([1 - t, t], axis=1))
        found, scanned = after[edge].maximum.value, float(tilted(points).max())
        assert scanned <= found + 1e-9
        assert found == pytest.approx(scanned, abs=1e-4)


@WORSENED
def test_simplices_on_which_the_loss_is_not_finite_are_missing() -> None:
    before = himmelblau_complex(tolerance=None, resolution=5)
    line = before[(0, 1)](np.array([[0.4, 0.6]]))[0]

    def broken(points: Tensor) -> Tensor:
        near = (points - line).norm(dim=1) < 1e-9
        return torch.where(near, torch.nan, himmelblau()(points))

    with pytest.warns(LossWarning, match="have no finite loss and are missing"):
        after = with_loss(before, broken, tolerance=None, resolution=5, progress=False)
    assert after.missing[1].tolist() == [[0, 1]]


@WORSENED
def test_the_map_stays() -> None:
    loss = himmelblau()
    minima = Minima(torch.tensor(loss.minima), loss)
    of_barycentric = build_complex(minima, 1, simplex_map=Barycentric(), progress=False)
    assert with_loss(of_barycentric, tilted, progress=False).simplex_map == Barycentric()
