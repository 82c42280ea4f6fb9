"""Anytime builds in passes: what dimensions above do not need goes back to those below."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import LossComplex, Minima, NudgedElastic, build_complex
from simplicial.construction.anytime import AnytimeBuilder
from simplicial.construction.measured_dimension import MeasuredDimension
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.state import ConstructionState
from simplicial.landscapes import himmelblau
from simplicial.maps.control_points import lay_out
from simplicial.options import BuildOptions, Limits
from tests.simplicial.construction.test_anytime import assert_same_bits, assert_status_is_of, loss

pytestmark = pytest.mark.filterwarnings("ignore::simplicial.LossWarning")
LANDSCAPE = himmelblau()
OPTIMIZER = NudgedElastic(segments=4, steps=8)
EDGE = 3 * 8  # gradients of an edge, or of a triangle, at the full build's effort
WELLS = np.random.default_rng(71).uniform(-2, 2, (5, 3))


class Counted:
    """Himmelblau's function, which counts the points at which its gradient is asked for."""

    def __init__(self) -> None:
        self.points = 0

    def __call__(self, theta: Tensor) -> Tensor:
        self.points += len(theta) if theta.requires_grad else 0
        return LANDSCAPE(theta)


def built(max_dim: int = 2, *, counted: Any = None, **options: Any) -> LossComplex:
    minima = Minima(torch.tensor(LANDSCAPE.minima), counted or LANDSCAPE)
    options = {"optimizer": OPTIMIZER, "resolution": 4, "tolerance": None} | options
    return build_complex(minima, max_dim, progress=False, **options)


def taken(some: LossComplex) -> int:
    assert some.spent is not None
    return sum(some.spent.gradients)


@pytest.mark.parametrize(
    ("limit", "options"),
    [(50, {}), (100, {}), (130, {}), (100, {"max_dim": 3}), (100, {"saddles": True})],
)
def test_gradients_that_triangles_do_not_need_go_back_to_edges(
    limit: int, options: dict[str, Any]
) -> None:
    """Of any number less is left than an edge takes: no triangle needs training here."""
    some = built(max_gradients=limit, **options)
    assert some.spent is not None
    assert limit - EDGE < taken(some) == some.spent.gradients[0] <= limit
    assert some.spent.ended == "gradients"
    assert f"of {limit} gradients {limit - taken(some)} are left" in str(some.spent)


def test_gradients_that_suffice_do_so_whatever_their_shares() -> None:
    enough = built(max_gradients=10_000)
    assert enough.spent is not None
    assert enough.spent.ended == "tolerance"
    assert_same_bits(built(max_gradients=taken(enough)), enough)
    fewer = built(max_gradients=taken(enough) - 1)
    assert fewer.spent is not None
    assert fewer.spent.ended == "gradients"


@pytest.mark.parametrize("limit", [60, 150, 400, 800])
def test_what_is_trained_above_is_trained_again_on_faces_that_moved(limit: int) -> None:
    """Of wells with hills in triangles, which take training."""
    optimizer = NudgedElastic(segments=4, steps=16)
    minima = Minima(torch.as_tensor(WELLS), loss)
    some = build_complex(
        minima, 2, optimizer=optimizer, resolution=6, tolerance=None, max_gradients=limit,
        progress=False,
    )  # fmt: skip
    assert some.spent is not None
    edges, triangles = some.spent.gradients
    assert edges + triangles <= limit
    if some.spent.ended == "gradients":
        assert limit - edges - triangles < triangles + 2 * EDGE
    if limit >= 400:
        assert triangles > 0


def test_seconds_that_triangles_do_not_need_go_back_to_edges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second is a gradient, measuring included."""
    counted = Counted()
    clock = SimpleNamespace(monotonic=lambda: float(counted.points))
    for module in ("simplicial.build", "simplicial.construction.anytime"):
        monkeypatch.setattr(f"{module}.time", clock)
    some = built(max_seconds=100, batch=1, counted=counted)
    assert some.spent is not None
    assert some.spent.ended == "seconds"
    assert 100 - EDGE < counted.points < 100 + 2 * EDGE  # looked at between chunks


def test_a_folder_has_what_later_passes_found(tmp_path: Path) -> None:
    whole = built(max_gradients=100)
    assert_same_bits(whole, built(max_gradients=100, store=tmp_path, batch=1))
    assert list(tmp_path.glob("simplices-2-rung-6/*.json")), "no triangle's face moved"
    assert_status_is_of(tmp_path, whole)
    stored = sorted(tmp_path.glob("simplices-*/*.json"))
    times = [path.stat().st_mtime_ns for path in stored]
    assert_same_bits(whole, built(max_gradients=100, store=tmp_path))
    assert [path.stat().st_mtime_ns for path in stored] == times
    assert_same_bits(built(max_gradients=50, store=tmp_path), built(max_gradients=50))


class Bar:
    """A progress bar that keeps what it says."""

    total = n = 0

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: int = 1) -> None:
        pass

    def set_postfix_str(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize("seconds", [None, 40.0])
def test_the_bar_says_the_error_and_the_longest_bar_as_they_are(
    seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last chunk of a rung both are those of the barcode, also where time is up."""
    counted, said, errors, longest = Counted(), list[str](), list[float](), list[float]()
    clock = SimpleNamespace(monotonic=lambda: float(counted.points))
    monkeypatch.setattr("simplicial.construction.anytime.time", clock)
    monkeypatch.setattr("simplicial.construction.scheduler.progress_bar", lambda *_: Bar(said))
    minima = Minima(torch.tensor(LANDSCAPE.minima), counted)
    layout = lay_out(4, 2, OPTIMIZER.simplex_map)
    options = BuildOptions(resolution=4, tolerance=1e-3, seed=0)

    def look(dimension: MeasuredDimension) -> None:
        state = dimension.state
        if np.isinf(dimension.values).any():
            errors.append(np.inf)
            longest.append(np.inf)
            return
        now = state.with_results(dimension.result())
        parts = layout.simplices[: state.dim + 1], now.control_points.clone(), now.interiors
        barcode = LossComplex(minima, OPTIMIZER.simplex_map, 4, *parts).barcode()
        errors.append(barcode.error(state.dim - 1))
        longest.append(float(np.ptp(barcode.finite(state.dim - 1), axis=1).max(initial=0.0)))

    state = ConstructionState.of_vertices(minima, layout, options, gradients=True)
    counted.points = 0
    scheduler = Scheduler(OPTIMIZER, None, None, 1, progress=True)
    AnytimeBuilder(scheduler, Limits(max_seconds=seconds), look).run(state, 2, 0.0)
    assert len(said) == len(errors) > (9 if seconds else 20)
    ended = 0
    for text, error, bar in zip(said, errors, longest, strict=True):
        index, found, _, length = _numbers(text)
        assert index in (0, 1)
        assert found >= error * 0.99  # three digits; of levels as the rung began
        if length is not None:
            assert (found, length) == (pytest.approx(error, rel=5e-3), pytest.approx(bar, rel=5e-3))
            ended += 1
    assert (1 if seconds else 4) < ended < len(said)
    assert "longest bar" in said[-1]


def _numbers(text: str) -> tuple[int, float, str, float | None]:
    match = re.fullmatch(r"index (\d): error ([\d.einf+-]+)(, longest bar ([\d.e+-]+))?", text)
    assert match is not None
    length = match[4]
    return int(match[1]), float(match[2]), text, None if length is None else float(length)
