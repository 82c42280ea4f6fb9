"""Anytime builds: work where it can still change a bar, within limits, and what is said of it."""

from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DataError, OptionError
from simplicial import (
    Algorithm1,
    LossComplex,
    LossWarning,
    Minima,
    NotFiniteError,
    NudgedElastic,
    Optimizer,
    Recipe,
    RunError,
    StochasticMinimax,
    build_complex,
)
from simplicial.construction.spent import Spent
from simplicial.reports.status import RunStatus
from simplicial.run_folder.records import read_json, write_json
from tests.simplicial.unaware_optimizer import UnawareOptimizer

pytestmark = pytest.mark.filterwarnings("ignore::simplicial.LossWarning")  # steps too long
POINTS = np.random.default_rng(71).uniform(-2, 2, (5, 3))
HILLS = torch.as_tensor(POINTS[[[0, 1, 2], [0, 3, 4], [1, 2, 4]]].mean(axis=1))
DESCENT = Algorithm1(recipe=Recipe(epochs=16, learning_rate=0.02, weight_decay=0.0))
MINIMAX = StochasticMinimax(segments=4, epochs=64)


def loss(x: Tensor) -> Tensor:
    """Wells of different depths at the points, with ridges between them, and hills in triangles."""
    apart = (x[:, None] - torch.as_tensor(POINTS).to(x)).square().sum(dim=2)
    depths = torch.linspace(1, 2, len(POINTS)).to(x)
    away = (x[:, None] - HILLS.to(x)).square().sum(dim=2)
    hills = 2 * (-2 * away).exp().sum(dim=1)
    return hills - (depths * (-apart).exp()).sum(dim=1) + 0.1 * torch.sin(3 * x).prod(dim=1)


class Counted:
    """The loss, which counts the points at which its gradient is asked for by autograd."""

    def __init__(self) -> None:
        self.points = 0

    def __call__(self, theta: Tensor) -> Tensor:
        self.points += len(theta) if theta.requires_grad else 0
        return loss(theta)


def built(**options: Any) -> LossComplex:
    options = {"optimizer": DESCENT, "resolution": 6, "progress": False} | options
    minima = Minima(options.pop("points", POINTS), options.pop("loss", loss))
    return build_complex(minima, options.pop("max_dim", 2), **options)


