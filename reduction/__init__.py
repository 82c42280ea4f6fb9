"""Filtered simplicial complexes, their barcodes, and distances between barcodes."""

from reduction.barcode import Barcode, Pairs
from reduction.complex import FilteredComplex
from reduction.distances import bottleneck, w_inf, wasserstein
from reduction.errors import (
    BarcodeError,
    DataError,
    DimensionError,
    FieldError,
    FiltrationError,
    LossError,
    RunError,
    SearchError,
    ShapeError,
    TopologyError,
)
from reduction.plots import plot_barcode, plot_diagram

__all__ = [
    "Barcode",
    "BarcodeError",
    "DataError",
    "DimensionError",
    "FieldError",
    "FilteredComplex",
    "FiltrationError",
    "LossError",
    "Pairs",
    "RunError",
    "SearchError",
    "ShapeError",
    "TopologyError",
    "bottleneck",
    "plot_barcode",
    "plot_diagram",
    "w_inf",
    "wasserstein",
]
