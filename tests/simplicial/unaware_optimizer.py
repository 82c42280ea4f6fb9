"""An optimizer of a user, of which the effort can be neither changed nor counted."""

from collections.abc import Callable

from torch import Tensor

from simplicial import Barycentric, Loss, OptimisationProblem, Optimizer, SimplexMap


class UnawareOptimizer(Optimizer):
    """What an optimizer must have, and no more; it trains nothing."""

    @property
    def simplex_map(self) -> SimplexMap:
        return Barycentric()

    def step_count(self, loss: Loss, control_points: Tensor, problem: OptimisationProblem) -> int:
        return 0

    def optimise(
        self,
        loss: Loss,
        control_points: Tensor,
        problem: OptimisationProblem,
        on_step: Callable[[], object],
    ) -> None:
        """Leave all as it is."""
