"""Simplices on which a loss is not finite: tried again, given up, and the rest as without them."""

import warnings
from collections.abc import Callable
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import FilteredComplex
from simplicial import (
    Algorithm1,
    Edgewise,
    Loss,
    LossComplex,
    LossError,
    LossWarning,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
)
from simplicial.maps.lattice import interior_lattice
from simplicial.reports.status import RunStatus
from simplicial.run_folder.records import Records

RECIPE = Recipe(epochs=40, learning_rate=0.05, weight_decay=0.0)
POINTS = torch.tensor(
    [[0.0, 0.0], [4.0, 0.2], [1.0, 3.0], [3.2, 2.6], [-1.0, 1.5]], dtype=torch.float64
)
RADIUS = 0.08
CENTRE = torch.tensor([2.0, 0.1], dtype=torch.float64)  # the middle of edge (0, 1)


def waves(x: Tensor) -> Tensor:
    return (x.sin() * torch.tensor([1.0, 0.7]).to(x)).sum(dim=1) + 0.05 * x.square().sum(dim=1)


def hole(x: Tensor) -> Tensor:
    """NaN around the middle of edge (0, 1), `waves` elsewhere."""
    inside = (x - CENTRE.to(x)).square().sum(dim=1) < RADIUS**2
    return waves(x) * torch.where(inside, torch.nan, 1.0)


def built(loss: Loss, store: Path | None = None, **options: Any) -> LossComplex:
    options = {"simplex_map": Edgewise(4)} | options
    if "optimizer" in options:
        del options["simplex_map"]
    options = {"optimizer": Algorithm1(recipe=RECIPE), "resolution": 8} | options
    return build_complex(Minima(POINTS, loss), 2, store=store, progress=False, **options)


