"""The files of a run folder: records of finished results, and the settings of the run.

    NAME.settings.json         settings under which the records of this name were made
    NAME/NUMBER.safetensors    tensors of one record
    NAME/NUMBER.json           its other values, and the checksums of both files

Files are written whole or not at all (`reduction.files`), a record's values after its tensors: a
record whose values are there is whole, however the process ended. Among the values is a digest of
the record's name, number and settings, by which one from another folder is refused. Nothing is ever
unpickled.

Versions: 7 and 6 save other states of simplices in training; 5 says what a maximum may be too low
by, and whether its refinement budget ended it; 4 says of every simplex whether training made it
worse, and keeps its start where it did; 3 does not; 2 named modules of functions, too. Versions 2
to 6 can be read, but no run goes on from them.
"""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
from torch import Tensor

from reduction import DataError
from reduction.files import digest, json_digest, sealed, unsealed, write
from simplicial.errors import RunError

VERSION = 7
READABLE = (2, 3, 4, 5, 6, VERSION)
DIGITS = 6  # of a record's number, at least
SETTINGS = ".settings.json"
BELONGS = "belongs"  # the value of a record that is the digest of its name, number and settings
REMEDY = "move both files of that number away, and it is computed again"
BEGUN = "begun"  # holds its own time, and another one where it was copied
ROUNDING = 2.0  # seconds, of times on some file systems
FULL = {errno.ENOSPC, errno.EDQUOT}


class Record(NamedTuple):
    """A finished result: tensors by name, and JSON values by name."""

    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]


class Records:
    """The records of a run folder, for reading only, also while a run writes to it.

    folder  need not be there
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def settings(self, name: str) -> dict[str, Any] | None:
        """The settings of the records of this name; None where there are none.

        Raises DataError for a spoilt file.
        """
        return read_json(self.folder / f"{name}{SETTINGS}")

    def numbers(self, name: str) -> list[int]:
        """Numbers of the finished records of this name, ascending."""
        return sorted(int(path.stem) for path in self._paths(name))

    def values(self, name: str, under: str) -> dict[int, Mapping[str, Any]]:
        """Values of all records of this name by number, without their tensors.

        under  name of the settings under which they were made
        Raises DataError where a file is not as it was written, or from another folder.
        """
        found, settings, numbers = {}, [under, self.settings(under)], self.numbers(name)
        if numbers and settings[1] is None:
            raise DataError(
                f"records must have their settings, {self.folder / under}{SETTINGS} is not there: "
                "choose another folder"
            )
        for number in numbers:
            path = self.path(name, number)
            if (values := read_json(path)) is not None:
                check_digest(path, values, record_digest(name, number, settings))
                found[number] = values
        return found

    def times(self, name: str) -> list[float]:
        """Times when records of this name were written, ascending, in seconds since 1970."""
        return sorted(path.stat().st_mtime for path in self._paths(name))

    def begun(self) -> float | None:
        """When a process last took the folder up, in seconds since 1970; None where that is not
        known: no process has, or the folder is a copy, whose files have the time of copying.
        """
        path = self.folder / BEGUN
        try:
            stored, at = int(path.read_bytes()) / 1e9, path.stat().st_mtime
        except (FileNotFoundError, ValueError):
            return None
        return at if abs(at - stored) <= ROUNDING else None

    def path(self, name: str, number: int) -> Path:
        """The file of a record's values."""
        return self.folder / name / f"{number:0{DIGITS}}.json"

    def _paths(self, name: str) -> list[Path]:
        paths = (self.folder / name).glob("*.json")
        return [
            p for p in paths if p.stem.isascii() and p.stem.isdecimal() and len(p.stem) >= DIGITS
        ]


def record_digest(name: str, number: int, settings: list[Any]) -> str:
    """Digest of a record's name and number, and of its settings with their name."""
    return json_digest({"record": [name, number], "settings": settings})


