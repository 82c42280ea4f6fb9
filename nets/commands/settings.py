"""The settings of `run` and `analytic`, as values: what a record holds, and what repeats a run."""

import math
import platform
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from nets.loss import NetworkLoss
from nets.models.recipes import RECIPES
from nets.names import Precision
from reduction import Barcode, OptionError
from reduction.memory import resident
from reduction.persistence.fields import prime
from reduction.validation import as_integer
from simplicial import Algorithm1, Barycentric, Edgewise, Loss, NudgedElastic, Recipe
from simplicial.build import check_build, check_options, pool_bytes
from simplicial.reports.result_folder import check_folder

PACKAGES = (
    "loss-barcodes", "matplotlib", "networkx", "numba", "numpy", "scikit-learn", "scipy",
    "torchvision",
)  # fmt: skip
GIGABYTE = 10**9
SPARE = 4 * 10**8  # bytes that torch's optimizers, pictures and files take later
DIGITS = 3  # binary, of what is left for batches: a program does not always take the same
SAMPLES = 16  # of Algorithm 1, for functions that are cheap
TOLERANCE = 1e-7  # of maxima, as a share of the loss's range
TOP = 3  # default top dimension of an analytic complex: pieces grow steeply with the dimension
MODEL, MINIMA = "mlp", 6  # of `run`, where nothing else is said
MAP = Edgewise(8)  # of Algorithm 1, for functions with bent valleys


