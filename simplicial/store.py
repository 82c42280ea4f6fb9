"""A run folder: what is finished is stored as it ends, so that a run that was stopped goes on.

    lock                       held while a process works on the folder
    NAME.settings.json         what the records of this name were made with
    NAME/NUMBER.safetensors    tensors of one record
    NAME/NUMBER.json           its numbers, and the checksums of both files
    unfinished/KEY/            how far a batch has come, now and then (`Memo`)

A file is written under another name, synced and renamed, a record's numbers after its tensors: a
record whose numbers are there is whole, however the process ended. Nothing is ever unpickled.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import safetensors
import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from reduction import DataError, OptionError
from simplicial.errors import RunError

VERSION = 1
LOCK, UNFINISHED = "lock", "unfinished"
DIGITS = 6  # of a record's number, at least
FULL = {errno.ENOSPC, errno.EDQUOT}


class Record(NamedTuple):
    """Something finished: tensors by name, and numbers, JSON values by name."""

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, Any]


class Store:
    """The records in a folder, for as long as this process holds its lock.

    folder  made if it is not there
    Raises RunError where another process holds the folder, or it cannot be made. A context manager:
    leaving it gives the lock back, as does the end of the process, however it comes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self._agreed: dict[str, Any] = {}
        with _told(self.folder):
            self._new = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK, timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise RunError(
                    f"a run folder belongs to one process at a time, another one works on "
                    f"{self.folder}: wait until it ends, or choose another folder"
                ) from None

    @classmethod
    def opened(cls, store: "str | Path | Store | None") -> AbstractContextManager["Store | None"]:
        """A store to work in: this one, which stays open, or that of a folder, or none."""
        if store is None or isinstance(store, cls):
            return nullcontext(store)
        if not isinstance(store, str | Path) or not str(store) or "\0" in str(store):
            raise OptionError(f"store must be a folder, got {store!r}: name a new or empty one")
        return cls(store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back; folders that were made, and in which nothing is kept, go."""
        if self._new and not any(self.folder.rglob("[0-9]*.json")):
            for path in [*self.folder.glob("*.settings.json"), self.folder / LOCK]:
                path.unlink(missing_ok=True)
            for folder in self._new:
                with suppress(OSError):  # something else was put there
                    folder.rmdir()
        self._lock.release()

    def agree(self, name: str, settings: Mapping[str, Any], records: str | None = None) -> None:
        """Keep the settings of these records, or compare them with those that were kept, once there
        are records.

        settings  JSON values by name
        records   name of the first records that are made under them
        Raises RunError that names the first setting that differs, or where there are such records
        without settings; DataError for a spoilt file.
        """
        path = self.folder / f"{name}.settings.json"
        given = json.loads(json.dumps(settings, allow_nan=False))
        self._agreed[name] = given
        kept = _numbers(path)
        has_records = any(self.folder.glob("*/[0-9]*.json"))
        is_begun = records is not None and bool(self.numbers(records))
        if not has_records or (kept is None and not is_begun):
            _write(path, _sealed(given))
            return
        if kept is None:
            raise RunError(
                f"records must have their settings, {path} is not there: choose another folder"
            )
        for key in [*kept, *given]:
            before, now = kept.get(key), given.get(key)
            if before != now:
                raise RunError(
                    f"a run folder goes on with its own settings, {self.folder} was made with "
                    f"{key} = {_shown(before)}, now {key} = {_shown(now)}: give the same, or "
                    "choose another folder"
                )

    def numbers(self, name: str) -> list[int]:
        """Which records of this name are finished, ascending."""
        stems = [path.stem for path in (self.folder / name).glob("*.json")]
        return sorted(int(s) for s in stems if s.isascii() and s.isdecimal() and len(s) >= DIGITS)

    def forget(self) -> None:
        """Leave nothing unfinished: all is finished."""
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)

    def put(self, name: str, number: int, record: Record) -> None:
        """Store a record. Raises RunError where the disk is full or cannot be written."""
        _put(self._path(name, number), record)

    def get(self, name: str, number: int) -> Record | None:
        """A finished record, or None where there is none.

        Raises DataError where its files are not as they were written.
        """
        return _get(self._path(name, number))

    def memo(self, key: str) -> "Memo":
        """Where a batch with this key says how far it has come, under the settings agreed on."""
        whole = json.dumps([key, self._agreed], sort_keys=True)
        return Memo(self.folder / UNFINISHED / _digest(whole.encode())[:16])

    def _path(self, name: str, number: int) -> Path:
        return self.folder / name / f"{number:0{DIGITS}}.json"


@dataclass(frozen=True, slots=True)
class Memo:
    """How far a batch has come: a record for the last epoch that was kept.

    folder  of this batch alone; other processes than the store's may write here
    """

    folder: Path

    def load(self) -> tuple[int, Record] | None:
        """The last epoch that was kept whole, and its record; None where there is none."""
        for path in sorted(self.folder.glob("[0-9]*.json"), reverse=True):
            with suppress(DataError):  # two processes wrote it, one of them outlived its run
                if (found := _get(path)) is not None:
                    return int(path.stem), found
        return None

    def save(self, epoch: int, record: Record) -> None:
        """Keep this epoch in place of those before it.

        Nothing is kept where the run folder is on another machine. Raises RunError where the disk
        is full.
        """
        if not self.folder.parent.parent.is_dir():
            return
        path = self.folder / f"{epoch:06}.json"
        _put(path, record)
        for old in self.folder.glob("[0-9]*"):
            if old.stem < path.stem:
                old.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget the batch: it is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _put(path: Path, record: Record) -> None:
    """Write a record's tensors, then its numbers at `path`."""
    content = safetensors.torch.save({k: t.contiguous() for k, t in record.tensors.items()})
    with _told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    _write(path.with_suffix(".safetensors"), content)
    _write(path, _sealed({**record.numbers, "tensors": _digest(content)}))


def _get(path: Path) -> Record | None:
    """The record whose numbers are at `path`; None where they are not."""
    numbers = _numbers(path)
    if numbers is None:
        return None
    file = path.with_suffix(".safetensors")
    content = file.read_bytes() if file.is_file() else b""
    if numbers.pop("tensors", None) != _digest(content):
        raise _spoilt(file)
    return Record(safetensors.torch.load(content), numbers)


def _sealed(values: Mapping[str, Any]) -> bytes:
    """JSON values as text, with their own checksum."""
    body = {"version": VERSION, **values}
    return (json.dumps({**body, "sha256": _seal(body)}, indent=1) + "\n").encode()


def _numbers(path: Path) -> dict[str, Any] | None:
    """What `_sealed` made of JSON values; None without a file."""
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
    return _digest(json.dumps(body, sort_keys=True).encode())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _spoilt(path: Path) -> DataError:
    cure = "move both files of that number away, and it is computed again"
    if path.name.endswith(".settings.json"):
        cure = "choose another folder"
    return DataError(f"{path} must be as a run wrote it, its checksum is another one: {cure}")


def _shown(value: Any) -> str:
    return json.dumps(value)


def _write(path: Path, content: bytes) -> None:
    """A file that is there whole or not at all, whatever happens."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with _told(path.parent):
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
def _told(folder: Path) -> Iterator[None]:
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
            f"a run folder must be one that can be written, {folder} cannot ({error.strerror}): "
            "choose another folder"
        ) from error
