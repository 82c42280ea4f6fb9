"""The settings of `analytic`, as a value that holds all that repeats its run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from nets.commands.work.settings import ComplexSettings, given
from reduction.memory import require
from reduction.validation import as_integer
from simplicial import Algorithm1, Edgewise, Loss, Recipe
from simplicial.reports.result_folder import check_folder

SAMPLES = 16  # of Algorithm 1, for functions that are cheap
TOP = 3  # default top dimension of an analytic complex: pieces grow steeply with the dimension
MAP = Edgewise(8)  # of Algorithm 1, for functions with bent valleys


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyticSettings(ComplexSettings):
    """Settings of `loss-barcodes analytic`; None stands for the function's own.

    max_dim  None: the number of variables, at most 3 and at most what the vertices found allow
    """

    command: ClassVar[str] = "analytic"
    only_algorithm1: ClassVar[tuple[str, ...]] = ("epochs", "learning_rate", "samples")

    name: str
    dim: int | None
    curved: int
    max_dim: int | None
    starts: int | None
    function_seed: int | None
    saddles: bool
    samples: int | None
    out: Path | None

    def check(self) -> None:
        """Refuse wrong settings before the search."""
        if self.out is not None:
            check_folder(self.out)
        self.build_options()
        if self.dim is not None and self.dim > 0:
            size = 8 * self.dim**2  # of a matrix; searches take as many starts, and more
            require(size, f"a function of {self.dim} variables", "give a lower --dim")
        if self.function_seed is not None:
            as_integer("--function-seed", self.function_seed, 0)
        self.check_complex()

    def top_dimension(self, variables: int, vertices: int) -> int:
        """The dimension of the complex of a function, by its number of variables and vertices."""
        if self.max_dim is not None:
            return self.max_dim
        return min(TOP, variables, max(vertices - 1, 1))

    def recipe(self, loss: Loss, vertices: Tensor) -> Recipe | None:
        """Algorithm 1's recipe for simplices of this loss on vertices (n, d), if it trains them."""
        if self.optimizer != "algorithm1":
            return None
        numbers = {"epochs": self.epochs, "learning_rate": self.learning_rate}
        return Algorithm1().recipe_for(loss, vertices).changed(**given(numbers))

    def build(self, recipe: Recipe | None) -> dict[str, Any]:
        """Arguments of `build_complex`."""
        samples = SAMPLES if self.samples is None else self.samples
        algorithm1 = Algorithm1(recipe=recipe, sides=self.sides, samples=samples)
        return self.build_arguments(algorithm1, MAP)
