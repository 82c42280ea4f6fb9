"""Files of all three packages: format tags, checksums, and writing that is whole or not at all.

A file carries the name of its format, its version and the SHA-256 checksum of all else, so that one
that was altered is refused; one written by hand may leave the checksum out where its format says
so. Its content is trusted no more than what a caller passes: readers decode it inside of
`refusing`, and constructors check the values.
"""

import json
import os
import shutil
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile

from reduction.errors import DataError
from reduction.validation import as_path

CHECKSUM = "sha256"
PARTIAL = ".partial"  # ends the name of a file that is being written


def digest(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return sha256(content).hexdigest()


def json_digest(value: Any) -> str:
    """SHA-256 of a JSON value, of its text with sorted keys."""
    return digest(json.dumps(value, sort_keys=True).encode())


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its checksum."""
    return {**document, CHECKSUM: json_digest(document)}


def unsealed(document: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A JSON object without its checksum. Raises DataError, to be caught by `refusing`, for a wrong
    one, and for none where it is required.
    """
    body = dict(document)
    given = body.pop(CHECKSUM, None)
    if (given is not None or required) and given != json_digest(body):
        raise DataError("its checksum is another one")
    return body


def check_tag(name: object, version: object, expected: str, *versions: int) -> None:
    """Raise DataError, to be caught by `refusing`, unless format and version are as expected."""
    if name != expected or version not in versions:
        raise DataError(f"its format is {name!r} of version {version!r}")


@contextmanager
def refusing(path: str | Path, name: str, version: int | str) -> Generator[bytes]:
    """The content of a file; whatever goes wrong while it is decoded is raised as one DataError.

    Raises OptionError for what is no path, OSError where there is no file.
    """
    content = as_path(path).read_bytes()
    try:
        yield content
    except Exception as error:  # decoders fail in every way on bytes that are not their own
        raise DataError(
            f"{path} is no {name} of version {version}, or was altered or cut off "
            f"({type(error).__name__}: {error}); save it anew"
        ) from error


def write(path: str | Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens; overwrites.

    Raises OptionError for what is no path, OSError where it cannot be written.
    """
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: str | Path) -> Generator[BinaryIO]:
    """An open file that takes the place of `path` once it is complete, and is removed on errors.

    It is written beside `path` under another name, synced and renamed; so is the file that a link
    names. What is no regular file, such as a pipe, is written to as it is. Raises as `write`.
    """
    target = Path(os.path.realpath(as_path(path)))
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    partial = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(partial):
            error.filename = str(path)  # what the caller knows
        raise
    _sync(target.parent)


def _sync(folder: Path) -> None:
    """Make a renaming last; a system that cannot open folders needs none."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name and their checksum to an npz file. Raises as `write`."""
    checksum = np.array(_arrays_digest(arrays))
    with replacing(path) as file:  # given a name, savez would add an ending to it
        np.savez(file, **arrays, sha256=checksum)


def check_arrays(archive: "NpzFile[Any]", names: Collection[str]) -> None:
    """Raise DataError, to be caught by `refusing`, unless an archive has these arrays, as they were
    written.
    """
    found = set(archive) - {CHECKSUM}
    if found != set(names):
        raise DataError(f"it has other arrays than it should: {sorted(found ^ set(names))}")
    arrays = {name: archive[name] for name in names}
    if CHECKSUM in archive and archive[CHECKSUM].item() != _arrays_digest(arrays):
        raise DataError("its checksum is another one")


def _arrays_digest(arrays: Mapping[str, Any]) -> str:
    total = sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name} {array.dtype.str} {array.shape}".encode())
        total.update(array.tobytes())
    return total.hexdigest()
