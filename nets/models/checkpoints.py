"""Checkpoints of trained networks: the state dict in a file, under the names of a model."""

import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from nets.models.naming import Fit, fits
from nets.parameters import Coordinates
from reduction import DataError
from reduction.validation import as_path, short_repr

FOLDER = 0x10  # the bit of a zip archive's attributes
DEPTH = 3  # of the mappings in a file in which a state dict is looked for

ENTRIES = ("state_dict", "model_state_dict", "model_state", "model")
"""Under which of its keys a checkpoint may hold the state dict, beside an optimizer's, say."""
AVERAGES = ("state_dict_ema", "ema_state_dict", "model_ema", "ema")
"""Under which of its keys a checkpoint may hold moving averages of the parameters."""
PREFIXES = ("module.", "_orig_mod.")
"""Which DataParallel and torch.compile put before all names."""
EXTRA = "_extra_state"  # torch's name for the state of a module that is no tensor


class Checkpoint(NamedTuple):
    """A state dict, and a sentence on what was found by comparing names, if anything was."""

    state: dict[str, Tensor]
    remark: str | None


def read_checkpoint(
    path: str | Path, model: nn.Module | None = None, *, key: str | None = None
) -> dict[str, Tensor]:
    """The state dict in a file of `torch.save` or safetensors (`*.safetensors`).

    model  whose names the state dict gets: what stands before all saved names is left out or added
           ("module.", "model.", the attribute of a LightningModule, at any entry of the file), as
           are torch.compile's "_orig_mod" and the name of a peft adapter; tensors saved beside such
           a prefix, with fewer numbers than the network (SWA's `n_averaged`, a criterion's
           weights), are left out. The state dict holds at least the model's coordinates. None: the
           file itself, or its one entry of ENTRIES or AVERAGES, without PREFIXES
    key    the dotted path to the state dict where there are several, averages for one: an entry of
           the file, a prefix of names, or both ("state_dict_ema", "ema", "state_dict.teacher")
    Only tensors and plain values are read (`weights_only`): no file can run anything. The checksums
    that torch writes, and does not read, are compared; files of torch before 1.6 have none, so that
    a changed number goes unnoticed there. Raises DataError, also where several state dicts fit that
    differ.
    """
    return find_checkpoint(as_path(path), model, key).state


def find_checkpoint(path: Path, model: nn.Module | None, key: str | None) -> Checkpoint:
    """The state dict of `read_checkpoint`, with a remark on its names."""
    if model is not None and not isinstance(model, nn.Module):
        raise DataError(
            f"names are compared with a torch.nn.Module's, got {short_repr(model)}: pass the "
            "untrained network, or None"
        )
    if key is not None and not (isinstance(key, str) and key):
        raise DataError(
            f"key is the dotted path to a state dict, got {short_repr(key)}: give 'state_dict_ema',"
            " say, or None"
        )
    content = _load(path)
    if not isinstance(content, Mapping) or not content:
        raise DataError(
            f"checkpoint {path} must hold a state dict, it holds a {type(content).__name__}: save "
            "model.state_dict() by torch.save"
        )
    if model is None:
        return Checkpoint(_without_model(path, content, key), None)
    coordinates = Coordinates.of(model)
    fit = _fitting(path, content, coordinates, key)
    with _of(path):
        coordinates.select(fit.state)
    return Checkpoint(_tensors(path, fit.state), _remark(fit))


def _load(path: Path) -> Any:
    """The content of a file, of any type."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        _check_whole(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(
            f"there is no checkpoint {path}: name a file of torch.save or safetensors"
        ) from None
    except DataError:
        raise
    except Exception as error:  # a reader raises whatever a spoilt file leads it to
        raise DataError(
            f"checkpoint {path} cannot be read as weights ({type(error).__name__}"
            f"{_pickled(path)}): save model.state_dict() by torch.save"
        ) from error


def _pickled(path: Path) -> str:
    """Which of a file's types only pickle could load, which can run anything."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # no file of torch
        return ""
    return f": it holds {min(names)}, which only pickle loads" if names else ""