def assert_same_bits(one: LossComplex, other: LossComplex) -> None:
    assert torch.equal(one.control_points, other.control_points)
    for a, b in zip(one.maxima, other.maxima, strict=True):
        assert a.tobytes() == b.tobytes()
    assert one.spent is not None
    assert other.spent is not None
    assert one.spent.gradients == other.spent.gradients
    for a, b in zip(one.spent.efforts, other.spent.efforts, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("optimizer", [DESCENT, MINIMAX, NudgedElastic(segments=4, steps=16)])
def test_an_edge_of_full_effort_is_the_full_builds_or_lower(
    optimizer: Optimizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the full build before it is mended, which anytime builds are not."""
    monkeypatch.setattr("simplicial.construction.scheduler.mends", lambda *_: False)
    full, some = built(optimizer=optimizer), built(optimizer=optimizer, tolerance_of_bars=0.0)
    assert some.spent is not None
    assert full.spent is None
    efforts = some.spent.efforts[0]
    assert set(efforts.tolist()) <= {0.0, 0.125, 0.25, 0.5, 1.0}
    whole = efforts == 1
    assert whole.any()
    assert (some.maxima[1][whole] <= full.maxima[1][whole]).all()
    same = np.flatnonzero(whole & (some.maxima[1] == full.maxima[1]))
    assert same.size
    for rank in same.tolist():
        rows = torch.as_tensor(full.simplices[1].controls[rank])
        assert torch.equal(full.control_points[rows], some.control_points[rows])
    assert some.spent.ended == "tolerance"


def test_nothing_is_trained_within_a_tolerance_that_starts_have_already() -> None:
    start = built(max_gradients=0)
    assert start.spent is not None
    assert (start.spent.gradients, start.spent.ended) == ((0, 0), "gradients")
    top = max(float(values.max()) for values in start.maxima)
    wide = built(tolerance_of_bars=3 * (top - float(start.maxima[0].min())))
    assert wide.spent is not None
    assert (wide.spent.gradients, wide.spent.ended) == ((0, 0), "tolerance")
    assert not any(efforts.any() for efforts in wide.spent.efforts)
    assert (start.maxima[1] <= wide.maxima[1]).all()  # where it helps by way of the lowest minimum
    for r in range(2):
        assert 0 < start.barcode().error(r) < np.inf


def test_a_triangle_whose_boundary_bounds_below_it_is_not_trained() -> None:
    some = built(tolerance_of_bars=0.0, points=np.random.default_rng(3).normal(size=(6, 3)))
    assert some.spent is not None
    edges, triangles = some.spent.efforts
    assert edges.any()
    assert not triangles.all()
    faces = np.array([some.maxima[1][list(row)].max() for row in _sides(some)])
    assert (some.maxima[2][triangles == 0] >= faces[triangles == 0]).all()
    assert (some.maxima[2][triangles == 0] > faces[triangles == 0]).any()


def _sides(of: LossComplex) -> list[list[int]]:
    ranks = {tuple(edge): i for i, edge in enumerate(of.simplices[1].vertices.tolist())}
    return [
        [ranks[a, b], ranks[a, c], ranks[b, c]] for a, b, c in of.simplices[2].vertices.tolist()
    ]


@pytest.mark.parametrize("limit", [0, 20, 100, 200, 1000])
def test_gradients_are_those_that_were_taken_and_no_more_than_asked_for(limit: int) -> None:
    counted = Counted()
    some = built(max_gradients=limit, tolerance=None, loss=counted)  # lattices take no gradients
    assert some.spent is not None
    assert counted.points == sum(some.spent.gradients) <= limit
    assert all((gradients > 0) == (limit > 0) for gradients in some.spent.gradients)
    assert some.spent.ended == ("gradients" if limit < 1000 else "tolerance")


@pytest.mark.parametrize("options", [{"max_gradients": 400}, {"tolerance_of_bars": 0.3}])
def test_bits_do_not_depend_on_batches_nor_on_workers(options: dict[str, Any]) -> None:
    one = built(**options)
    assert_same_bits(one, built(batch=1, **options))
    assert_same_bits(one, built(batch=3, **options))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        assert_same_bits(one, built(executor=executor, batch=4, **options))


class Stops:
    """The loss, which breaks at its call with this number."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, theta: Tensor) -> Tensor:
        self.calls -= 1
        if not self.calls:
            raise KeyboardInterrupt
        return loss(theta)


@pytest.mark.parametrize("calls", [60, 300, 900])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(calls: int, tmp_path: Path) -> None:
    whole = built(max_gradients=700, batch=2)
    with pytest.raises(KeyboardInterrupt):
        built(loss=Stops(calls), max_gradients=700, batch=2, store=tmp_path)
    assert_same_bits(whole, built(max_gradients=700, store=tmp_path))
    stored = sorted(tmp_path.glob("simplices-*/*.json"))
    times = [path.stat().st_mtime_ns for path in stored]
    assert_same_bits(whole, built(max_gradients=700, store=tmp_path))
    assert [path.stat().st_mtime_ns for path in stored] == times
    assert len(stored) > 20


def test_a_folder_goes_on_with_more_gradients_and_takes_no_simplex_on_other_faces(
    tmp_path: Path,
) -> None:
    built(max_gradients=300, store=tmp_path)
    assert_same_bits(built(max_gradients=900, store=tmp_path), built(max_gradients=900))
    assert_same_bits(built(max_gradients=300, store=tmp_path), built(max_gradients=300))
    status = RunStatus.read(tmp_path)
    assert [(d.done, d.total) for d in status.dimensions[1:]] == [(10, 10), (10, 10)]
    with pytest.raises(RunError, match="holds one within limits, now there are none"):
        built(store=tmp_path)


def test_a_build_without_seconds_has_a_barcode_with_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    none = built(max_seconds=0)
    assert none.spent is not None
    assert (none.spent.gradients, none.spent.ended) == ((0, 0), "seconds")
    assert all(0 < none.barcode().error(r) < np.inf for r in range(2))
    moments = iter(np.arange(1000.0))
    clock = SimpleNamespace(monotonic=lambda: next(moments))
    for module in ("simplicial.build", "simplicial.construction.anytime"):
        monkeypatch.setattr(f"{module}.time", clock)
    some = built(max_seconds=20, batch=1)
    assert some.spent is not None
    assert some.spent.ended == "seconds"
    assert 0 < np.count_nonzero(some.spent.efforts[0]) < 10
    assert some.spent.efforts[1].any()


def hole(x: Tensor) -> Tensor:
    """NaN near the straight line between the first two points, off their ends."""
    middle = torch.as_tensor(POINTS[0] + POINTS[1]) / 2
    return loss(x) * torch.where((x - middle).norm(dim=1) < 0.9, torch.nan, 1.0)


def nowhere(x: Tensor) -> Tensor:
    """Finite at the points alone."""
    apart = (x[:, None] - torch.as_tensor(POINTS).to(x)).norm(dim=2).min(dim=1).values
    return loss(x) + torch.where(apart < 1e-9, 0.0, torch.nan)


def test_simplices_without_a_finite_loss_are_missing() -> None:
    with pytest.warns(LossWarning, match="have no finite loss and are missing"):
        some = built(loss=hole, tolerance_of_bars=0.0)
    assert (0, 1) in set(map(tuple, some.missing[1].tolist()))
    assert some.spent is not None
    gone = [(0 in row) and (1 in row) for row in some.simplices[2].vertices.tolist()]
    assert not some.spent.efforts[1][gone].any()
    assert np.isinf(some.barcode().error(1))
    with pytest.raises(NotFiniteError, match="edges need a finite loss"):
        built(loss=nowhere, max_dim=1, tolerance_of_bars=0.0)


def test_certificates_and_saddles_are_those_of_an_anytime_complex() -> None:
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.2]], dtype=torch.float64)

    def wells(x: Tensor) -> Tensor:
        return -(-(x[:, None] - points.to(x)).square().sum(dim=2) * 3).exp().sum(dim=1)

    some = built(
        loss=wells, points=points, certify=True, saddles=True, tolerance_of_bars=1e-3,
        optimizer=NudgedElastic(segments=4, steps=40), max_dim=1,
    )  # fmt: skip
    assert len(some.minima) > 3
    assert some.barcode().ends(0) is not None


