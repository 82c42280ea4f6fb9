"""Settings of a whole process, changed here alone: MKL's rounding, glibc's memory, torch's threads.

The commands and the initialisers of their workers call `configure_process`; an import sets nothing.
"""

import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from ctypes import CDLL
from pathlib import Path

_VARIABLE = "MKL_CBWR"  # conditional bitwise reproducibility; its values: OFF, AUTO and branches
_OFF = 1  # of MKL's `mkl_cbwr_get`
_LARGEST = 31 * 2**20  # bytes; glibc learns from freed blocks of less than 32 MB


def configure_process() -> None:
    """Tell MKL to compute the same bits in batches of every size, and glibc to keep freed memory.

    MKL, by which torch multiplies matrices on many CPUs, rounds by where a matrix lies in memory,
    and so by how many points are computed together, unless the environment has MKL_CBWR before its
    first product. It becomes AUTO here, unless it is set already; processes that are begun later
    inherit it. glibc gives a layer's memory back to the system and takes it anew, page by page,
    until a block has been freed that is as large as it learns from: up to a third of the time in
    which LeNet is evaluated. Warns with RuntimeWarning where MKL has multiplied without MKL_CBWR.
    """
    value = os.environ.setdefault(_VARIABLE, "AUTO")
    bytes(_LARGEST)  # of zeros that the system promises: no page of it is touched
    if "torch" in sys.modules and value != "OFF" and _mkl_is_off():
        warnings.warn(
            f"{_VARIABLE} must be set before torch multiplies its first matrices, they were "
            "multiplied without it, so that last bits may depend on how many points are computed "
            "together: call configure_process first in the program",
            RuntimeWarning,
            stacklevel=2,
        )


def _mkl_is_off() -> bool:
    """Whether torch's MKL has begun without conditional bitwise reproducibility; False where torch
    has no MKL that can be asked."""
    import torch

    libraries = (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")
    for library in map(str, libraries):
        ask = getattr(CDLL(library), "mkl_serv_cbwr_get", None)
        if ask is not None:
            return ask(-1) == _OFF  # -1: of all settings; asking makes MKL read its variable
    return False


@contextmanager
def torch_threads(count: int) -> Generator[None]:
    """A number of threads of torch in this block, and the former number behind it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
