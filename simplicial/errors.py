"""What can be wrong with a loss, a search or a run, beside what `reduction` refuses."""

from reduction import TopologyError


class LossError(TopologyError):
    """A loss that breaks its contract, or that is not finite where it was evaluated."""


class SearchError(TopologyError):
    """A search for critical points that found none."""


class RunError(TopologyError):
    """An output folder that cannot be used as asked."""
