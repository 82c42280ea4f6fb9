"""A run folder holds finished records, whole, and is one process's at a time."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import safetensors.torch
import torch
from filelock import FileLock

from reduction import DataError
from simplicial import RunError
from simplicial.reports.status import RunStatus
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

RECORD = Record({"points": torch.arange(6.0).view(2, 3)}, {"loss": 0.1, "vertices": [0, 2]})


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_record_comes_back_bit_for_bit(tmp_path: Path) -> None:
    record = Record(
        {"points": torch.tensor([0.1, -0.0, 5e-324], dtype=torch.float64)},
        {"loss": 0.1 + 0.2, "largest": None, "vertices": [3, 1]},
    )
    with RunFolder(tmp_path / "run") as store:
        store.match_settings("complex", {})
        store.put("edges", 7, record)
        store.put("edges", 2, RECORD)
        assert store.numbers("edges") == [2, 7]
        assert store.numbers("triangles") == []
        assert store.get("edges", 3) is None
    with RunFolder(tmp_path / "run") as store:
        store.match_settings("complex", {})
        found = store.get("edges", 7)
    assert found is not None
    assert found.values == record.values
    assert found.tensors["points"].numpy().tobytes() == record.tensors["points"].numpy().tobytes()
    assert files(tmp_path / "run") == {
        "begun",
        "lock",
        "complex.settings.json",
        *(f"edges/{n:06}.{kind}" for n in (2, 7) for kind in ("json", "safetensors")),
    }


def test_a_folder_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as store:
        store.match_settings("complex", {"seed": 0, "tolerance": 1e-7, "maps": ["a"]})
        store.match_settings("complex", {"seed": 1, "tolerance": 1e-7})  # nothing is finished yet
        store.put("edges", 0, RECORD)
        store.match_settings("complex", {"tolerance": 1e-7, "seed": 1})
        for other, told in (
            ({"seed": 2, "tolerance": 1e-7}, "seed = 1, now seed = 2"),
            ({"seed": 1, "tolerance": None}, "tolerance = 1e-07, now tolerance = null"),
            ({"seed": 1}, "tolerance = 1e-07, now tolerance = null"),
            ({"seed": 1, "tolerance": 1e-7, "new": 3}, "new = null, now new = 3"),
        ):
            before = (tmp_path / "run" / "complex.settings.json").read_bytes()
            with pytest.raises(RunError, match=told):
                store.match_settings("complex", other)
            assert (tmp_path / "run" / "complex.settings.json").read_bytes() == before


def sealed(values: dict[str, Any]) -> str:
    """JSON with the checksum of all versions."""
    text = json.dumps(values, sort_keys=True).encode()
    return json.dumps({**values, "sha256": hashlib.sha256(text).hexdigest()})


@pytest.fixture(params=[2, 3, 4, 5, 6])
def older(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A run folder of version 2, 3, 4, 5 or 6 with two minima and the edge between them."""
    folder, tensors = tmp_path / "older", safetensors.torch.save({"points": torch.zeros(1, 3)})
    schedule = {"kind": "Recipe", "schedule": "simplicial.recipe.garipov"}
    settings = {"max_dim": 1, "values at the minima": [0.25, 0.5], "recipe": schedule}
    where = {"record": ["simplices-1", 0], "settings": ["complex", settings]}
    values = {
        "version": request.param,
        "vertices": [0, 1],
        "largest": 1.5,
        "failed": "",
        "belongs": hashlib.sha256(json.dumps(where, sort_keys=True).encode()).hexdigest(),
        "tensors": hashlib.sha256(tensors).hexdigest(),
    }
    (folder / "simplices-1").mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "begun").touch()
    (folder / "complex.settings.json").write_text(sealed({"version": request.param, **settings}))
    (folder / "simplices-1" / "000000.json").write_text(sealed(values))
    (folder / "simplices-1" / "000000.safetensors").write_bytes(tensors)
    return folder


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of each file."""
    return {n: ((folder / n).read_bytes(), (folder / n).stat().st_mtime_ns) for n in files(folder)}


def test_a_folder_of_a_version_before_is_read_and_no_run_goes_on_from_it(
    older: Path, request: pytest.FixtureRequest
) -> None:
    status = RunStatus.read(older)
    assert status.state == "finished"
    assert [values.tolist() for values in status.values] == [[0.25, 0.5], [1.5]]
    before = contents(older)
    with pytest.raises(DataError) as refusal:
        RunFolder(older)
    version = request.node.callspec.params["older"]
    told = f"must be of version 7 of run folders, it is of {version}: choose another folder, or"
    assert told in str(refusal.value)
    assert contents(older) == before


def test_folders_of_other_versions_are_refused(older: Path) -> None:
    (older / "complex.settings.json").write_text(sealed({"version": 1, "max_dim": 1}))
    with pytest.raises(
        DataError, match="must be of version 2, 3, 4, 5, 6 or 7 of run folders, it is of 1"
    ):
        RunStatus.read(older)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (os.mkfifo, "convergence.json"),
        (os.mkfifo, "complex.settings.json"),
        (os.mkfifo, "lock"),
        (os.mkdir, "anytime.json"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    """A pipe would wait for a reader, and a folder be found when all is computed."""
    make(tmp_path / name)
    with pytest.raises(RunError, match=rf"{name} is neither: move it away"):
        RunFolder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_second_process_leaves_the_folder_alone(tmp_path: Path) -> None:
    code = (
        f"from simplicial.run_folder.folder import RunFolder; RunFolder({str(tmp_path / 'run')!r})"
    )
    with RunFolder(tmp_path / "run") as store:
        store.put("edges", 0, RECORD)
        before = files(tmp_path)
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert second.returncode
        assert "RunError: a run folder belongs to one process at a time" in second.stderr
        assert files(tmp_path) == before
        with pytest.raises(RunError, match="another one works on"):
            RunFolder(tmp_path / "run")
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True).returncode


@pytest.mark.parametrize("was_there", [False, True])
def test_a_folder_without_records_is_removed_if_it_was_made(
    tmp_path: Path, was_there: bool
) -> None:
    if was_there:
        (tmp_path / "a").mkdir()
    with RunFolder(tmp_path / "a" / "b" / "run"):
        assert (tmp_path / "a" / "b" / "run" / "lock").exists()
    assert list(tmp_path.iterdir()) == ([tmp_path / "a"] if was_there else [])


def test_files_of_other_programs_stay(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run"):
        (tmp_path / "run" / "notes.txt").write_text("mine")
    assert files(tmp_path) == {"run/notes.txt"}


def spoilt(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "empty": b"",
        "cut": content[:middle],
        "longer": content + b" x",
        "flipped": content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
        "no JSON": b"\xff\xfe",
        "a list": b"[1, 2]",
        "deep": b"[" * 100_000,
    }


@pytest.mark.parametrize("kind", ["json", "safetensors"])
@pytest.mark.parametrize("how", list(spoilt(b"0123456789")))
def test_a_changed_file_is_refused(tmp_path: Path, kind: str, how: str) -> None:
    with RunFolder(tmp_path / "run") as store:
        store.put("edges", 0, RECORD)
        path = tmp_path / "run" / "edges" / f"000000.{kind}"
        path.write_bytes(spoilt(path.read_bytes())[how])
        with pytest.raises(DataError, match=f"000000.{kind} must be as a run wrote it"):
            store.get("edges", 0)


def test_a_changed_value_in_valid_json_is_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as store:
        store.put("edges", 0, RECORD)
        path = tmp_path / "run" / "edges" / "000000.json"
        body = json.loads(path.read_text())
        body["loss"] = 0.2
        path.write_text(json.dumps(body))
        with pytest.raises(DataError, match="its checksum is another one"):
            store.get("edges", 0)


def test_tensors_of_another_record_are_refused(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as store:
        store.put("edges", 0, RECORD)
        store.put("edges", 1, Record({"points": torch.zeros(2, 3)}, RECORD.values))
        folder = tmp_path / "run" / "edges"
        (folder / "000000.safetensors").replace(folder / "000001.safetensors")
        for number in (0, 1):
            with pytest.raises(DataError, match="must be as a run wrote it"):
                store.get("edges", number)


@pytest.mark.parametrize(
    ("code", "told"), [(errno.ENOSPC, "the disk of .* is full"), (errno.EACCES, "choose another")]
)
def test_a_disk_that_takes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, told: str
) -> None:
    """Nothing half-written stays, and what was there stays."""

    def refuse(_file: Any) -> None:
        raise OSError(code, os.strerror(code))

    with RunFolder(tmp_path / "run") as store:
        store.put("edges", 0, RECORD)
        before = files(tmp_path)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuse)
            with pytest.raises(RunError, match=told):
                store.put("edges", 1, RECORD)
        assert files(tmp_path) == before
        store.put("edges", 1, RECORD)
        assert store.numbers("edges") == [0, 1]


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="must be one that can be written"):
        RunFolder(tmp_path / "run")


def test_a_record_of_another_number_name_or_folder_is_refused(tmp_path: Path) -> None:
    """Another number, other records, other settings; each file is whole."""
    for name, seed in (("run", 0), ("other", 1)):
        with RunFolder(tmp_path / name) as store:
            store.match_settings("complex", {"seed": seed})
            for records, number in (("edges", 0), ("edges", 1), ("triangles", 0)):
                store.put(records, number, RECORD)
    places = [(tmp_path / "run" / "edges", 1), (tmp_path / "run" / "triangles", 0)]
    for folder, number in (*places, (tmp_path / "other" / "edges", 0)):
        for kind in ("json", "safetensors"):
            content = (folder / f"{number:06}.{kind}").read_bytes()
            (tmp_path / "run" / "edges" / f"000000.{kind}").write_bytes(content)
        with RunFolder(tmp_path / "run") as store:
            store.match_settings("complex", {"seed": 0})
            with pytest.raises(DataError, match="belongs elsewhere or was made under other sett"):
                store.get("edges", 0)
            assert store.get("edges", 1) is not None


def test_a_chunk_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    """The checkpoint of another chunk, or under another step's name, is passed over."""
    with RunFolder(tmp_path / "run") as store:
        one, other = store.checkpoint("edges: [0]"), store.checkpoint("edges: [1]")
        other.save(4, RECORD)
        one.save(3, RECORD)
        found = one.load()
        assert found is not None
        assert found[0] == 3
        assert found[1].values == RECORD.values
        for kind in ("json", "safetensors"):
            content = (other.folder / f"000004.{kind}").read_bytes()
            (one.folder / f"000004.{kind}").write_bytes(content)
            (one.folder / f"000003.{kind}").replace(one.folder / f"000005.{kind}")
        assert one.load() is None


def test_a_checkpoint_counts_steps_beyond_six_digits(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as store:
        checkpoint = store.checkpoint("a chunk")
        for step in (999_999, 1_000_000):
            checkpoint.save(step, Record({"main": torch.full((2,), float(step))}, {}))
        found = checkpoint.load()
        assert found is not None
        assert found[0] == 1_000_000
        assert len(list(checkpoint.folder.glob("*.json"))) == 1


def test_a_reader_that_tries_the_lock_stops_no_run(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        begun = Thread(target=lambda: RunFolder(tmp_path).close())
        begun.start()
        begun.join(0.2)  # it waits
        assert begun.is_alive()
    begun.join(10)
    assert not begun.is_alive()


def test_partial_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    with RunFolder(tmp_path) as store:
        store.put("edges", 3, RECORD)
    left = [
        tmp_path / ".run.settings.json.7.partial",
        tmp_path / "edges" / ".000004.json.7.partial",
    ]
    for path in left:
        path.write_bytes(b"{")
    with RunFolder(tmp_path) as store:
        assert store.numbers("edges") == [3]
    assert not any(path.exists() for path in left)
