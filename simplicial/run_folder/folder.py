"""A run folder: results are stored as they are finished, so that a run that was stopped goes on.

    lock                       held while a process works on the folder
    begun                      when a process last took the folder up
    vertex-checks.json         signs that vertices are no minima, once edges are finished
    unfinished/NAME/           checkpoint of a chunk (`simplicial.run_folder.checkpoint`)

Settings and records are described in `simplicial.run_folder.records`.
"""

import json
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from reduction import OptionError
from reduction.files import PARTIAL, digest
from simplicial.errors import RunError
from simplicial.run_folder.checkpoint import UNFINISHED, Checkpoint
from simplicial.run_folder.records import (
    BEGUN,
    SETTINGS,
    VERSION,
    Record,
    Records,
    check_files,
    read_json,
    read_record,
    record_digest,
    system_errors,
    write_begun,
    write_json,
    write_record,
)

LOCK = "lock"
LOCK_TIMEOUT = 1.0  # seconds, after which a reader has given a lock back that it only tried


class RunFolder(Records):
    """The records in a folder, for as long as this process holds its lock.

    folder  made if it is not there
    Raises RunError where another process holds the folder, or it cannot be made, or holds a pipe or
    another thing that is no file; DataError for one of an older version, or with spoilt settings. A
    context manager: leaving it gives the lock back, as does the end of the process, however it
    comes.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        self._matched: dict[str, Any] = {}
        self._current: list[Any] = []  # name and settings that were matched last
        check_files(self.folder)
        for path in self.folder.glob(f"*{SETTINGS}"):
            read_json(path, (VERSION,))  # an older folder is refused before anything is changed
        with system_errors(self.folder):
            self._new = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK, timeout=LOCK_TIMEOUT)
            try:
                self._lock.acquire()
            except Timeout:
                raise RunError(
                    f"a run folder belongs to one process at a time, another one works on "
                    f"{self.folder}: wait until it ends, or choose another folder"
                ) from None
            write_begun(self.folder)
            for pattern in (f".*{PARTIAL}", f"*/.*{PARTIAL}"):  # of a process that was killed
                for left in self.folder.glob(pattern):
                    left.unlink(missing_ok=True)

    @classmethod
    def opened(
        cls, store: "str | Path | RunFolder | None"
    ) -> AbstractContextManager["RunFolder | None"]:
        """A run folder to work in: this one, which stays open, or that at a path, or none."""
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
        """Give the lock back, and remove folders that were made if they hold no record."""
        if self._new and not any(self.folder.rglob("[0-9]*.json")):
            own = (self.folder / LOCK, self.folder / BEGUN)
            for path in [*self.folder.glob(f"*{SETTINGS}"), *own]:
                path.unlink(missing_ok=True)
            for folder in self._new:
                with suppress(OSError):  # something else was put there
                    folder.rmdir()
        self._lock.release()

    def match_settings(
        self,
        name: str,
        settings: Mapping[str, Any],
        records: str | None = None,
        *,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        """Save the settings of these records or, once there are records, compare with those saved.

        settings  JSON values by name
        records   name of the first records that are made under them
        before    settings that older folders do not name, with the values of those
        Raises RunError that names the first setting that differs, or where there are such records
        without settings; DataError for a spoilt file.
        """
        path = self.folder / f"{name}{SETTINGS}"
        given = json.loads(json.dumps(settings, allow_nan=False))
        saved = read_json(path)
        has_records = any(self.folder.glob("*/[0-9]*.json"))
        is_begun = records is not None and bool(self.numbers(records))
        if not has_records or (saved is None and not is_begun):
            write_json(path, given)
        elif saved is None:
            raise RunError(
                f"records must have their settings, {path} is not there: choose another folder"
            )
        else:
            self._compare({**(before or {}), **saved}, given)
        self._matched[name], self._current = given, [name, given]

    def _compare(self, saved: dict[str, Any], given: dict[str, Any]) -> None:
        for key in [*saved, *given]:
            before, now = saved.get(key), given.get(key)
            if before != now:
                raise RunError(
                    f"a run folder goes on with its own settings, {self.folder} was made with "
                    f"{key} = {json.dumps(before)}, now {key} = {json.dumps(now)}: give the same, "
                    "or choose another folder"
                )

    def put(self, name: str, number: int, record: Record) -> None:
        """Write a record under the settings matched last.

        Raises RunError where the disk is full or cannot be written.
        """
        write_record(self.path(name, number), record, record_digest(name, number, self._current))

    def get(self, name: str, number: int) -> Record | None:
        """A finished record, or None where there is none.

        Raises DataError where its files are not as they were written, or were written for another
        name or number, or under other settings than those matched last.
        """
        return read_record(self.path(name, number), record_digest(name, number, self._current))

    def checkpoint(self, key: str) -> Checkpoint:
        """The checkpoint of the chunk with this key, under the settings matched so far."""
        chunk = json.dumps([key, self._matched], sort_keys=True)
        return Checkpoint(self.folder, digest(chunk.encode())[:16])

    def clear_checkpoints(self) -> None:
        """Remove the checkpoints of all chunks: all is finished."""
        shutil.rmtree(self.folder / UNFINISHED, ignore_errors=True)
