"""What can be wrong with a loss, a search or a run, beside what `reduction` refuses."""

from reduction import TopologyError


class LossError(TopologyError):
    """A loss that breaks its contract, or that is not finite where it was evaluated."""


class NotFiniteError(LossError):
    """A loss, its gradient or parameters that are not finite: NaN, or infinite."""


class LossWarning(UserWarning):
    """Simplices whose loss is not finite, so that they are missing, or had to be trained gently."""


class SearchError(TopologyError):
    """A search for critical points that found none."""


class RunError(TopologyError):
    """An output folder that cannot be used as asked."""
