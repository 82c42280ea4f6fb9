"""Rows of `simplicial` that have files of their own."""

from tests.bad_inputs import convergences, efforts, minimax, neighbor_graphs
from tests.bad_inputs.functions import FUNCTIONS
from tests.bad_inputs.graphs import GRAPHS
from tests.bad_inputs.plane import OTHER_LOSSES, PLANE
from tests.bad_inputs.polishing import POLISHING
from tests.bad_inputs.searches import SEARCHES

TABLES = (
    *convergences.CONVERGENCES,
    *efforts.EFFORTS,
    *FUNCTIONS,
    *GRAPHS,
    *minimax.MINIMAX,
    *neighbor_graphs.NEIGHBOR_GRAPHS,
    *OTHER_LOSSES,
    *PLANE,
    *POLISHING,
    *efforts.SPENT,
    *SEARCHES,
    *neighbor_graphs.SYMMETRIES,
)

HANDED = convergences.HANDED | efforts.HANDED | minimax.HANDED | neighbor_graphs.HANDED
"""Names of these files that need no row."""
