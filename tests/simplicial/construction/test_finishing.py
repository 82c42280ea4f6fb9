"""Chunks that are finished: simplices that training made worse, and work that is stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import (
    Algorithm1,
    LossComplex,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
)
from simplicial.reports.status import RunStatus
from tests.simplicial.construction.test_not_finite import POINTS, told, waves
from tests.simplicial.schedulers import Counting, assert_same, built

SMALL = Recipe(epochs=40, learning_rate=1e-2, weight_decay=0.0)


def cone(x: Tensor) -> Tensor:
    """As steep everywhere, but for ripples: large steps lead far away, and stay finite."""
    return (1 + x.square().sum(dim=1)).sqrt() + 0.2 * torch.sin(3 * x).prod(dim=1)


def trained(rate: float, max_dim: int = 2, **options: Any) -> LossComplex:
    optimizer = options.pop(
        "optimizer", Algorithm1(recipe=SMALL.changed(learning_rate=rate, schedule=steady))
    )
    minima = Minima(POINTS[:4], options.pop("loss", cone))
    return build_complex(minima, max_dim, optimizer=optimizer, progress=False, **options)


def steady(_share: float) -> float:
    return 1.0


def largest_on(vertices: Tensor, steps: int = 400) -> float:
    """The largest loss of `cone` on a straight edge or triangle, on a fine lattice."""
    i, j = np.triu_indices(steps + 1)
    t = torch.as_tensor(np.stack([i, j - i, steps - j], axis=1) / steps)
    t = t[t[:, 2] == 0][:, :2] if len(vertices) == 2 else t
    return float(cone(t @ vertices).max())


@pytest.mark.parametrize("sides", ["fixed", "trainable"])
@pytest.mark.parametrize("tolerance", [None, 1e-6])
def test_simplices_that_training_made_worse_keep_their_start(
    sides: Any, tolerance: float | None
) -> None:
    far = SMALL.changed(learning_rate=1000.0, schedule=steady)
    complex_, messages = told(
        trained, 1.0, tolerance=tolerance, optimizer=Algorithm1(recipe=far, sides=sides)
    )
    assert messages == [
        "6 of 6 edges were worse after training than where it began, and keep their start, first "
        "(0, 1): choose smaller steps",
        "4 of 4 triangles were worse after training than where it began, and keep their start, "
        "first (0, 1, 2): choose smaller steps",
    ]
    for dim in (1, 2):
        for vertices, value in zip(
            complex_.simplices[dim].vertices, complex_.values[dim], strict=True
        ):
            corners, simplex = POINTS[vertices], complex_[vertices]
            assert value == simplex.maximum.value
            assert cone(simplex.maximum.point[None]).item() == pytest.approx(value, rel=1e-12)
            torch.testing.assert_close(simplex.controls[-1], corners.mean(dim=0))
            exact = largest_on(corners)
            assert value <= exact + 1e-3
            assert value >= exact - (1e-3 if tolerance else 0.1)
            assert simplex.samples is not None
            assert simplex.samples.loss.max() <= value


def test_training_that_helps_is_as_it_was() -> None:
    """No simplex is worse, so none is replaced, and no points are evaluated but for a few."""
    calls: list[int] = []

    def counted(x: Tensor) -> Tensor:
        calls.append(len(x))
        return waves(x)

    recipe = SMALL.changed(learning_rate=2e-3, epochs=200)
    options: dict[str, Any] = {"optimizer": Algorithm1(recipe=recipe), "tolerance": None}
    lowered = trained(1.0, 1, loss=counted, **options)
    straight = trained(1.0, 1, loss=waves, optimizer=Algorithm1(recipe=SMALL.changed(epochs=0)))
    assert (lowered.values[1] <= straight.values[1]).all()
    assert (lowered.values[1] < straight.values[1] - 0.01).any()
    assert sum(calls) <= 200 * 6 + lowered.evaluations + 2 * 6


def test_a_worse_simplex_does_not_change_those_beside_it() -> None:
    """Steps that only edge (0, 1) does not bear: a wall beside its middle."""

    def walled(x: Tensor) -> Tensor:
        near = (1 - (x[:, 0] - 2).square()).clamp(min=0)
        return waves(x) + 40 * near * (x[:, 1].clamp(max=0) ** 2 + 1).log()

    points = torch.tensor([[0.0, 0.0], [4.0, 0.2], [1.0, 3.0], [3.2, 2.6]], dtype=torch.float64)
    optimizer = Algorithm1(recipe=SMALL.changed(learning_rate=0.3, momentum=0.0, epochs=30))
    minima = Minima(points, walled)
    options: dict[str, Any] = {"optimizer": optimizer, "tolerance": None, "progress": False}
    every, messages = told(build_complex, minima, 1, batch=None, **options)
    assert "edges were worse" in messages[0]
    single, again = told(build_complex, minima, 1, batch=1, **options)
    assert again == messages
    assert_same(every, single)
    options["optimizer"] = Algorithm1(recipe=SMALL.changed(epochs=0))
    straight = build_complex(minima, 1, **options)
    assert (every.values[1] <= straight.values[1]).all()
    assert (every.values[1] < straight.values[1]).any()


def test_an_elastic_path_that_ends_higher_keeps_its_start() -> None:
    """One that relaxes out of sight of the straight line: 4.73 against 1.20 on edge (0, 1)."""
    minima = Minima(POINTS, waves)
    complex_, messages = told(
        build_complex,
        minima,
        1,
        optimizer=NudgedElastic(segments=4, steps=40),
        resolution=8,
        progress=False,
    )
    assert messages[0].startswith("1 of 10 edges were worse after training than where it began")
    line = torch.linspace(0, 1, 5001, dtype=torch.float64)[:, None]
    exact = waves((1 - line) * POINTS[0] + line * POINTS[1]).max().item()
    assert complex_.values[1][0] == pytest.approx(exact, abs=1e-5)


def test_a_run_folder_says_what_training_made_worse(tmp_path: Path) -> None:
    alone, _ = told(trained, 1000.0)
    stored, messages = told(trained, 1000.0, store=tmp_path, batch=2)
    assert_same(stored, alone)
    status = RunStatus.read(tmp_path)
    assert status.worsened[:2] == ((0, 1), (0, 2))
    assert len(status.worsened) == 6 + 4
    again, repeated = told(trained, 1000.0, store=tmp_path)
    assert repeated == messages
    assert_same(again, alone)


@pytest.mark.parametrize("name", ["algorithm 1", "elastic"])
def test_refined_maxima_are_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A limit of a tenth of the work in one chunk: it ends all the same, and repeats little."""
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", 0.0)
    whole = Counting()
    expected = built(name, 1, loss=whole, store=tmp_path / "whole")
    limit, stops, points = whole.points // 10, 0, 0
    for _ in range(40):
        attempt = Counting(limit)
        try:
            resumed = built(name, 1, loss=attempt, store=tmp_path / "stopped")
        except KeyboardInterrupt:
            stops += 1
            points += attempt.points
            continue
        assert_same(resumed, expected)
        assert 9 <= stops < 20
        assert points + attempt.points < 1.8 * whole.points
        return
    pytest.fail("it does not end")


