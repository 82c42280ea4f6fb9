"""Options beside those of `reduction.validation`: memory, devices, and how options are kept."""

import math
import re
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

import torch

from reduction import OptionError
from reduction.validation import as_float, as_integer, first_line, is_number, short_repr

SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMGT]i?B)")
UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"kiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

MEMORY = 2 * 2**30  # bytes that a batch of points may take, unless the caller says otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Options of `build_complex` that its values or their memory depend on.

    resolution  of the lattice, at least 1
    tolerance   None: maxima are sampled (Algorithm 2); else refined, up to this share of the range
                of the loss found on a simplex
    seed        non-negative
    memory      bytes for a batch of points, never the result
    threads     that torch takes: sums of other numbers of threads may differ in their last bits
    refinement_budget  gradients that the refined maximum of a simplex may take, at least 1; None:
                `simplicial.maxima.refined.default_budget`
    Raises OptionError for values out of range.
    """

    resolution: int
    tolerance: float | None
    seed: int
    memory: int = MEMORY
    threads: int = field(default_factory=torch.get_num_threads)
    refinement_budget: int | None = None

    def __post_init__(self) -> None:
        as_integer("seed", self.seed, 0)
        as_integer("resolution", self.resolution, 1)
        tolerance = self.tolerance
        if tolerance is not None and not (is_number(tolerance) and 0 < tolerance < 1):
            raise OptionError(
                f"tolerance must be a share of the loss's range above 0 and below 1, or None, got "
                f"{short_repr(tolerance)}: change tolerance"
            )
        if self.refinement_budget is not None:
            as_integer("refinement_budget", self.refinement_budget, 1)
            if tolerance is None:
                raise OptionError(
                    f"refinement_budget is for refined maxima, got {self.refinement_budget} with "
                    "tolerance=None: leave one of them out"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of an anytime build.

    tolerance_of_bars  in units of the loss, at least 0: work ends where none is left that could
                       change a bar by more
    max_gradients      training gradients in all, at least 0; None: without limit
    max_seconds        of measuring and training, at least 0; certificates are sought after it;
                       None: without limit
    Raises OptionError for values out of range.
    """

    tolerance_of_bars: float = 0.0
    max_gradients: int | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        numbers = {"tolerance_of_bars": self.tolerance_of_bars}
        if self.max_seconds is not None:
            numbers["max_seconds"] = self.max_seconds
        for name, value in numbers.items():
            number = as_float(value)
            if not 0 <= number < math.inf:
                raise OptionError(
                    f"{name} must be a number that is 0 or more, got {short_repr(value)}: change "
                    f"{name}, or leave it out"
                )
            object.__setattr__(self, name, number)  # a file holds no fractions
        if self.max_gradients is not None:
            count = as_integer("max_gradients", self.max_gradients, 0)
            object.__setattr__(self, "max_gradients", count)

    @classmethod
    def given(
        cls, tolerance_of_bars: float | None, max_gradients: int | None, max_seconds: float | None
    ) -> Self | None:
        """The limits; None where none is given. Raises OptionError."""
        limits = (tolerance_of_bars, max_gradients, max_seconds)
        if all(limit is None for limit in limits):
            return None
        tolerance = 0.0 if tolerance_of_bars is None else tolerance_of_bars
        return cls(
            tolerance_of_bars=tolerance, max_gradients=max_gradients, max_seconds=max_seconds
        )


def check_limits(limits: Limits | None, *, moves_faces: bool) -> None:
    """Refuse an anytime build of which faces move after their dimension. Raises OptionError."""
    if limits is not None and moves_faces:
        *others, last = (f.name for f in fields(Limits))
        raise OptionError(
            "an anytime build finishes one dimension after another, with sides='trainable' faces "
            f"move with those above them: take sides='fixed', or leave out {', '.join(others)} and "
            f"{last}"
        )


def byte_count(memory: int | str) -> int:
    """A budget of memory in bytes: a whole number, or words such as "4GB", "1.5 GiB".

    Raises OptionError.
    """
    if not isinstance(memory, str):
        return as_integer("memory", memory, 1)
    found = SIZE.fullmatch(memory.strip())
    if found is None or not (count := int(float(found[1]) * UNITS[found[2]])):
        raise OptionError(
            f"memory must be a number of {', '.join(UNITS)}, got {short_repr(memory)}: "
            'write "4GB", say'
        )
    return count


def described(option: Any) -> Any:
    """JSON values of an option, the same in every process: numbers and text as they are, a frozen
    dataclass by its fields, a function by its bare name. Raises OptionError for a function without
    a name of its own.
    """
    if option is None or isinstance(option, bool | int | float | str):
        return option
    if is_dataclass(option):
        parts = {f.name: described(getattr(option, f.name)) for f in fields(option)}
        return {"kind": type(option).__name__, **parts}
    name = getattr(option, "__qualname__", repr(option))
    if "<" in name:
        raise OptionError(
            f"an option of a run folder must have a name of its own, got {short_repr(option)}: "
            "define it at the top level of a module"
        )
    return name


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name, if torch can compute on it. Raises OptionError."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        raise OptionError(
            f"device {str(name)!r} cannot be used ({first_line(error)}): take cpu, or a "
            "device that torch sees"
        ) from error
    return device