class Room(NamedTuple):
    """Bytes for the program with its data, for all control points, and for batches of networks."""

    program: int
    controls: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What `loss-barcodes run` was asked for; None stands for the recipe's or the model's own.

    model    None: mlp, or what the factory makes
    minima   None: as many as there are checkpoints, MINIMA without
    """

    command: ClassVar[str] = "run"

    data: str
    data_dir: Path | None
    download: bool
    subset: int | None
    image_size: int | None
    model: str | None
    hidden: tuple[int, ...] | None
    depth: int | None
    width: int | None
    shortcuts: bool | None
    factory: str | None
    checkpoints: tuple[Path, ...]
    minima: int | None
    align: bool
    max_dim: int
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    momentum: float | None
    weight_decay: float | None
    optimizer: Literal["algorithm1", "elastic"]
    sides: Literal["fixed", "trainable"]
    steps: int | None
    segments: int | None
    resolution: int
    tolerance: float | None
    sampled: bool
    certify: bool
    field: int
    seed: int
    device: str
    precision: Precision
    memory: float
    threads: int | None
    workers: int | None
    batch: int | None
    quiet: bool
    out: Path

    def check(self) -> None:
        """Refuse what can be refused before data are read and networks trained."""
        check_folder(self.out, goes_on=True)
        self._check_networks()
        check_build(self.count, self.max_dim, self.resolution, self.seed, _tolerance(self))
        prime(self.field)
        _check_optimizer(self)
        for name in ("threads", "workers", "batch"):
            if getattr(self, name) is not None:
                as_integer(f"--{name}", getattr(self, name), 1)
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
        """What a run that is taken up again must have in common with itself."""
        passing = {"data_dir", "download", "memory", "threads", "workers", "batch", "quiet", "out"}
        passing |= {"field", "certify"}  # of what the records give
        kept = {k: v for k, v in _written(self).items() if k not in passing}
        digests = [sha256(path.read_bytes()).hexdigest() for path in self.checkpoints]
        return kept | {"checkpoints": digests}

    @property
    def recipe(self) -> Recipe:
        """The model's recipe, with what the settings change in it."""
        names = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        recipe = Recipe() if self.factory else RECIPES[self.network]
        return recipe.changed(**given)

    @property
    def network(self) -> str:
        """What the networks are called."""
        return self.factory or self.model or MODEL

    @property
    def count(self) -> int:
        """How many minima there will be."""
        return len(self.checkpoints) or (MINIMA if self.minima is None else self.minima)

    @property
    def build(self) -> dict[str, Any]:
        """What `build_complex` is to be told."""
        return _build(self, Algorithm1(recipe=self.recipe, sides=self.sides), Barycentric())

    def room(self, loss: NetworkLoss) -> Room:
        """What takes the memory budget, and what is left for batches.

        loss  with its data where networks are run: a device's memory, or this process's, is meant
        Raises OptionError where there is no room for one network.
        """
        on_cpu = loss.device.type == "cpu"
        program = resident() + SPARE if on_cpu else torch.cuda.memory_allocated(loss.device)
        point = loss.dim * loss.coordinates.dtype.itemsize
        controls = pool_bytes(self.build["simplex_map"], self.count, self.max_dim, point)
        left = int(self.memory * GIGABYTE) - program - controls
        if left < loss.point_bytes():
            needed = program + controls + loss.point_bytes()
            raise OptionError(
                "memory must hold the program, its data, all control points and a network in "
                f"training, {needed / GIGABYTE:.3g} GB, got {self.memory:g}: raise --memory"
            )
        step = 1 << max(0, left.bit_length() - DIGITS)
        return Room(program, controls, max(left // step * step, loss.point_bytes()))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticSettings:
    """What `loss-barcodes analytic` was asked for; None stands for what suits the function.

    max_dim  None: the number of variables, at most 3 and at most what the vertices found allow
    """

    command: ClassVar[str] = "analytic"

    name: str
    dim: int | None
    curved: int
    max_dim: int | None
    starts: int | None
    function_seed: int | None
    saddles: bool
    optimizer: Literal["algorithm1", "elastic"]
    steps: int | None
    epochs: int | None
    learning_rate: float | None
    samples: int | None
    sides: Literal["fixed", "trainable"]
    segments: int | None
    resolution: int
    tolerance: float | None
    sampled: bool
    certify: bool
    field: int
    seed: int
    quiet: bool
    out: Path | None

    def check(self) -> None:
        """Refuse what can be refused before the search."""
        if self.out is not None:
            check_folder(self.out)
        check_options(self.resolution, self.seed, _tolerance(self))
        if self.function_seed is not None:
            as_integer("--function-seed", self.function_seed, 0)
        prime(self.field)
        _check_optimizer(self)

    def top(self, variables: int, vertices: int) -> int:
        """The dimension of the complex of a function of so many variables on so many vertices."""
        if self.max_dim is not None:
            return self.max_dim
        return min(TOP, variables, vertices - 1)

    def recipe(self, loss: Loss, vertices: Tensor) -> Recipe | None:
        """How Algorithm 1 trains simplices of this loss on vertices (n, d), if it does."""
        if self.optimizer != "algorithm1":
            return None
        numbers = {"epochs": self.epochs, "learning_rate": self.learning_rate}
        given = {name: number for name, number in numbers.items() if number is not None}
        return Algorithm1().recipe_for(loss, vertices).changed(**given)

    def build(self, recipe: Recipe | None) -> dict[str, Any]:
        """What `build_complex` is to be told."""
        samples = SAMPLES if self.samples is None else self.samples
        return _build(self, Algorithm1(recipe=recipe, sides=self.sides, samples=samples), MAP)


def _build(
    settings: NetworkSettings | AnalyticSettings,
    algorithm1: Algorithm1,
    simplex_map: Barycentric | Edgewise,
) -> dict[str, Any]:
    """Arguments of `build_complex`; the map is Algorithm 1's where no segments are given."""
    if settings.optimizer == "elastic":
        numbers = {"segments": settings.segments, "steps": settings.steps}
        given = {name: number for name, number in numbers.items() if number is not None}
        optimizer = NudgedElastic(**given)
        simplex_map = optimizer.simplex_map
    else:
        optimizer = algorithm1
        if settings.segments is not None:
            simplex_map = Edgewise(settings.segments)
    return {
        "optimizer": optimizer,
        "simplex_map": simplex_map,
        "resolution": settings.resolution,
        "tolerance": _tolerance(settings),
        "certify": settings.certify,
        "seed": settings.seed,
        "progress": not settings.quiet,
    }


def _tolerance(settings: NetworkSettings | AnalyticSettings) -> float | None:
    """What `build_complex` is to be told. Raises OptionError where `sampled` would ignore it."""
    if settings.sampled:
        if settings.tolerance is not None:
            raise OptionError(
                f"--tolerance is for honest maxima, got {settings.tolerance:g} with --sampled: "
                "leave one of them out"
            )
        return None
    return TOLERANCE if settings.tolerance is None else settings.tolerance


def _check_optimizer(settings: NetworkSettings | AnalyticSettings) -> None:
    """Refuse options that the optimizer would ignore."""
    elastic = settings.optimizer == "elastic"
    foreign = {"steps": settings.steps}
    if elastic:
        foreign = {"sides": None if settings.sides == "fixed" else settings.sides}
        if isinstance(settings, AnalyticSettings):
            names = ("epochs", "learning_rate", "samples")
            foreign |= {name: getattr(settings, name) for name in names}
    for name, value in foreign.items():
        if value is not None:
            owner = "algorithm1" if elastic else "elastic"
            raise OptionError(
                f"--{name.replace('_', '-')} belongs to --optimizer {owner}, got {value} with "
                f"--optimizer {settings.optimizer}: leave it out, or choose the other optimizer"
            )


def _written(settings: NetworkSettings | AnalyticSettings) -> dict[str, Any]:
    """Settings as JSON values."""
    given = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(settings).items()}
    if isinstance(settings, NetworkSettings):
        given["checkpoints"] = [str(path) for path in settings.checkpoints]
        given |= {"model": None if settings.factory else settings.network, "minima": settings.count}
    return given


def _gpu(settings: NetworkSettings | AnalyticSettings) -> str | None:
    """The name of the CUDA device that networks were run on; None where there was none."""
    if isinstance(settings, AnalyticSettings) or torch.device(settings.device).type != "cuda":
        return None
    return torch.cuda.get_device_name(settings.device)


def record(
    settings: NetworkSettings | AnalyticSettings,
    recipe: Recipe | None,
    barcode: Barcode,
    seconds: float,
) -> dict[str, Any]:
    """What repeats a run, and what it gave: JSON values; no recipe where none trained anything, no
    W_inf where it is inf.
    """
    return {
        "command": settings.command,
        "settings": _written(settings),
        "recipe": None if recipe is None else recipe.as_record(),
        "max_dim": len(barcode),
        "w_inf": [w if math.isfinite(w) else None for w in map(barcode.w_inf, range(len(barcode)))],
        "versions": {name: version(name) for name in PACKAGES}
        | {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda if torch.cuda.is_available() else None,
            "gpu": _gpu(settings),
        },
        "seconds": round(seconds, 1),
    }