def test_what_cannot_be_anytime_is_refused_before_the_loss_is_evaluated() -> None:
    with pytest.raises(OptionError, match="faces move with those above them: take sides='fixed'"):
        built(optimizer=Algorithm1(sides="trainable"), max_gradients=5)
    with pytest.raises(OptionError, match="UnawareOptimizer has no gradient_count"):
        built(optimizer=UnawareOptimizer(), max_gradients=5)
    built(optimizer=UnawareOptimizer())


CHEAP: dict[str, Any] = {"optimizer": NudgedElastic(segments=4, steps=8), "resolution": 4}
MAXIMA = [{"tolerance": None}, {"tolerance": 1e-7, "refinement_budget": 5}]


def assert_status_is_of(folder: Path, some: LossComplex) -> None:
    """The status has the values of a complex, their error bounds, its barcode and its end."""
    status, barcode = RunStatus.read(folder), some.barcode()
    for own, seen in zip(some.maxima, status.values, strict=True):
        np.testing.assert_array_equal(seen, own)
    for interior, bounds in zip(some.interiors, status.error_bounds[1:], strict=True):
        np.testing.assert_array_equal(bounds, interior.error_bounds)
    shown = status.barcode()
    assert shown is not None
    for r in range(some.max_dim):
        np.testing.assert_array_equal(shown[r], barcode[r])
    assert some.spent is not None
    assert status.anytime is not None
    assert status.anytime.ended == some.spent.ended
    assert status.anytime.gradients == some.spent.gradients
    assert (status.state, status.time_left()) == ("finished", "about 0 s")


@pytest.mark.parametrize("maxima", MAXIMA)
@pytest.mark.parametrize("limits", [(60, None, 0), (0, 150, 150)])
def test_the_status_of_a_run_has_the_barcode_of_the_last_build(
    maxima: dict[str, Any], limits: tuple[int | None, ...], tmp_path: Path
) -> None:
    trained = list[int]()
    for limit in limits:
        options = CHEAP | maxima | {"max_gradients": limit}
        some = built(store=tmp_path, tolerance_of_bars=0.0, **options)
        assert_same_bits(some, built(tolerance_of_bars=0.0, **options))
        assert_status_is_of(tmp_path, some)
        assert some.spent is not None
        trained.append(sum(some.spent.gradients))
    assert max(trained) > 0


