"""Altered files through every reader, as in `benchmarks/altered.py`, but fewer of them."""

import pytest

from tests.alterations import OUTCOMES, Reader, counted
from tests.benchmarks.altered import readers

COUNT = 60


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("altered"))


@pytest.mark.parametrize(
    "name",
    [
        "filtered complex",
        "complex",
        "barcode",
        "convergence",
        "run folder",
        "unfinished chunk",
        "checkpoint",
    ],
)
def test_altered_files_are_refused_or_read_the_same(name: str, all_readers: dict[str, Reader]):
    assert name in all_readers
    counts = counted(all_readers[name], COUNT, seed=1)
    total: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    for (kind, _way), number in counts.items():
        total[kind] += number
    bad = {key: number for key, number in counts.items() if key[0] in ("wrong", "crashed")}
    assert not bad
    assert total["refused"] >= COUNT / 3
    assert sum(total.values()) == COUNT


def test_every_reader_is_tried(all_readers: dict[str, Reader]):
    assert len(all_readers) == 7
    assert all(reader.files for reader in all_readers.values())


def test_files_are_as_before_when_they_were_read(all_readers: dict[str, Reader]):
    """What is altered is written back, so that each alteration is the only one."""
    reader = all_readers["run folder"]
    counted(reader, 5, seed=2)
    now = {str(p.relative_to(reader.folder)): p.read_bytes() for p in reader.folder.rglob("*.json")}
    assert now == {name: text for name, text in reader.files.items() if name.endswith(".json")}
