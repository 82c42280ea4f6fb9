"""Places of tensors in memory-mapped files."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nets.data.mapped_files import MappedTensor
from tests.nets.networks import numbers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells files of memory")

VALUES = numbers(1000, 8)


def saved(path: Path) -> Path:
    np.save(path, VALUES.numpy())
    return path


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_tensor_of_a_mapped_array_is_found_in_its_file(mode: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a file.npy")
    whole = torch.from_numpy(np.load(path, mmap_mode=mode))  # pyright: ignore
    for tensor in whole, whole[10:], whole[:, 3], whole[5:500:7], whole.T, whole[-1:]:
        place = MappedTensor.of(tensor)
        assert place is not None
        assert place.path == str(path)
        assert torch.equal(place.opened(), tensor)


def test_tensors_of_torch_in_files_are_found_too(tmp_path: Path) -> None:
    path = tmp_path / "values.bin"
    path.write_bytes(VALUES.numpy().tobytes())
    flat = torch.from_file(str(path), shared=True, size=VALUES.numel())
    torch.save({"x": VALUES, "y": VALUES[:7]}, tmp_path / "values.pt")
    saved = torch.load(tmp_path / "values.pt", mmap=True, weights_only=True)
    for tensor, values in ((flat, VALUES.flatten()), (saved["x"], VALUES)):
        place = MappedTensor.of(tensor)
        assert place is not None
        assert torch.equal(place.opened(), values)


def in_memory(_: Path) -> Tensor:
    return VALUES


def shared(_: Path) -> Tensor:
    return VALUES.clone().share_memory_()


def written(path: Path) -> Tensor:
    tensor = torch.from_numpy(np.load(saved(path), mmap_mode="c"))
    tensor[7, 7] = 0.0
    return tensor


def deleted(path: Path) -> Tensor:
    tensor = torch.from_numpy(np.load(saved(path), mmap_mode="c"))
    path.unlink()
    return tensor


def replaced(path: Path) -> Tensor:
    tensor = deleted(path)
    path.write_bytes(b"another")
    return tensor


@pytest.mark.parametrize("make", [in_memory, shared, written, deleted, replaced])
def test_other_tensors_have_no_place_in_a_file(make: object, tmp_path: Path) -> None:
    assert MappedTensor.of(make(tmp_path / "x.npy")) is None  # pyright: ignore
