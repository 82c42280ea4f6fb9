"""A build that was stopped goes on, with its own settings, and computes nothing twice."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DataError, OptionError
from simplicial import Algorithm1, Edgewise, Loss, LossComplex, NudgedElastic, Recipe, RunError
from simplicial.loss import StochasticLoss
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record
from tests.simplicial.schedulers import POINTS, Counting, assert_same, built, loss


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is saved."""
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", 0.0)


@pytest.mark.parametrize("period", [0.0, 30.0])
@pytest.mark.parametrize("name", ["algorithm 1", "elastic", "trainable"])
def test_a_run_that_is_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, period: float
) -> None:
    """At many moments; what was stored is not computed again, and the bits are the same."""
    monkeypatch.setattr("simplicial.run_folder.checkpoint.PERIOD", period)
    plain = Counting()
    alone = built(name, loss=plain)
    folder, stops, stored = tmp_path / "run", 0, {}
    for until in np.linspace(0, plain.points, 12)[1:-1]:
        try:
            done = built(name, loss=Counting(until), store=folder, batch=2)
        except KeyboardInterrupt:
            stops += 1
        else:
            assert_same(done, alone)
        for path in folder.glob("[!u]*/*.safetensors"):  # but those in unfinished
            assert stored.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns
    assert stops > 3
    assert_same(built(name, loss=loss, store=folder), alone)
    again = Counting()
    assert_same(built(name, loss=again, store=folder), alone)
    assert again.points == 5 + 5 + 2  # minima, slopes there, two points by which a loss is known
    together = name in ("trainable", "elastic")  # records of a dimension: trained, or mended
    assert len(list(folder.rglob("*.safetensors"))) == 10 + 10 + 2 * together


def test_other_settings_are_refused(tmp_path: Path) -> None:
    built("algorithm 1", store=tmp_path)
    for change, told in (
        ({"seed": 1}, "seed = 0, now seed = 1"),
        ({"tolerance": None}, "tolerance = 1e-07, now tolerance = null"),
        ({"simplex_map": Edgewise(3)}, 'simplex_map = {"kind": "Barycentric"}, now'),
        ({"resolution": 9}, "resolution = 12, now resolution = 9"),
        ({"loss": lambda x: 2 * loss(x)}, "values between the minima"),
    ):
        with pytest.raises(RunError, match=told):
            built("algorithm 1", 2, store=tmp_path, **change)
    longer = Algorithm1(recipe=Recipe(epochs=31, weight_decay=0.0))
    with pytest.raises(RunError, match=r'"epochs": 30, .*"epochs": 31'):
        built(longer, store=tmp_path)