@pytest.mark.parametrize("before", [False, True])
def test_a_build_that_was_interrupted_is_stopped_and_its_time_left_is_unknown(
    before: bool, tmp_path: Path
) -> None:
    options = CHEAP | {"tolerance": None, "batch": 2, "store": tmp_path, "max_dim": 1}
    if before:
        built(max_gradients=16, **options)
        assert RunStatus.read(tmp_path).state == "finished"
    with pytest.raises(KeyboardInterrupt):
        built(loss=Stops(40), max_gradients=1000, **options)
    status = RunStatus.read(tmp_path)
    assert [(d.done, d.total) for d in status.dimensions[1:]] == [(10, 10)]
    assert (status.state, status.time_left()) == ("stopped", "unknown")
    assert status.anytime is not None
    assert status.anytime.ended is None
    assert 0 < status.anytime.effort < 1
    assert sum(status.anytime.gradients) > 0
    said = f"edges were trained at effort {status.anytime.effort:g} last"
    assert said in str(status.anytime)
    barcode = status.barcode()
    assert barcode is not None
    assert np.isfinite(barcode[0][1:]).all()
    assert_status_is_of(tmp_path, built(max_gradients=1000, **options))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("rungs", [[0, 0]]), ("rungs", [[4] * 10]), ("rungs", 1), ("ended", "noon"), ("effort", "x")],
)
def test_a_progress_of_another_build_is_refused(name: str, wrong: Any, tmp_path: Path) -> None:
    built(max_gradients=0, store=tmp_path, max_dim=1, tolerance=None, **CHEAP)
    values = read_json(tmp_path / "anytime.json")
    assert values is not None
    write_json(tmp_path / "anytime.json", values | {name: wrong})
    with pytest.raises(DataError, match=r"anytime\.json must"):
        RunStatus.read(tmp_path)


def test_limits_are_numbers_that_a_file_holds(tmp_path: Path) -> None:
    third: Any = Fraction(1, 3)
    some = built(tolerance_of_bars=third, max_gradients=0, tolerance=None, max_dim=1, **CHEAP)
    some.save(tmp_path / "complex.npz")
    loaded = LossComplex.load(tmp_path / "complex.npz", loss)
    assert loaded.spent is not None
    assert loaded.spent.tolerance_of_bars == 1 / 3
    for name in ("tolerance_of_bars", "max_seconds"):
        with pytest.raises(OptionError, match=f"{name} must be"):
            built(**{name: 10**400})
    with pytest.raises(OptionError, match="effort must be"):
        DESCENT.with_effort(10**400)


def test_limits_are_refused_in_the_folder_of_a_full_build(tmp_path: Path) -> None:
    options = CHEAP | {"tolerance": None, "max_dim": 1, "store": tmp_path}
    built(**options)
    with pytest.raises(RunError, match="holds a full one, now there are limits: leave out"):
        built(max_gradients=5, **options)


def test_spent_is_kept_in_files(tmp_path: Path) -> None:
    some = built(max_gradients=200)
    some.save(tmp_path / "complex.npz")
    loaded = LossComplex.load(tmp_path / "complex.npz", loss)
    assert_same_bits(some, loaded)
    assert loaded.spent is not None
    assert str(loaded.spent) == str(some.spent)
    assert "training gradients" in str(some.spent)
    assert some.spent is not None
    left = 200 - sum(some.spent.gradients)
    sentence = f"of 200 gradients {left} are left, too few for the next simplex and those trained"
    assert sentence in str(some.spent)
    assert loaded.spent.max_gradients == 200
    efforts = np.zeros(3)
    assert Spent((0,), (efforts,), "tolerance", 0.0).efforts[0] is not efforts
    assert efforts.flags.writeable
    parts = [getattr(some, name) for name in ("minima", "simplex_map", "resolution")]
    parts += [some.simplices, some.control_points, some.interiors]
    with pytest.raises(OptionError, match="spent must be that of an anytime build"):
        LossComplex(*parts, spent="x")  # pyright: ignore[reportArgumentType]
    with np.load(tmp_path / "complex.npz") as archive:
        arrays: dict[str, Any] = dict(archive)
    for name, wrong in {
        "ended": "noon",
        "gradients": np.array([1]),
        "efforts_1": np.full(10, 2.0),
        "tolerance_of_bars": np.inf,
        "max_gradients": -1,
    }.items():
        changed: dict[str, Any] = arrays | {name: np.asarray(wrong)}
        np.savez(tmp_path / "wrong.npz", **changed)
        with pytest.raises(DataError, match="is no loss complex of version 5"):
            LossComplex.load(tmp_path / "wrong.npz", loss)
    del arrays["ended"]
    np.savez(tmp_path / "wrong.npz", **arrays)
    with pytest.raises(DataError, match="is no loss complex of version 5"):
        LossComplex.load(tmp_path / "wrong.npz", loss)
    built().save(tmp_path / "full.npz")
    assert LossComplex.load(tmp_path / "full.npz", loss).spent is None
