"""The scripts of examples/paper refuse in one sentence, before anything is trained or written."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.paper import figure_1, table_1a
from examples.paper.cell import Way
from examples.paper.claims import verdict
from examples.paper.experiment import PRINTED, Experiment, Network
from examples.paper.options import in_a_sentence
from nets import NetworkLoss, train_minima

TRIANGLE = {
    "title": "a triangle",
    "place": [0.5, 0.25, 0.25],
    "barycentric": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "loss": [1, 2, 3],
    "accuracy": None,
}


def refused(
    script: object, options: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> str:
    """What it says, in this folder, in which it leaves no file."""
    before = sorted(folder.rglob("*"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["script", *options])
    with pytest.raises(SystemExit) as end:
        in_a_sentence(script.main)  # pyright: ignore
    assert sorted(folder.rglob("*")) == before
    return str(end.value.code)


@pytest.mark.parametrize("name", ["picture.xyz", "picture", "picture.json", "."])
def test_a_picture_needs_a_name_that_matplotlib_knows(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(figure_1, ["--out", name], monkeypatch, tmp_path) == "2"
    assert f"ends in .png, .svg or the like, got {name}: choose one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[5]",
        b"[{}]",
        *(
            json.dumps([TRIANGLE | changed]).encode()
            for changed in (
                {"title": None},
                {"place": [0.5]},
                {"loss": [1, 2]},
                {"barycentric": [1, 2, 3]},
                {"accuracy": [0.5]},
                {"loss": [1, 2, None]},
            )
        ),
    ],
)
def test_a_drawing_is_made_of_a_drawings_json_alone(
    content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "drawn.json").write_bytes(content)
    said = refused(figure_1, ["--drawn", "drawn.json"], monkeypatch, tmp_path)
    assert said.startswith("Error: a picture is drawn from the JSON that was written beside one")
    assert "drawn.json is none" in said


def test_data_that_are_not_there_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = ["--scale", "paper", "--data-dir", str(tmp_path / "nowhere")]
    for script in (figure_1, table_1a):
        said = refused(script, options, monkeypatch, tmp_path)
        assert said.startswith("Error: ")
        assert "nowhere" in said


CELL = "ResNet-20-algorithm-1-plain-seed-0"


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell of the smallest scale."""
    folder = tmp_path_factory.mktemp("cells")
    experiment = Experiment("smoke", folder, None, False, "full")
    experiment.cell(Network(20, 1, shortcuts=True), 0, PRINTED)
    return folder / "smoke-full" / f"{CELL}.json"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "ResNet-56-algorithm-1-plain-seed-0"},
        {"settings": {}},
        {"values": [[0.5, 0.5, 0.5], [1, 1, 1]]},
        {"values": [[0.5, 0.5, 0.5], [1, 1], [1]]},
        {"values": [[0.5, 0.5, 0.5], [1, 1, None], [1]]},
        {"test_errors": [0.5]},
        {"hours": [1]},
        {"largest": None},
        {"samples": {"barycentric": [[1, 0, 0]], "loss": [1, 2], "accuracy": None}},
        {"samples": 5},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_cell_of_other_content_is_refused_by_name(
    changed: dict[str, Any], cell: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "own" / "smoke-full" / cell.name
    other.parent.mkdir(parents=True)
    other.write_text(json.dumps(json.loads(cell.read_text()) | changed))
    options = ["--folder", "own", "--networks", "ResNet-20"]
    said = refused(table_1a, options, monkeypatch, tmp_path)
    assert said.startswith("Error: a cell is read from the JSON that was written of it, own/")
    assert f"is none of {CELL}" in said


def test_a_cell_is_what_was_built(cell: Path, tmp_path: Path) -> None:
    experiment = Experiment("smoke", cell.parent.parent, tmp_path / "nowhere", False, "full")
    read = experiment.cell(Network(20, 1, shortcuts=True), 0, PRINTED)
    vertices, edges, triangles = read.values
    assert read.samples.loss.max() == pytest.approx(triangles[0], rel=1e-6)
    assert triangles[0] >= edges.max() >= edges.min() >= vertices.min()
    barcode = read.barcode()
    born, died = sorted(vertices)[1:], sorted(edges)[:2]
    assert barcode.w_inf(0) >= (min(died) - max(born)) / 2**0.5
    assert barcode.w_inf(1) == pytest.approx((triangles[0] - edges.max()) / 2**0.5)
    assert 0 < read.test_errors.mean() < 1


def test_penalised_values_are_higher_by_the_penalty(cell: Path) -> None:
    experiment = Experiment("smoke", cell.parent.parent, None, False, "full")
    network = Network(20, 1, shortcuts=True)
    plain, penalised = (
        experiment.cell(network, 0, Way("algorithm-1", objective))
        for objective in ("plain", "penalised")
    )
    minima = train_minima(
        experiment_loss(experiment, network), 3, recipe=experiment.recipe, progress=False
    )
    penalties = 0.5 * experiment.recipe.weight_decay * (minima.points.double() ** 2).sum(dim=1)
    np.testing.assert_allclose(penalised.losses - plain.losses, penalties, rtol=1e-4)


@pytest.mark.parametrize(
    ("smaller", "larger", "said"),
    [
        ([0.1, 0.2, 0.15], [0.3, 0.25], "seen"),
        ([0.1], [0.2], "seen"),
        ([0.3, 0.4], [0.2, 0.3], "not seen"),
        ([0.0, 0.0, 5e-4], [0.0, 9e-4], "not seen"),
        ([0.1, 0.3], [0.2, 0.4], "not decided"),
        ([0.0, 0.0, 0.0], [0.0, 0.1, 0.1], "not decided"),
    ],
)
def test_a_claim_is_seen_where_all_seeds_agree(
    smaller: list[float], larger: list[float], said: str
) -> None:
    assert verdict(smaller, larger) == said


def experiment_loss(experiment: Experiment, network: Network) -> NetworkLoss:
    images = experiment.images
    return NetworkLoss(experiment.model(network), images.train_inputs, images.train_targets)


def test_a_folder_that_is_a_file_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for script in (figure_1, table_1a):
        said = refused(script, ["--folder", "file"], monkeypatch, tmp_path)
        assert said == "Error: file/smoke-full: Not a directory"
