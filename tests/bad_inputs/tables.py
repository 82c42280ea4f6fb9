"""Rows of `simplicial` that have files of their own."""

from tests.bad_inputs import convergences, efforts, minimax, symmetries
from tests.bad_inputs.functions import FUNCTIONS
from tests.bad_inputs.graphs import GRAPHS
from tests.bad_inputs.neighbor_graphs import NEIGHBOR_GRAPHS
from tests.bad_inputs.other_losses import OTHER_LOSSES
from tests.bad_inputs.plane import PLANE
from tests.bad_inputs.polishing import POLISHING
from tests.bad_inputs.searches import SEARCHES
from tests.bad_inputs.spent import SPENT

TABLES = (
    *convergences.CONVERGENCES,
    *efforts.EFFORTS,
    *FUNCTIONS,
    *GRAPHS,
    *minimax.MINIMAX,
    *NEIGHBOR_GRAPHS,
    *OTHER_LOSSES,
    *PLANE,
    *POLISHING,
    *SPENT,
    *symmetries.SYMMETRIES,
    *SEARCHES,
)

HANDED = convergences.HANDED | efforts.HANDED | minimax.HANDED | symmetries.HANDED
"""Names of these files that need no row."""