def told(
    build: Callable[..., LossComplex], *arguments: Any, **options: Any
) -> tuple[LossComplex, list[str]]:
    """A complex, and what was said of its simplices; every other warning is an error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", LossWarning)
        complex_ = build(*arguments, **options)
    return complex_, [str(warning.message) for warning in caught]


def at_last(complex_: LossComplex, value: float) -> list[NDArray[np.float64]]:
    """The bars with missing simplices at a value above all others, as if that were inf."""
    values = [np.where(np.isinf(v), value, v) for v in complex_.values]
    found = []
    for bars in FilteredComplex.complete(len(complex_.minima), values).barcode():
        bars = np.where(bars == value, np.inf, bars)
        found.append(bars[np.isfinite(bars[:, 0])])
    return found


@pytest.mark.parametrize("tolerance", [None, 1e-6])
def test_a_simplex_without_a_finite_loss_is_missing_and_the_others_are_as_without_it(
    tolerance: float | None,
) -> None:
    complex_, messages = told(built, hole, tolerance=tolerance)
    whole, worse = told(built, waves, tolerance=tolerance)
    assert len(messages) == 2 + len(worse)
    assert all("worse after training" in message for message in [*messages[2:], *worse])
    assert messages[0].startswith("1 of 10 edges have no finite loss and are missing, first (0, 1)")
    assert "training must stay finite" in messages[0]
    assert "a face of it has no finite loss" in messages[1]
    gone = [tuple(row) for row in complex_.missing[1].tolist()]
    assert gone == [(0, 1)]
    assert {tuple(row) for row in complex_.missing[2].tolist()} >= {(0, 1, 2), (0, 1, 3), (0, 1, 4)}
    for ours, theirs in zip(complex_.values, whole.values, strict=True):
        finite = np.isfinite(ours)
        np.testing.assert_array_equal(ours[finite], theirs[finite])
        assert finite.sum() >= 4


def test_the_barcode_is_that_with_missing_simplices_at_infinity() -> None:
    complex_, _ = told(built, hole)
    barcode = complex_.barcode()
    for bars, expected in zip(barcode, at_last(complex_, 1e6), strict=True):
        np.testing.assert_array_equal(bars, expected)
    assert barcode.w_inf(0) < np.inf
    assert len(complex_.triplet_barcode()) == comb(5, 3) - 3


def test_a_cycle_that_only_missing_triangles_could_end_never_ends() -> None:
    def only_edges(x: Tensor) -> Tensor:
        inside = (x - POINTS[:3].mean(dim=0).to(x)).square().sum(dim=1) < 1e-6
        return waves(x) * torch.where(inside, torch.nan, 1.0)

    minima = Minima(POINTS[:3], only_edges)
    straight = {"optimizer": Algorithm1(recipe=RECIPE.changed(epochs=0)), "progress": False}
    complex_, messages = told(build_complex, minima, 2, tolerance=None, **straight)
    assert "1 of 1 triangles" in messages[0]
    barcode = complex_.barcode()
    assert barcode[1].shape == (1, 2)
    assert np.isinf(barcode[1][0, 1])
    assert barcode.w_inf(1) == np.inf
    assert complex_.triplet_barcode()[0, 1] == np.inf
    assert complex_[(0, 1, 2)].samples is None


def test_a_finished_run_has_a_barcode_of_an_index_of_which_all_simplices_are_missing(
    tmp_path: Path,
) -> None:
    def only_edges(x: Tensor) -> Tensor:
        inside = (x - POINTS[:3].mean(dim=0).to(x)).square().sum(dim=1) < 1e-6
        return waves(x) * torch.where(inside, torch.nan, 1.0)

    straight = Algorithm1(recipe=RECIPE.changed(epochs=0))
    options: dict[str, Any] = {"optimizer": straight, "tolerance": None, "progress": False}
    minima = Minima(POINTS[:3], only_edges)
    complex_, _ = told(build_complex, minima, 2, store=tmp_path, **options)
    barcode = RunStatus.read(tmp_path).barcode()
    assert barcode is not None
    for ours, theirs in zip(barcode, complex_.barcode(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_filling_that_was_only_tried_does_not_make_a_simplex_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Points that an elastic triangle was evaluated at, off its relaxed map, lie in holes."""
    elastic = NudgedElastic(segments=4, steps=30)
    corners, tried = POINTS[[0, 1, 2]], []

    def recorded(x: Tensor) -> Tensor:
        tried.append(x.detach().clone())
        return waves(x)

    options: dict[str, Any] = {"optimizer": elastic, "tolerance": None, "progress": False}
    build_complex(Minima(corners, recorded), 1, **options)
    on_edges = torch.cat(tried)
    with monkeypatch.context() as patch:  # no attempts of mending
        patch.setattr("simplicial.construction.scheduler.mends", lambda *_: False)
        whole, _ = told(build_complex, Minima(corners, recorded), 2, **options)
    kept = torch.cat([on_edges, whole.control_points, whole[(0, 1, 2)](interior_lattice(2, 12))])
    places = torch.cat(tried)
    holes = places[torch.cdist(places, kept).amin(dim=1) > 0.05][[0, -1]]

    def holed(x: Tensor) -> Tensor:
        inside = torch.cdist(x, holes.to(x)).amin(dim=1) < 1e-9
        return waves(x) * torch.where(inside, torch.nan, 1.0)

    complex_, messages = told(build_complex, Minima(corners, holed), 2, **options)
    assert not [message for message in messages if "missing" in message]
    assert complex_.values[2][0] <= whole.values[2][0] + 0.05


