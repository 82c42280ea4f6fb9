"""The memory of a run of networks, divided by its use."""

from typing import NamedTuple

import torch

from nets.commands.work.settings import GIGABYTE, NetworkSettings
from nets.loss import NetworkLoss
from reduction import OptionError
from reduction.memory import resident
from simplicial.build import control_points_bytes
from simplicial.maps.control_points import complete_counts

SPARE = 4 * 10**8  # bytes that torch's optimizers, pictures and files take later
DIGITS = 3  # binary, of the memory for batches: a program does not always take the same


class MemoryBudget(NamedTuple):
    """Bytes for the program with its data, for all control points, and for batches of networks."""

    program: int
    controls: int
    batches: int


def memory_budget(settings: NetworkSettings, loss: NetworkLoss) -> MemoryBudget:
    """Bytes by their use.

    loss  with its data where networks are run: a device's memory, or this process's, is meant
    Raises OptionError where one network does not fit into memory: in training, and with its
    exact gradient where the run takes some, by more than the norms that it reports.
    """
    on_cpu = loss.device.type == "cpu"
    program = resident() + SPARE if on_cpu else torch.cuda.memory_allocated(loss.device)
    point = loss.dim * loss.coordinates.dtype.itemsize
    counts = complete_counts(settings.count, settings.max_dim)
    controls = control_points_bytes(settings.build["simplex_map"], counts, point)
    left = int(settings.memory * GIGABYTE) - program - controls
    exact = settings.maximum_tolerance is not None or settings.build["optimizer"].takes_gradients
    exact = exact or settings.polish or settings.certify
    network = loss.point_bytes() if exact else loss.training_bytes
    if left < network:
        most = loss.training_bytes < network
        what = "the exact gradient of a network" if most else "a network in training"
        raise OptionError(
            f"memory must hold the program, its data, all control points and {what}, "
            f"{(program + controls + network) / GIGABYTE:.3g} GB, got {settings.memory:g}: raise "
            "--memory"
        )
    step = 1 << max(0, left.bit_length() - DIGITS)
    return MemoryBudget(program, controls, max(left // step * step, network))