def check_digest(path: Path, values: dict[str, Any], expected: str) -> None:
    """Take the digest out of a record's values. Raises DataError for another one than expected."""
    if values.pop(BELONGS, None) != expected:
        raise DataError(
            f"{path} must be where a run wrote it, it belongs elsewhere or was made under other "
            f"settings: {REMEDY}"
        )


def write_begun(folder: Path) -> None:
    """Write the time at which a process takes a folder up, by the clock of its file system."""
    path = folder / BEGUN
    path.touch()
    now = path.stat().st_mtime_ns
    path.write_text(f"{now}\n", encoding="ascii")
    os.utime(path, ns=(now, now))


def check_files(folder: Path) -> None:
    """Raise RunError for a pipe, a device or a socket in a folder or one right in it, for a link to
    a file, and for a folder `*.json`: a run makes none of these.
    """
    with system_errors(folder):
        entries = _entries(folder)
        entries += [entry for one in entries if one.is_dir() for entry in _entries(Path(one.path))]
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or not os.path.lexists(entry.path):
                continue  # or it was removed meanwhile, by the run
            if not entry.is_dir() or entry.name.endswith(".json"):
                raise RunError(
                    f"a run folder has files of its own and folders of records, {entry.path} is "
                    "neither: move it away, or choose another folder"
                )


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    """Entries of a folder; none where it is not there, or no longer."""
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def write_record(path: Path, record: Record, belongs: str) -> None:
    """Write a record's tensors, then its values with its digest at `path`.

    Raises RunError where the disk is full or cannot be written.
    """
    content = safetensors.torch.save({k: t.contiguous() for k, t in record.tensors.items()})
    with system_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path.with_suffix(".safetensors"), content)
    write_json(path, {**record.values, BELONGS: belongs, "tensors": digest(content)})


def read_record(path: Path, belongs: str) -> Record | None:
    """The record whose values are at `path`; None where there are none.

    Raises DataError where its files are not as they were written, or its digest is another one.
    """
    values = read_json(path)
    if values is None:
        return None
    file = path.with_suffix(".safetensors")
    content = file.read_bytes() if file.is_file() else b""
    if values.pop("tensors", None) != digest(content):
        raise _spoilt(file)
    check_digest(path, values, belongs)
    return Record(safetensors.torch.load(content), values)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write JSON values with version and checksum. Raises RunError as `write_record` does."""
    text = json.dumps(sealed({"version": VERSION, **values}), indent=1) + "\n"
    with system_errors(path.parent):
        write(path, text.encode())


def read_json(path: Path, versions: tuple[int, ...] = READABLE) -> dict[str, Any] | None:
    """The values that `write_json` wrote; None without a file.

    Raises DataError for a file that was altered or is of another version.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        body = unsealed(json.loads(text))
        version = body.pop("version")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _spoilt(path) from error
    if version not in versions:
        raise DataError(
            f"{path} must be of version {_listed(versions)} of run folders, it is of "
            f"{version}: choose another folder, or the loss-barcodes that wrote it"
        )
    return body


def _listed(versions: tuple[int, ...]) -> str:
    *others, last = map(str, versions)
    return f"{', '.join(others)} or {last}" if others else last


def _spoilt(path: Path) -> DataError:
    remedy = "choose another folder" if path.name.endswith(SETTINGS) else REMEDY
    return DataError(f"{path} must be as a run wrote it, its checksum is another one: {remedy}")


@contextmanager
def system_errors(folder: Path, *, is_kept: bool = True) -> Iterator[None]:
    """Turn an OSError about files in `folder` into one RunError.

    is_kept  whether what is finished is stored, and a run goes on from there
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            kept = "; what is finished is kept" if is_kept else ""
            raise RunError(
                f"a run needs room, the disk of {folder} is full: make room and run it again{kept}"
            ) from error
        raise RunError(
            f"a folder must be one that can be written, {folder} cannot ({error.strerror}): choose "
            "another folder"
        ) from error