@pytest.mark.parametrize("batch", [1, 3, None])
def test_neither_chunks_nor_a_store_change_what_is_missing(
    tmp_path: Path, batch: int | None
) -> None:
    alone, _ = told(built, hole)
    stored, _ = told(built, hole, tmp_path, batch=batch)
    figures = Records(tmp_path).values("simplices-1", "complex")[0]
    assert figures["failed"].startswith("training must stay finite")
    assert figures["largest"] is None
    status = RunStatus.read(tmp_path)
    assert status.state == "finished"
    assert list(status.failed) == [(0, 1)]
    for read, values in zip(status.values, stored.values, strict=True):
        np.testing.assert_array_equal(read, values)
    calls: list[int] = []

    def counted(x: Tensor) -> Tensor:
        calls.append(len(x))
        return hole(x)

    again, _ = told(built, counted, tmp_path, batch=batch)
    assert sum(calls) < 40  # what is stored, failures too, is not computed again
    for other in (stored, again):
        for ours, theirs in zip(alone.values, other.values, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_complex_with_missing_simplices_is_saved_and_loaded(tmp_path: Path) -> None:
    complex_, _ = told(built, hole)
    complex_.save(tmp_path / "complex.npz")
    again = LossComplex.load(tmp_path / "complex.npz", hole)
    for ours, theirs in zip(complex_.values, again.values, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert again[(0, 1)].samples is None
    assert again[(0, 2)].samples is not None


def steep(x: Tensor) -> Tensor:
    """`waves` between walls from which large steps run away; edge (0, 1) alone begins in one."""
    below = (-0.6 - x[:, 1]).clamp(min=0) * (1 - (x[:, 0] - 2).square()).clamp(min=0)
    return waves(x) + 300.0 * below**4 + 900.0 * (x[:, 1].abs() - 3.5).clamp(min=0) ** 4


def test_what_runs_away_is_trained_again_with_smaller_steps() -> None:
    points = torch.tensor([[0.0, -1.2], [4.0, -1.1], [1.0, 3.0], [3.2, 2.6]], dtype=torch.float64)
    minima = Minima(points, steep)
    optimizer = Algorithm1(recipe=RECIPE.changed(momentum=0.0))
    options: dict[str, Any] = {"tolerance": None, "progress": False}
    complex_, messages = told(build_complex, minima, 2, optimizer=optimizer, **options)
    assert messages[0] == "1 of 6 edges were trained with smaller steps, first (0, 1)"
    assert not len(complex_.missing[1])
    gentle = Algorithm1(recipe=RECIPE.changed(momentum=0.0, learning_rate=0.05 * 0.1))
    slow, _ = told(build_complex, minima, 2, optimizer=gentle, **options)
    assert complex_.values[1][0] == slow.values[1][0]
    assert (complex_.values[1] != slow.values[1]).any()  # the others took their own steps


def test_smaller_steps_are_those_of_both_optimizers() -> None:
    prepared = Algorithm1().prepared(waves, POINTS)
    assert prepared.recipe is not None
    assert prepared.with_smaller_steps().recipe == prepared.recipe.changed(
        learning_rate=0.1 * prepared.recipe.learning_rate
    )
    assert NudgedElastic().with_smaller_steps() == NudgedElastic(longest=0.05)


def test_elastic_simplices_fail_alike() -> None:
    complex_, _ = told(built, hole, optimizer=NudgedElastic(segments=4, steps=40))
    assert complex_.missing[1].tolist() == [[0, 1]]
    whole, _ = told(built, waves, optimizer=NudgedElastic(segments=4, steps=40))
    finite = np.isfinite(complex_.values[1])
    np.testing.assert_allclose(complex_.values[1][finite], whole.values[1][finite], rtol=1e-9)


def test_certificates_are_sought_for_what_is_there() -> None:
    complex_, _ = told(built, hole, simplex_map=Edgewise(4), certify=True)
    barcode = complex_.barcode()
    ends = barcode.ends(0)
    assert ends is not None
    assert complex_.certificates is not None
    assert len(complex_.certificates[1].simplices)
    assert 0 not in complex_.certificates[1].simplices  # edge (0, 1)
    assert complex_.missing[1].tolist() == [[0, 1]]


def test_a_loss_that_is_finite_on_no_edge_is_refused() -> None:
    def nowhere(x: Tensor) -> Tensor:
        near = torch.cdist(x, POINTS[:3].to(x)).amin(dim=1) < 1e-9
        return torch.where(near, waves(x), torch.nan)

    with pytest.raises(LossError, match="none of 3 has one; the first failed since a loss must be"):
        build_complex(Minima(POINTS[:3], nowhere), 2, progress=False)


def test_a_loss_that_breaks_its_contract_is_no_missing_simplex() -> None:
    calls: list[int] = []

    def breaks(x: Tensor) -> Tensor:
        calls.append(len(x))
        return waves(x)[:1] if len(calls) > 3 else waves(x)

    with pytest.raises(LossError, match="one value for each point"):
        built(breaks)
