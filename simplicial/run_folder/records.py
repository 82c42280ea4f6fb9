"""The files of a run folder: records of what is finished, and the settings that they were made
with.

    NAME.settings.json         what the records of this name were made with
    NAME/NUMBER.safetensors    tensors of one record
    NAME/NUMBER.json           its numbers, and the checksums of both files

A file is written under another name, synced and renamed, a record's numbers after its tensors: a
record whose numbers are there is whole, however the process ended. Its numbers say where it belongs
and under which settings it was made, so that one from elsewhere is told. Nothing is ever unpickled.
"""

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor

from reduction import DataError
from simplicial.errors import RunError

VERSION = 2
DIGITS = 6  # of a record's number, at least
SETTINGS = ".settings.json"
PARTIAL = ".partial"  # ends the name of a file that is being written
BELONGS = "belongs"  # the number of a record that is a digest of its place and its settings
CURE = "move both files of that number away, and it is computed again"
FULL = {errno.ENOSPC, errno.EDQUOT}


class Record(NamedTuple):
    """Something finished: tensors by name, and numbers, JSON values by name."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Records:
    """What there is in a run folder, for reading alone, whoever works on it.

    folder  need not be there
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def settings(self, name: str) -> dict[str, Any] | None:
        """The settings of the records of this name; None where there are none.

        Raises DataError for a spoilt file.
        """
        return read_numbers(self.folder / f"{name}{SETTINGS}")

    def numbers(self, name: str) -> list[int]:
        """Which records of this name are finished, ascending."""
        return sorted(int(path.stem) for path in self._paths(name))

    def figures(self, name: str, under: str) -> dict[int, Mapping[str, Any]]:
        """The numbers alone of all records of this name, which were made under these settings.

        under  the name of the settings
        Raises DataError where a file is not as it was written, or from elsewhere.
        """
        found, settings, numbers = {}, [under, self.settings(under)], self.numbers(name)
        if numbers and settings[1] is None:
            raise DataError(
                f"records must have their settings, {self.folder / under}{SETTINGS} is not there: "
                "choose another folder"
            )
        for number in numbers:
            path = self.path(name, number)
            if (figures := read_numbers(path)) is not None:
                check_place(path, figures, place(name, number, settings))
                found[number] = figures
        return found

    def times(self, name: str) -> list[float]:
        """When each record of this name was finished, ascending, in seconds since the epoch."""
        return sorted(path.stat().st_mtime for path in self._paths(name))

    def path(self, name: str, number: int) -> Path:
        """Where the numbers of a record are."""
        return self.folder / name / f"{number:0{DIGITS}}.json"

    def _paths(self, name: str) -> list[Path]:
        paths = (self.folder / name).glob("*.json")
        return [
            p for p in paths if p.stem.isascii() and p.stem.isdecimal() and len(p.stem) >= DIGITS
        ]


def place(name: str, number: int, settings: list[Any]) -> str:
    """A digest of where a record belongs: its name and number, and the settings with their name."""
    return _seal({"record": [name, number], "settings": settings})


def check_place(path: Path, numbers: dict[str, Any], here: str) -> None:
    """Take its place out of a record's numbers. Raises DataError for another one."""
    if numbers.pop(BELONGS, None) != here:
        raise DataError(
            f"{path} must be where a run wrote it, it belongs elsewhere or was made under other "
            f"settings: {CURE}"
        )


def write_record(path: Path, record: Record, here: str) -> None:
    """Write a record's tensors, then its numbers, with where it belongs, at `path`."""
    content = safetensors.torch.save({k: t.contiguous() for k, t in record.tensors.items()})
    with telling(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write(path.with_suffix(".safetensors"), content)
    write(path, sealed({**record.numbers, BELONGS: here, "tensors": digest(content)}))


def read_record(path: Path, here: str) -> Record | None:
    """The record whose numbers are at `path`; None where they are not. Raises DataError."""
    numbers = read_numbers(path)
    if numbers is None:
        return None
    file = path.with_suffix(".safetensors")
    content = file.read_bytes() if file.is_file() else b""
    if numbers.pop("tensors", None) != digest(content):
        raise _spoilt(file)
    check_place(path, numbers, here)
    return Record(safetensors.torch.load(content), numbers)


def sealed(values: Mapping[str, Any]) -> bytes:
    """JSON values as text, with their own checksum."""
    body = {"version": VERSION, **values}
    return (json.dumps({**body, "sha256": _seal(body)}, indent=1) + "\n").encode()


def read_numbers(path: Path) -> dict[str, Any] | None:
    """What `sealed` made of JSON values; None without a file."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        body = json.loads(text)
        whole = body.pop("sha256") == _seal(body)
        version = body.pop("version")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        whole, version, body = False, None, {}
    if not whole:
        raise _spoilt(path)
    if version != VERSION:
        raise DataError(
            f"{path} must be of version {VERSION} of run folders, it is of {version}: choose "
            "another folder, or the loss-barcodes that wrote it"
        )
    return body


def _seal(body: Mapping[str, Any]) -> str:
    return digest(json.dumps(body, sort_keys=True).encode())


def digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _spoilt(path: Path) -> DataError:
    cure = CURE
    if path.name.endswith(SETTINGS):
        cure = "choose another folder"
    return DataError(f"{path} must be as a run wrote it, its checksum is another one: {cure}")


def write(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, whatever happens."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    with telling(path.parent):
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make a renaming last; a system that cannot open folders needs none."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """What the system says, as one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise RunError(
                f"a run needs room, the disk of {folder} is full: make room and run it again; what "
                "is finished is kept"
            ) from error
        raise RunError(
            f"a folder must be one that can be written, {folder} cannot ({error.strerror}): choose "
            "another folder"
        ) from error
