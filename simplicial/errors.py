"""Errors of losses, searches and runs, beside those of `reduction`."""

from reduction import TopologyError


class LossError(TopologyError):
    """A loss that breaks its contract, or that is not finite where it was evaluated."""


class NotFiniteError(LossError):
    """A loss, its gradient or parameters that are not finite: NaN, or infinite."""


class LossWarning(UserWarning):
    """Simplices without a finite loss, which are missing or were trained with smaller steps."""


class SearchError(TopologyError):
    """A search for critical points that found none."""


class RunError(TopologyError):
    """An output folder that cannot be used as asked."""
