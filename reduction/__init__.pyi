from reduction.barcodes.barcode import Barcode
from reduction.barcodes.bounds import Bounds
from reduction.barcodes.distances import (
    Matching,
    bottleneck,
    optimal_matching,
    w_inf,
    wasserstein,
)
from reduction.barcodes.endpoints import BarEnds, Ends
from reduction.barcodes.simplex_pairs import Pairs
from reduction.chain_complex import ChainComplex
from reduction.complex import FilteredComplex
from reduction.errors import (
    BarcodeError,
    CapacityError,
    DataError,
    DimensionError,
    FieldError,
    FiltrationError,
    OptionError,
    ShapeError,
    TopologyError,
)
from reduction.exchange import (
    from_simplex_tree,
    read_boundary_matrix,
    read_lower_distances,
    to_simplex_tree,
    write_boundary_matrix,
    write_lower_distances,
)
from reduction.persistence.canonical import CanonicalForm
from reduction.persistence.cycles import Chain
from reduction.plots import plot_barcode, plot_diagram

__all__ = [
    "BarEnds",
    "Barcode",
    "BarcodeError",
    "Bounds",
    "CanonicalForm",
    "CapacityError",
    "Chain",
    "ChainComplex",
    "DataError",
    "DimensionError",
    "Ends",
    "FieldError",
    "FilteredComplex",
    "FiltrationError",
    "Matching",
    "OptionError",
    "Pairs",
    "ShapeError",
    "TopologyError",
    "bottleneck",
    "from_simplex_tree",
    "optimal_matching",
    "plot_barcode",
    "plot_diagram",
    "read_boundary_matrix",
    "read_lower_distances",
    "to_simplex_tree",
    "w_inf",
    "wasserstein",
    "write_boundary_matrix",
    "write_lower_distances",
]
