"""Recipes of SGD: their numbers, and learning rate schedules."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from reduction import OptionError
from reduction.reprs import of_fields
from reduction.validation import as_bool, as_float, as_integer, is_number, short_repr

Schedule = Callable[[float], float]


def garipov(progress: float) -> float:
    """Learning rate factor after a share `progress` of the epochs.

    1 for the first half, then linear down to 0.01 at 90%, then 0.01 (Garipov et al. 2018, code).
    """
    _check_share(progress)
    if progress <= 0.5:
        return 1.0
    if progress <= 0.9:
        return 1.0 - 0.99 * (progress - 0.5) / 0.4
    return 0.01


def tenths(progress: float) -> float:
    """Learning rate factor after a share `progress` of the epochs.

    A tenth of what it was at 1/2, 3/4 and 11/12: of 300 epochs at 150, 225 and 275 (Li et al. 2018,
    section 4).
    """
    _check_share(progress)
    return 0.1 ** sum(progress >= share for share in (1 / 2, 3 / 4, 11 / 12))


def linear(progress: float) -> float:
    """Learning rate factor after a share `progress` of the epochs: from 1 straight down to 0."""
    _check_share(progress)
    return 1.0 - progress


def constant(progress: float) -> float:
    """Learning rate factor 1 throughout."""
    _check_share(progress)
    return 1.0


def factor(schedule: Schedule, progress: float) -> float:
    """Factor of a schedule after a share `progress` of the epochs.

    Raises OptionError where the schedule gives none that is finite and 0 or more.
    """
    given = schedule(progress)
    if not 0 <= as_float(given) < np.inf:
        raise OptionError(
            f"a schedule must give finite numbers of 0 or more, after {progress:g} of the epochs "
            f"it gives {short_repr(given)}: change schedule"
        )
    return as_float(given)


def _check_share(progress: float) -> None:
    if not (is_number(progress) and 0 <= progress <= 1):
        raise OptionError(
            f"progress must be the share of the epochs done, 0 to 1, got {short_repr(progress)}: "
            "divide by the number of epochs"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A recipe by which SGD trains minima, edges, triangles alike; the paper's by default (s. 5).

    epochs         passes over the data; a loss without mini-batches takes one step an epoch
    batch_size     examples in a mini-batch; unused by a loss without mini-batches, as it has no
                   data
    learning_rate  of the first epoch
    momentum       0.9 after Garipov et al.; the paper is silent
    nesterov       whether the momentum is Nesterov's
    weight_decay   adds 0.5 weight_decay |psi(t)|^2 to the training loss at the *interpolated* point
                   (Garipov et al.), never to what enters the filtration; 0 for a loss that holds
                   its own penalty (`NetworkLoss(weight_decay=)`), which would count twice
    schedule       factor on the learning rate as a function of the share of epochs done, in [0, 1)
    Raises OptionError for numbers out of range.
    """

    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-2
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-3
    schedule: Schedule = garipov

    def __repr__(self) -> str:
        return of_fields(self)

    def __post_init__(self) -> None:
        as_integer("epochs", self.epochs, 0)
        as_integer("batch_size", self.batch_size, 1)
        ranges: dict[str, tuple[Callable[[float], bool], str]] = {
            "learning_rate": (lambda rate: 0 < rate < np.inf, "above 0"),
            "momentum": (lambda share: 0 <= share < 1, "at least 0 and below 1"),
            "weight_decay": (lambda share: 0 <= share < np.inf, "0 or more"),
        }
        for name, (holds, rule) in ranges.items():
            value = getattr(self, name)
            if not (is_number(value) and holds(value)):
                raise OptionError(f"{name} must be {rule}, got {short_repr(value)}: change {name}")
        if not callable(self.schedule) or isinstance(self.schedule, type):
            raise OptionError(
                f"schedule must be a function of the share of epochs done, got "
                f"{short_repr(self.schedule)}: pass garipov or constant, say"
            )
        if as_bool("nesterov", self.nesterov) and not self.momentum:
            raise OptionError("Nesterov's momentum must be above 0, got 0: change momentum")

    def changed(self, **changes: Any) -> Self:
        """This recipe with other numbers in some places. Raises OptionError as `Recipe` does."""
        names = [f.name for f in fields(self)]
        for name in changes:
            if name not in names:
                raise OptionError(
                    f"a recipe has {', '.join(names)}, got {name}: change one of these"
                )
        return replace(self, **changes)

    def as_record(self) -> dict[str, float | str]:
        """Its numbers and its schedule's name, for a run's record."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "schedule"}
        return numbers | {"schedule": getattr(self.schedule, "__name__", repr(self.schedule))}


def check_recipe(recipe: Any) -> None:
    """Raise OptionError for what is neither a Recipe nor None."""
    if not isinstance(recipe, Recipe | None):
        raise OptionError(
            f"recipe must be a Recipe or None, got {short_repr(recipe)}: pass Recipe(epochs=50), "
            "say"
        )


def recipe_beside(weight_decay: float, recipe: Recipe | None, default: Recipe) -> Recipe:
    """The recipe by which simplices are trained on a loss; None: the default.

    weight_decay  of the penalty that the loss holds itself; 0: none
    A penalty counts once: beside one the default is taken without its weight decay. Raises
    OptionError for a given recipe with a weight decay of its own then.
    """
    if not weight_decay:
        return default if recipe is None else recipe
    if recipe is None:
        return default.changed(weight_decay=0.0)
    if recipe.weight_decay:
        raise OptionError(
            f"a penalty must count once, the loss has weight_decay={weight_decay:g} and the "
            f"recipe weight_decay={recipe.weight_decay:g}: give "
            "recipe.changed(weight_decay=0.0), or a loss without weight_decay"
        )
    return recipe


EXACT = Recipe(epochs=2000, weight_decay=0.0)
"""For a loss without mini-batches: 2,000 exact steps without penalty.

Algorithm1 by default takes it with a learning rate that suits the loss; see `Algorithm1`.
"""