def _entries(content: Mapping[str, Any], path: str = "", depth: int = DEPTH) -> dict[str, Any]:
    """The mappings that hold tensors by name, by their dotted paths; the outermost first."""
    found = dict[str, Any]()
    if any(isinstance(value, Tensor) for value in content.values()):
        found[path] = {k: v for k, v in content.items() if isinstance(k, str)}
    for key, value in content.items():
        if isinstance(value, Mapping) and isinstance(key, str) and depth:
            found |= _entries(value, f"{path}.{key}".removeprefix("."), depth - 1)
    return found


def _without_model(path: Path, content: Mapping[str, Any], key: str | None) -> dict[str, Tensor]:
    """The state dict by the names as they were saved, without PREFIXES."""
    if key is None:
        entries = _entries(content)
        known = [k for k in (*ENTRIES, *AVERAGES) if k in entries]
        if len(known) > 1:
            raise _ambiguous(path, known)
        state = content[known[0]] if known else content
    else:
        state = _at(content, key)
        if not state:
            raise DataError(
                f"checkpoint {path} has nothing at {key!r}: choose key among "
                f"{_listed(list(_entries(content)))}, or a prefix of its names"
            )
    state = _tensors(path, state)
    while prefix := next((p for p in PREFIXES if all(k.startswith(p) for k in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _at(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The entry at a dotted path, or the names of an entry that begin with the rest of the path."""
    entries = _entries(content)
    if key in entries:
        return entries[key]
    for path, entry in entries.items():
        prefix = f"{key}.".removeprefix(f"{path}." if path else "")
        below = {k.removeprefix(prefix): v for k, v in entry.items() if k.startswith(prefix)}
        if below and (not path or key.startswith(f"{path}.")):
            return below
    return {}


def _fitting(
    path: Path, content: Mapping[str, Any], coordinates: Coordinates, key: str | None
) -> Fit:
    """The one network in the file that has the model's names."""
    entries = _entries(content)
    found = [fit for at, entry in entries.items() for fit in fits(coordinates, entry, at)]
    chosen = found
    if key is not None:
        chosen = [fit for fit in found if fit.label == key or fit.label.startswith(f"{key}.")]
    if found and not chosen:
        labels = _listed([fit.label for fit in found if fit.label])
        remedy = f"choose key among {labels}" if labels else "leave key out, it holds one alone"
        raise DataError(
            f"checkpoint {path} has no network of the model's names at {key!r}: {remedy}"
        )
    if not chosen:
        _refuse(path, content, coordinates, key)
    if not all(fit.same(chosen[0]) for fit in chosen):
        raise _ambiguous(path, [fit.label for fit in chosen])
    fit = chosen[0]
    if key is None and not fit.plain:
        raise DataError(
            f"checkpoint {path} has the model's names at {fit.label!r}, beside {len(fit.beside)} "
            f"other tensors, {min(fit.beside)!r} for one: pass key={fit.label!r} if that is the "
            "network (--checkpoint-key), or the model that was saved"
        )
    return fit


def _refuse(
    path: Path, content: Mapping[str, Any], coordinates: Coordinates, key: str | None
) -> NoReturn:
    """Raise the error of a file none of whose entries fits."""
    state = _without_model(path, content, key)
    with _of(path):
        coordinates.select(state)
    raise AssertionError("a state dict that has the model's names fits")


@contextmanager
def _of(path: Path) -> Generator[None]:
    """Errors of a state dict name its file."""
    try:
        yield
    except DataError as error:
        raise DataError(f"checkpoint {path}: {error}") from error


def _tensors(path: Path, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict, but for what is no tensor by name. Raises DataError."""
    for key, value in state.items():
        if isinstance(key, str) and key.rpartition(".")[2] == EXTRA:
            continue
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
    return dict(state)


def _ambiguous(path: Path, labels: list[str]) -> DataError:
    return DataError(
        f"checkpoint {path} holds several networks, at {_listed(labels)}: choose one by key= "
        "(--checkpoint-key)"
    )


def _listed(labels: list[str]) -> str:
    return ", ".join(repr(label) for label in dict.fromkeys(labels))


def _remark(fit: Fit) -> str | None:
    """A note on how names were fitted, but for entries that every reader knows."""
    said = []
    if fit.label not in ("", *ENTRIES):
        said.append(f"read at {fit.label!r}")
    if fit.respelt:
        said.append("names fitted to the model's")
    if fit.beside:
        more = ", ..." if len(fit.beside) > 1 else ""
        said.append(f"{min(fit.beside)}{more} left out")
    return ", ".join(said) or None


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
