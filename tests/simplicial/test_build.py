"""Arguments of `build_complex` that are refused, before anything is built."""

from typing import Any

import numpy as np
import pytest
import torch

from reduction import DimensionError, OptionError
from simplicial import Algorithm1, Edgewise, Minima, Recipe, build_complex
from simplicial.landscapes import double_well
from simplicial.options import Limits, check_limits
from tests.simplicial.test_complex import POINTS, wavy


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
        (5, {"simplex_map": Edgewise(12)}, "control points"),
        (2, {"resolution": 40_000}, "a lattice of resolution=40000"),
    ]
    for max_dim, changed, what in cases:
        with pytest.raises(
            OptionError, match=f"its {what} need .*: raise memory, or lower max_dim, .*$"
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
