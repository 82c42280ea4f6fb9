"""The settings of the two commands, as values: what a run's record holds, and what repeats it."""

import math
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from nets.recipes import RECIPES
from reduction import Barcode, OptionError
from reduction.fields import prime
from simplicial import Barycentric, Edgewise, Recipe
from simplicial.build import check_build
from simplicial.report import check_folder

PACKAGES = (
    "loss-barcodes", "matplotlib", "networkx", "numba", "numpy", "scikit-learn", "scipy",
    "torchvision",
)  # fmt: skip
GIGABYTE = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What `loss-barcodes run` was asked for; None stands for the recipe's or the model's own."""

    command: ClassVar[str] = "run"

    data: str
    data_dir: Path | None
    download: bool
    subset: int | None
    model: str
    hidden: tuple[int, ...] | None
    minima: int
    max_dim: int
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    momentum: float | None
    weight_decay: float | None
    sides: Literal["fixed", "trainable"]
    segments: int | None
    resolution: int
    field: int
    seed: int
    device: str
    memory: float
    quiet: bool
    out: Path

    def check(self) -> None:
        """Refuse what can be refused before data are read and networks trained."""
        check_folder(self.out)
        check_build(self.minima, self.max_dim, self.resolution, self.seed)
        prime(self.field)
        if not 1 <= self.memory * GIGABYTE < math.inf:
            raise OptionError(
                f"memory must be a positive, finite number of gigabytes, got {self.memory:g}: "
                "change --memory"
            )

    @property
    def recipe(self) -> Recipe:
        """The model's recipe, with what the settings change in it."""
        names = ("epochs", "batch_size", "learning_rate", "momentum", "weight_decay")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return RECIPES[self.model].changed(**given)

    @property
    def simplex_map(self) -> Barycentric | Edgewise:
        """The paper's map, unless segments are given."""
        return Barycentric() if self.segments is None else Edgewise(self.segments)

    @property
    def bytes(self) -> int:
        """The memory budget."""
        return int(self.memory * GIGABYTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticSettings:
    """What `loss-barcodes analytic` was asked for; None stands for what suits the function."""

    command: ClassVar[str] = "analytic"

    name: str
    dim: int | None
    curved: int
    max_dim: int | None
    starts: int | None
    epochs: int
    learning_rate: float | None
    sides: Literal["fixed", "trainable"]
    samples: int
    segments: int
    resolution: int
    field: int
    seed: int
    quiet: bool
    out: Path | None

    def check(self) -> None:
        """Refuse what can be refused before the search."""
        if self.out is not None:
            check_folder(self.out)
        prime(self.field)


def record(
    settings: NetworkSettings | AnalyticSettings, recipe: Recipe, barcode: Barcode, seconds: float
) -> dict[str, Any]:
    """What repeats a run, and what it gave: JSON values."""
    given = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(settings).items()}
    return {
        "command": settings.command,
        "settings": given,
        "recipe": recipe.as_record(),
        "max_dim": len(barcode),
        "w_inf": [barcode.w_inf(r) for r in range(len(barcode))],
        "versions": {name: version(name) for name in PACKAGES}
        | {"torch": torch.__version__, "python": platform.python_version()},
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "threads": torch.get_num_threads(),
            "cuda": torch.version.cuda if torch.cuda.is_available() else None,
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "seconds": round(seconds, 1),
    }
