"""Errors about input: one root, one sentence each (rule, place, remedy)."""


class TopologyError(ValueError):
    """Root of every error that this library raises about its input."""


class ShapeError(TopologyError):
    """An array has the wrong shape or number type."""


class OptionError(TopologyError):
    """An option or a setting out of its range."""


class FiltrationError(TopologyError):
    """Simplices or values that are no filtered complex."""


class BarcodeError(TopologyError):
    """Bars that are no barcode, a distance between barcodes that is no metric, or a cycle of a bar
    that is not there or has no complex."""


class FieldError(TopologyError):
    """A coefficient field Z/p whose p is no prime in range."""


class DimensionError(TopologyError):
    """A dimension or an index that the complex does not have."""


class CapacityError(TopologyError):
    """A complex whose reduction does not fit into memory."""


class DataError(TopologyError):
    """A data set, a network, a checkpoint or a saved file that cannot be used as asked."""
