"""The settings of a complex and those of `run`, as values that hold all that repeats a run."""

import math
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from nets.models.factories import find
from nets.models.recipes import RECIPES
from nets.names import Batching, BatchNorm, Objective, Precision
from reduction import OptionError
from reduction.files import digest
from reduction.persistence.fields import prime
from reduction.validation import as_integer
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    NudgedElastic,
    Polish,
    Recipe,
    StochasticMinimax,
)
from simplicial.build import check_build
from simplicial.efforts import checked_efforts, gradient_counts
from simplicial.options import BuildOptions, Limits, check_limits
from simplicial.reports.result_folder import check_folder

GIGABYTE = 10**9
TOLERANCE = 1e-7  # of maxima, as a share of the loss's range
MODEL, MINIMA = "mlp", 6  # defaults of `run`
THREADS = 1024  # of a process, at most
WORKERS = 61 if sys.platform == "win32" else 1024  # Windows waits for no more
LIMITS = tuple(limit.name for limit in fields(Limits))  # of an anytime build
MACHINE = (
    "data_dir",
    "download",
    "stream",
    "memory",
    "threads",
    "workers",
    "batch",
    "quiet",
    "out",
)
"""Settings on which no value of a result depends, but for last bits."""
BEFORE = {"objective": "plain", "polish": False, "polish_tolerance": None}
"""Settings that older run folders do not name, as these were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplexSettings:
    """Settings of a complex and its barcode, those of both commands; None: the default."""

    command: ClassVar[str]
    only_algorithm1: ClassVar[tuple[str, ...]] = ()
    """Settings that belong to Algorithm 1, beside the sides."""

    optimizer: Literal["algorithm1", "elastic", "minimax"]
    epochs: int | None
    learning_rate: float | None
    sides: Literal["fixed", "trainable"]
    steps: int | None
    segments: int | None
    resolution: int
    tolerance: float | None
    refinement_budget: int | None
    sampled: bool
    certify: bool
    field: int
    seed: int
    quiet: bool
    tolerance_of_bars: float | None = None
    max_gradients: int | None = None
    max_seconds: float | None = None

    @property
    def limits(self) -> Limits | None:
        """Limits of an anytime build; None of a full one. Raises OptionError."""
        return Limits.given(self.tolerance_of_bars, self.max_gradients, self.max_seconds)

    @property
    def maximum_tolerance(self) -> float | None:
        """`tolerance` of `build_complex`. Raises OptionError where `sampled` would ignore it."""
        if not self.sampled:
            return TOLERANCE if self.tolerance is None else self.tolerance
        for name in ("tolerance", "refinement_budget"):
            if (value := getattr(self, name)) is not None:
                raise OptionError(
                    f"--{name.replace('_', '-')} is for refined maxima, got {value:g} with "
                    "--sampled: leave one of them out"
                )
        return None

    def build_options(self) -> BuildOptions:
        """Options of the complex. Raises OptionError for values out of range."""
        return BuildOptions(
            resolution=self.resolution,
            tolerance=self.maximum_tolerance,
            seed=self.seed,
            refinement_budget=self.refinement_budget,
        )

    @property
    def gpu(self) -> str | None:
        """The name of the CUDA device of the networks, if there is one."""
        return None

    def check_complex(self) -> None:
        """Refuse a field that is none, and options that the optimizer would ignore."""
        prime(self.field)
        check_limits(self.limits, moves_faces=self.sides == "trainable")
        owned = {"algorithm1": ("sides", *self.only_algorithm1), "elastic": ("steps",)}
        shared = {"minimax": ("epochs",)}.get(self.optimizer, ())
        for owner, names in owned.items():
            for name in names:
                value = getattr(self, name)
                given = value is not None and (name, value) != ("sides", "fixed")
                if given and owner != self.optimizer and name not in shared:
                    raise OptionError(
                        f"--{name.replace('_', '-')} belongs to --optimizer {owner}, got {value} "
                        f"with --optimizer {self.optimizer}: leave it out, or choose the other "
                        "optimizer"
                    )

    def build_arguments(
        self, algorithm1: Algorithm1, simplex_map: Barycentric | Edgewise
    ) -> dict[str, Any]:
        """Arguments of `build_complex`; the map is Algorithm 1's where no segments are given."""
        if self.optimizer == "elastic":
            numbers = {"segments": self.segments, "steps": self.steps}
            optimizer = NudgedElastic(**given(numbers))
            simplex_map = optimizer.simplex_map
        elif self.optimizer == "minimax":
            optimizer = self._minimax(algorithm1.recipe)
            simplex_map = optimizer.simplex_map
        else:
            optimizer = algorithm1
            if self.segments is not None:
                simplex_map = Edgewise(self.segments)
        return {
            "optimizer": optimizer,
            "simplex_map": simplex_map,
            "resolution": self.resolution,
            "tolerance": self.maximum_tolerance,
            "refinement_budget": self.refinement_budget,
            "certify": self.certify,
            "seed": self.seed,
            "progress": not self.quiet,
        } | {name: getattr(self, name) for name in LIMITS}

    def _minimax(self, recipe: Recipe | None) -> StochasticMinimax:
        """The stochastic minimax by the numbers of a recipe; steps and schedule are its own."""
        numbers: dict[str, Any] = {"segments": self.segments, "epochs": self.epochs}
        if recipe is not None:
            names = ("epochs", "batch_size", "momentum", "weight_decay")
            numbers |= {name: getattr(recipe, name) for name in names}
        return StochasticMinimax(**given(numbers))

    def as_record(self) -> dict[str, Any]:
        """Settings as JSON values."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(ComplexSettings):
    """Settings of `loss-barcodes run`; None stands for the recipe's or the model's own.

    model    None: mlp, or the factory's
    minima   None: as many as there are checkpoints, MINIMA without
    """

    command: ClassVar[str] = "run"

    data: str
    data_dir: Path | None
    download: bool
    stream: bool
    subset: int | None
    image_size: int | None
    model: str | None
    hidden: tuple[int, ...] | None
    depth: int | None
    width: int | None
    shortcuts: bool | None
    factory: str | None
    init: str | None
    loss: str | None
    weights: str | None
    batching: Batching | None
    checkpoints: tuple[Path, ...]
    checkpoint_key: str | None
    minima: int | None
    align: bool
    max_dim: int
    effort: tuple[float, ...] | None
    batch_size: int | None
    momentum: float | None
    weight_decay: float | None
    objective: Objective
    polish: bool
    polish_tolerance: float | None
    device: str
    precision: Precision
    batch_norm: BatchNorm
    memory: float
    threads: int | None
    workers: int | None
    batch: int | None
    out: Path

    def check(self) -> None:
        """Refuse wrong settings before data are read and networks trained."""
        check_folder(self.out, goes_on=True)
        self._check_networks()
        check_build(self.count, self.max_dim, self.build_options())
        self.check_complex()
        if self.effort is not None:
            for name in LIMITS:
                if (value := getattr(self, name)) is not None:
                    raise OptionError(
                        f"--effort builds whole complexes, got it with --{name.replace('_', '-')} "
                        f"{value}: leave one of them out"
                    )
        self._check_efforts()
        for name, most in (("threads", THREADS), ("workers", WORKERS), ("batch", math.inf)):
            value = getattr(self, name)
            if value is not None and as_integer(f"--{name}", value, 1) > most:
                raise OptionError(
                    f"--{name} must be a whole number from 1 to {most}, got {value}: give no more "
                    "than the machine has cores"
                )
        if not 1 <= self.memory * GIGABYTE < math.inf:
            raise OptionError(
                f"memory must be a positive, finite number of gigabytes, got {self.memory:g}: "
                "change --memory"
            )

    @property
    def cores(self) -> int:
        """Threads of each process: all cores, or one beside other workers."""
        if self.threads is None:
            return torch.get_num_threads() if self.workers is None else 1
        return self.threads

    @property
    def lasting(self) -> dict[str, Any]:
        """Settings that a run which is taken up again must have in common with itself."""
        passing = {*MACHINE, *LIMITS}
        passing |= {"field", "certify", "effort"}  # of the barcode, and beside it
        kept = {k: v for k, v in self.as_record().items() if k not in passing}
        digests = [digest(path.read_bytes()) for path in self.checkpoints]
        return kept | {"checkpoints": digests}

    @property
    def recipe(self) -> Recipe:
        """The model's recipe, with the settings that change it; without its weight decay where that
        is the loss's.
        """
        recipe = self._whole_recipe
        return recipe.changed(weight_decay=0.0) if self.objective == "penalised" else recipe

    @property
    def _whole_recipe(self) -> Recipe:
        names = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
        recipe = Recipe() if self.factory else RECIPES[self.network]
        return recipe.changed(**given({name: getattr(self, name) for name in names}))

    @property
    def polishing(self) -> Polish | None:
        """Options of the polishing of minima; None where they are not polished."""
        return Polish(tolerance=self.polish_tolerance) if self.polish else None

    @property
    def network(self) -> str:
        """The name of the network's family, or its factory's."""
        return self.factory or self.model or MODEL

    @property
    def count(self) -> int:
        """Number of minima."""
        return len(self.checkpoints) or (MINIMA if self.minima is None else self.minima)

    @property
    def gpu(self) -> str | None:
        """The name of the CUDA device of the networks, if there is one."""
        if torch.device(self.device).type != "cuda":
            return None
        return torch.cuda.get_device_name(self.device)

    @property
    def build(self) -> dict[str, Any]:
        """Arguments of `build_complex`."""
        algorithm1 = Algorithm1(recipe=self.recipe, sides=self.sides)
        return self.build_arguments(algorithm1, Barycentric())

    def as_record(self) -> dict[str, Any]:
        """Settings as JSON values, with the network and the number of minima that they come to."""
        return ComplexSettings.as_record(self) | {
            "checkpoints": [str(path) for path in self.checkpoints],
            "model": None if self.factory else self.network,
            "minima": self.count,
        }

    def loss_options(self) -> dict[str, Any]:
        """Options of `NetworkLoss`. Raises DataError for what cannot be imported."""
        options: dict[str, Any] = {
            "device": self.device,
            "precision": self.precision,
            "batching": self.batching,
            "batch_norm": self.batch_norm,
        }
        if self.objective == "penalised":
            options["weight_decay"] = self._whole_recipe.weight_decay
        if self.loss is not None:
            options["loss_fn"] = find("a loss", self.loss)
        if self.weights is not None:
            options["weights"] = find("a function of weights", self.weights)
        return options

    def _check_efforts(self) -> None:
        """Refuse efforts without the run's own, and those that come to the same number of steps,
        whatever the mini-batches of an epoch are.
        """
        if self.effort is None:
            return
        efforts = checked_efforts(self.effort, "--effort", stored=True)
        optimizers = [self.build["optimizer"].with_effort(effort) for effort in efforts]
        gradient_counts(efforts, optimizers, self.count, self.max_dim, 1)

    def _check_networks(self) -> None:
        """Refuse options that other options would leave without effect."""
        if self.checkpoints and self.minima is not None:
            raise OptionError(
                f"checkpoints are the minima, got --minima {self.minima} with "
                f"{len(self.checkpoints)} of them: leave out --minima"
            )
        for name in ("model", "hidden", "depth", "width", "shortcuts"):
            value = getattr(self, name)
            if self.factory is not None and value is not None:
                raise OptionError(
                    f"--factory makes the network, got --{name} {value} with --factory "
                    f"{self.factory}: leave one of them out"
                )
        if self.checkpoints and self.init is not None:
            raise OptionError(
                f"checkpoints are the minima, got --init {self.init} with {len(self.checkpoints)} "
                "of them: leave out --init"
            )
        if self.objective == "penalised" and not self._whole_recipe.weight_decay:
            raise OptionError(
                "--objective penalised adds half the weight decay times the weights squared, got a "
                "weight decay of 0: give --weight-decay 1e-3, say, or --objective plain"
            )
        if self.polish_tolerance is not None and self.polishing is None:
            raise OptionError(
                f"--polish-tolerance is where polishing ends, got {self.polish_tolerance:g} "
                "without --polish: give it, or leave both out"
            )
        if self.checkpoint_key is not None and not self.checkpoints:
            raise OptionError(
                f"--checkpoint-key names a network in a file, got {self.checkpoint_key} without a "
                "file: give --checkpoint, or leave it out"
            )
        for name in ("data_dir", "download"):
            value = getattr(self, name)
            if ":" in self.data and value:
                raise OptionError(
                    f"--{name.replace('_', '-')} is for data sets by name, got it with --data "
                    f"{self.data}: leave it out, the function reads what it needs"
                )


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings but those that are None."""
    return {name: value for name, value in settings.items() if value is not None}
