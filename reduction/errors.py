"""What can be wrong with what comes in: one root, one sentence each (rule, place, cure)."""


class TopologyError(ValueError):
    """Root of every error that this library raises about its input."""


class ShapeError(TopologyError):
    """An array has the wrong shape or number type."""


class FiltrationError(TopologyError):
    """Simplices or values that are no filtered complex."""


class BarcodeError(TopologyError):
    """Bars that are no barcode, or a distance between barcodes that is no metric."""


class FieldError(TopologyError):
    """A coefficient field Z/p whose p is no prime in range."""


class DimensionError(TopologyError):
    """A dimension or an index that the complex does not have."""


class LossError(TopologyError):
    """A loss that breaks its contract, or that is not finite where it was evaluated."""


class SearchError(TopologyError):
    """A search for critical points that found none."""


class DataError(TopologyError):
    """A data set, a network, a checkpoint or a saved file that cannot be used as asked."""


class RunError(TopologyError):
    """A run's settings or its output folder cannot be used as asked."""
