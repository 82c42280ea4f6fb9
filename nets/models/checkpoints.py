"""Users' own networks: the function that makes them, and the checkpoints of trained ones."""

import importlib
import os
import sys
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reduction import DataError

FOLDER = 0x10  # the bit of a zip archive's attributes

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")
"""Under which of its keys a checkpoint may hold the state dict, beside an optimizer's, say."""


@contextmanager
def working_directory_importable() -> Generator[None]:
    """Imports in this block find modules of the working directory, as those of `python -m` do.

    So do worker processes that are begun in it, which multiprocessing tells the paths of this one.
    """
    folder = os.getcwd()
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):  # a user's module may have taken it out
            sys.path.remove(folder)


def make_model(factory: str) -> nn.Module:
    """The network that a factory makes: `factory` is "module:function", the function takes no
    arguments and returns an untrained network.

    The module is imported as by `python -m`, so from the working directory too. Raises DataError.
    """
    module, _, function = factory.partition(":")
    if not module or not function:
        raise DataError(
            f"a factory is named as module:function, got {factory!r}: give my_module:make_model"
        )
    with working_directory_importable():
        model = _made(factory, module, function)
    if not isinstance(model, nn.Module):
        raise DataError(
            f"a factory must return a torch.nn.Module, {factory!r} gives a "
            f"{type(model).__name__}: return an untrained network"
        )
    return model


def _made(factory: str, module: str, function: str) -> Any:
    """The value that the factory returns, of any type. Raises DataError where it fails."""
    try:
        make: Any = getattr(importlib.import_module(module), function)
    except Exception as error:  # a user's module raises what it likes
        raise DataError(
            f"factory {factory!r} cannot be imported ({_reason(error)}): name a module on Python's "
            "path, or in the working directory, that imports without an error, and a function in it"
        ) from error
    try:
        return make() if callable(make) else make
    except Exception as error:
        raise DataError(
            f"a factory must return a network when it is called without arguments, {factory!r} "
            f"fails ({_reason(error)}): mend the function, or give its arguments defaults"
        ) from error


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in a file that `torch.save` wrote, alone or under one of WRAPPERS.

    The prefix "module.", which DataParallel puts before all names, is taken off. Only tensors and
    plain values are read (`weights_only`): no file can run anything. The checksums that torch
    writes, and does not read, are compared; files of torch before 1.6 have none, so that a changed
    number goes unnoticed there. Raises DataError.
    """
    try:
        _check_whole(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(f"there is no checkpoint {path}: name a file of torch.save") from None
    except DataError:
        raise
    except Exception as error:  # torch's reader raises whatever a spoilt file leads it to
        raise DataError(
            f"checkpoint {path} cannot be read as weights ({type(error).__name__}): save "
            "model.state_dict() by torch.save"
        ) from error
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise DataError(
            f"checkpoint {path} must hold a state dict, it holds a {type(content).__name__}: save "
            "model.state_dict() by torch.save"
        )
    for key, value in content.items():
        dense = isinstance(value, Tensor) and value.layout == torch.strided
        if not (dense and not value.is_complex() and isinstance(key, str)):
            kind = (
                f"{value.dtype}, {value.layout}"
                if isinstance(value, Tensor)
                else type(value).__name__
            )
            raise DataError(
                f"checkpoint {path} must hold dense real tensors by name, {key!r} is {kind}: save "
                "model.state_dict() by torch.save"
            )
    if all(name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): value for name, value in content.items()}
    return dict(content)


def _check_whole(path: Path) -> None:
    """Raise DataError where a part of torch's archive has another checksum than was written, or is
    marked as a folder, of which torch would read what lies in memory.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        folders = [part.filename for part in archive.infolist() if part.external_attr & FOLDER]
        changed = archive.testzip() or next(iter(folders), None)
    if changed is not None:
        raise DataError(
            f"checkpoint {path} must be as torch.save wrote it, its part {changed} is not: copy it "
            "anew, or save model.state_dict() by torch.save"
        )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no message')}"
