"""Tensors in memory-mapped files, which go to other processes as a file and a place in it.

torch pickles a tensor by its values. One that lies in a file that is mapped into memory may be
larger than memory, and another process of the same file system can map the file itself.
Linux tells which file a piece of memory belongs to (proc(5), /proc/pid/smaps); elsewhere, and where
a private mapping has been written to, tensors go by value.
"""

import mmap
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from reduction import DataError

MAPPINGS = Path("/proc/self/smaps")
HEADER = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ (\d+)\s*(.*)")


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """A tensor's place in a file.

    path     of the file
    version  of the file: its size in bytes and the time of its last change in nanoseconds
    offset   of the first element, in bytes
    dtype, shape, stride  of the tensor
    """

    path: str
    version: tuple[int, int]
    offset: int
    dtype: torch.dtype
    shape: torch.Size
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> "MappedTensor | None":
        """The place of a tensor (n, ...) whose memory shows a file as it is; None: it has none."""
        if tensor.device.type != "cpu" or not tensor.numel() or not MAPPINGS.exists():
            return None
        first = tensor.data_ptr()
        size = _extent(tensor.shape, tensor.stride()) * tensor.element_size()
        found = _mapping(first, first + size)
        if found is None:
            return None
        path, inode, offset = found
        try:
            state = os.stat(path)
        except OSError:
            return None
        if state.st_ino != inode:
            return None
        version = state.st_size, state.st_mtime_ns
        return cls(path, version, offset, tensor.dtype, tensor.shape, tensor.stride())

    def opened(self) -> Tensor:
        """The tensor, read-only, in this process. Raises DataError for a file that is another."""
        try:
            with open(self.path, "rb") as file:
                state = os.fstat(file.fileno())
                if (state.st_size, state.st_mtime_ns) != self.version:
                    raise DataError(
                        f"data in a memory-mapped file must stay as they are, {self.path} has "
                        "changed since the loss was made: make the loss anew"
                    )
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise DataError(
                f"workers map the file of memory-mapped data themselves, {self.path} cannot be "
                f"read here ({error.strerror}): put it where all workers see it"
            ) from error
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
            values = torch.frombuffer(
                memory,
                dtype=self.dtype,
                count=_extent(self.shape, self.stride),
                offset=self.offset,
            )
        return values.as_strided(self.shape, self.stride)


def _extent(shape: torch.Size, stride: tuple[int, ...]) -> int:
    """Elements from the first one in memory to behind the last one."""
    return sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1


def _mapping(first: int, last: int) -> tuple[str, int, int] | None:
    """Path and inode of the file that memory shows unchanged, and the offset of `first` in it."""
    found = None
    with MAPPINGS.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            header = HEADER.match(line)
            if header is not None:
                if found is not None:
                    return None  # the kernel tells no number of changed pages
                begin, end, offset = (int(number, 16) for number in header.groups()[:3])
                inode, path = int(header[4]), header[5]
                if begin <= first and last <= end and inode:
                    found = path, inode, offset + first - begin
            elif found is not None and line.startswith("Anonymous:"):
                return found if line.split()[1] == "0" else None
    return None
