"""Torch's global generators: what networks draw from, seeded for a while and left as they were."""

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
    """Leave the generators as they were (`fork_rng` and `manual_seed` cost ten times as much)."""
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def seeded(generators: list[torch.Generator], seed: int | None) -> Generator[None]:
    """Generators begin at a seed, and are left as they were; None: they are not touched."""
    if seed is None:
        yield
        return
    with undisturbed(generators):
        for generator in generators:
            generator.manual_seed(seed)
        yield


def drawn(generators: list[torch.Generator], work: Callable[[], object]) -> bool:
    """Whether work draws at random, from these generators or from Python's or NumPy's.

    They are left as they were.
    """
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002  # a network's, maybe
    try:
        with undisturbed(generators):
            before = [generator.get_state() for generator in generators]
            work()
            after = [generator.get_state() for generator in generators]
        same = random.getstate() == pythons and str(np.random.get_state()) == str(numpys)  # noqa: NPY002
        return not (same and all(map(torch.equal, before, after)))
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002
