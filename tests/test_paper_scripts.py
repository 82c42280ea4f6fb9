"""The scripts of examples/paper refuse in one sentence, before anything is trained or written."""

import json
import sys
from pathlib import Path

import pytest

from examples.paper import figure_1, table_1a
from examples.paper.options import in_a_sentence

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


def test_a_complex_of_another_network_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["figure_1", "--folder", "own"])
    figure_1.main()
    (made, *_) = (tmp_path / "own" / "smoke-full").iterdir()
    other = tmp_path / "other" / "smoke-full" / "ResNet-20-3-minima-seed-0.npz"
    other.parent.mkdir(parents=True)
    made.rename(other)
    said = refused(table_1a, ["--folder", "other"], monkeypatch, tmp_path)
    assert "must be read with the loss that it was built for" in said
    assert other.name in said


def test_a_folder_that_is_a_file_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for script in (figure_1, table_1a):
        said = refused(script, ["--folder", "file"], monkeypatch, tmp_path)
        assert said == "Error: file/smoke-full: Not a directory"