SLOW = """
import sys, time, warnings
from pathlib import Path
import numpy as np, torch
from simplicial import Algorithm1, Minima, Recipe, build_complex
from tests.simplicial.schedulers import POINTS, loss

def slow(x):
    time.sleep({seconds} * len(x))
    return loss(x)

optimizer = Algorithm1(recipe=Recipe(epochs=0))
complex_ = build_complex(
    Minima(POINTS, slow), 1, optimizer=optimizer, store=sys.argv[1], progress=False
)
np.save(Path(sys.argv[1]) / "values.npy", complex_.values[1])
"""


@pytest.mark.kill
@pytest.mark.long
def test_killed_every_20_seconds_in_the_middle_of_refined_maxima_it_ends(tmp_path: Path) -> None:
    """One chunk of ten edges, of which the refined maxima take over a minute."""

    def begun(seconds: float, folder: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", SLOW.format(seconds=seconds), str(folder)]
        return subprocess.Popen(command, start_new_session=True)

    assert begun(0.0, tmp_path / "whole").wait() == 0
    kills, killed = 0, tmp_path / "killed"
    while True:
        process = begun(0.25, killed)
        try:
            assert process.wait(timeout=20) == 0
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            parts = [*(killed / "unfinished").rglob("*.json"), *killed.glob("simplices-1/*.json")]
            assert parts  # of the chunk, or all of it while the vertices are checked
            assert kills < 20, "it does not end"
    assert kills >= 3
    names = {path.name for path in (tmp_path / "whole" / "simplices-1").iterdir()}
    assert len(names) == 20
    for name in ("values.npy", *(f"simplices-1/{name}" for name in sorted(names))):
        if name.endswith(("npy", "safetensors")):
            assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