@pytest.mark.filterwarnings("ignore:2 of 3 edges end bars at no pass")  # of few steps
def test_a_loss_with_the_same_values_at_the_minima_is_told_apart(tmp_path: Path) -> None:
    def ring(x: Tensor) -> Tensor:
        return (x.square().sum(dim=1) - 1).square()

    elastic = NudgedElastic(segments=4, steps=10)
    options = {"points": np.array([[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), "store": tmp_path}
    built(elastic, 1, loss=ring, **options)
    with pytest.raises(RunError, match="values between the minima"):
        built(elastic, 1, loss=lambda x: 5 * ring(x), **options)


def test_a_schedule_without_a_name_is_refused_with_a_store(tmp_path: Path) -> None:
    nameless = Algorithm1(recipe=Recipe(epochs=1, schedule=lambda _: 1.0))
    built(nameless, 1)
    with pytest.raises(OptionError, match="define it at the top level of a module"):
        built(nameless, 1, store=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_records_without_their_settings_are_refused(tmp_path: Path) -> None:
    built("algorithm 1", store=tmp_path)
    (tmp_path / "complex.settings.json").unlink()
    with pytest.raises(RunError, match=r"complex\.settings\.json is not there"):
        built("algorithm 1", store=tmp_path)


def test_records_of_another_complex_are_refused(tmp_path: Path) -> None:
    built("algorithm 1", store=tmp_path)
    settings = json.loads((tmp_path / "complex.settings.json").read_text())
    del settings["version"], settings["sha256"]
    with RunFolder(tmp_path) as store:
        with pytest.raises(DataError, match="made under other settings"):
            store.get("simplices-1", 3)
        store.match_settings("complex", settings)
        record = store.get("simplices-1", 3)
        assert record is not None
        store.put("simplices-1", 2, record)
    with pytest.raises(DataError, match="number 2 of dimension 1 is not"):
        built("algorithm 1", store=tmp_path)


class Stochastic(StochasticLoss):
    """A loss over 24 examples, with random mini-batches, that breaks when told to."""

    def __init__(self, until: float = np.inf) -> None:
        self.steps, self.until = 0, until
        self.shifts = torch.as_tensor(np.random.default_rng(72).normal(size=(24, 3)))

    def __call__(self, x: Tensor) -> Tensor:
        return torch.stack([loss(x + 0.1 * shift) for shift in self.shifts]).mean(dim=0)

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        for part in np.array_split(rng.permutation(24), max(1, 24 // batch_size)):
            yield partial(self._estimate, self.shifts[torch.as_tensor(part)])

    def _estimate(self, shifts: Tensor, x: Tensor) -> Tensor:
        self.steps += 1
        if self.steps > self.until:
            raise KeyboardInterrupt
        return torch.stack([loss(x + 0.1 * shift) for shift in shifts]).mean(dim=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.usefixtures("every_step")
def test_a_chunk_goes_on_from_the_last_step_that_was_saved(tmp_path: Path, momentum: float) -> None:
    """Three steps an epoch; steps that were saved are not taken again, wherever in an epoch."""
    recipe = Recipe(epochs=6, batch_size=8, momentum=momentum, weight_decay=0.01)

    def trained(until: float, store: Path | None = None) -> tuple[LossComplex, int]:
        noisy = Stochastic(until)
        optimizer = Algorithm1(recipe=recipe)
        return built(optimizer, 1, points=POINTS[:3], loss=noisy, store=store), noisy.steps

    alone, steps = trained(np.inf)
    assert steps == 18
    for stop in (5, 4, 1):  # in epoch 2, after epoch 3, and in epoch 4
        with pytest.raises(KeyboardInterrupt):
            trained(stop, tmp_path)
    checkpoint = list((tmp_path / "unfinished").rglob("*.json"))
    assert [path.stem for path in checkpoint] == ["000010"]
    resumed, steps = trained(np.inf, tmp_path)
    assert steps == 8 + 1  # one of the vertices' checks
    assert_same(resumed, alone)
    assert not (tmp_path / "unfinished").exists()


@pytest.mark.parametrize("name", ["elastic", "trainable"])
@pytest.mark.usefixtures("every_step")
def test_training_before_a_stop_is_not_repeated(tmp_path: Path, name: str) -> None:
    plain = Counting()
    edges = built(name, 1, loss=plain, tolerance=None)
    until = int(0.6 * plain.points)
    with pytest.raises(KeyboardInterrupt):
        built(name, 1, loss=Counting(until), tolerance=None, store=tmp_path)
    rest = Counting()
    resumed = built(name, 1, loss=rest, tolerance=None, store=tmp_path)
    assert_same(resumed, edges)
    assert rest.points < plain.points - 0.8 * until


def test_control_points_of_another_complex_are_refused(tmp_path: Path) -> None:
    alone = built("trainable", store=tmp_path)
    with RunFolder(tmp_path) as store:
        store.match_settings("complex", store.settings("complex") or {})
        store.put("trained-together", 2, Record({"points": alone.control_points[:3]}, {}))
    with pytest.raises(DataError, match="trained-together are not: choose another folder"):
        built("trainable", store=tmp_path)


@pytest.mark.usefixtures("every_step")
def test_checkpoints_under_other_settings_are_not_used(tmp_path: Path) -> None:
    """Nothing is stored yet, so that the settings may change; its epochs are of no use then."""
    with pytest.raises(KeyboardInterrupt):
        built("algorithm 1", loss=Counting(100), store=tmp_path)
    assert list((tmp_path / "unfinished").rglob("*.json"))
    changed = Algorithm1(recipe=Recipe(epochs=30, weight_decay=0.0, learning_rate=0.003))
    assert_same(built(changed), built(changed, store=tmp_path))


@pytest.mark.usefixtures("every_step")
def test_an_epoch_of_other_points_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        built("algorithm 1", loss=Counting(100), store=tmp_path)
    folder = next((tmp_path / "unfinished").iterdir())
    Checkpoint(tmp_path, folder.name).save(9, Record({"main": torch.zeros(2, 3)}, {}))
    with pytest.raises(DataError, match="a chunk goes on from its own control points"):
        built("algorithm 1", store=tmp_path)
