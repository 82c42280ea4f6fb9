"""Torch's global generators, which networks draw from: seeded for a while, and restored."""

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager

import numpy as np
import torch


def global_generators(device: torch.device) -> list[torch.Generator]:
    """The generators that a network on this device draws from."""
    if device.type != "cuda":
        return [torch.default_generator]
    index = torch.empty(0, device=device).get_device()
    return [torch.default_generator, torch.cuda.default_generators[index]]


@contextmanager
def undisturbed(generators: list[torch.Generator]) -> Generator[None]:
    """Restore the generators' states (`fork_rng` and `manual_seed` cost ten times as much)."""
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def all_undisturbed(device: torch.device) -> Generator[None]:
    """Restore all global generators that a network may draw from: torch's, Python's, NumPy's."""
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with undisturbed(global_generators(device)):
            yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002


@contextmanager
def seeded(device: torch.device, seed: int | None) -> Generator[None]:
    """Generators begin at a seed, and are restored; None: they are not touched."""
    if seed is None:
        yield
        return
    generators = global_generators(device)
    with undisturbed(generators):
        for generator in generators:
            generator.manual_seed(seed)
        yield


def draws(device: torch.device, work: Callable[[], object]) -> bool:
    """Whether work draws from a global generator: torch's, Python's or NumPy's; all restored."""

    def states() -> tuple[object, ...]:
        torchs = [g.get_state().tolist() for g in global_generators(device)]
        return torchs, random.getstate(), str(np.random.get_state())  # noqa: NPY002

    with all_undisturbed(device):
        before = states()
        work()
        return states() != before
