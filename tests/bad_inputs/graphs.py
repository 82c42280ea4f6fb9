"""Bad inputs of merge forests, transition states and barrier trees."""

import numpy as np
from matplotlib import pyplot as plt

from reduction import DimensionError, FilteredComplex, OptionError, ShapeError
from simplicial import plot_barrier_tree, to_scores, transition_states
from tests.bad_inputs.table import INF, INSTEAD, NAN, NO_COUNT, NO_PATH, UNSURE, Row

TREE = FilteredComplex.from_simplices({(0,): 0.0, (1,): 1.0, (0, 1): 2.0})
COUNTS = tuple(bad for bad in NO_COUNT if bad is not None)

GRAPHS = (
    Row("LossComplex.to_pandas", lambda g, v: g.complex.to_pandas(v), DimensionError,
        "the simplices have dimensions 0 to", (*INSTEAD, -1, 9)),
    Row("to_scores", lambda _, v: to_scores(v), OptionError, "of a FilteredComplex",
        (5, None, FilteredComplex, np.eye(2))),
    Row("to_scores", lambda g, _: to_scores(g.complex), OptionError, "pass complex.filtration"),
    Row("transition_states", lambda _, v: transition_states(v), OptionError, "of a LossComplex",
        (5, None, TREE)),
    Row("TransitionStates.save_csv", lambda g, v: transition_states(g.complex).save_csv(v),
        OptionError, "path", NO_PATH),
    Row("TransitionStates.tables",
        lambda g, v: transition_states(g.complex).tables(coordinates=v), OptionError,
        "coordinates must be", UNSURE),
    Row("TransitionStates.save_csv",
        lambda g, v: transition_states(g.complex).save_csv(g.folder / "new", coordinates=v),
        OptionError, "coordinates must be", UNSURE),
    Row("plot_barrier_tree", lambda _, v: plot_barrier_tree(TREE, levels=v), OptionError,
        "levels must be", COUNTS),
    Row("plot_barrier_tree", lambda _, v: plot_barrier_tree(TREE, order_parameter=v), ShapeError,
        "a finite number for each of 2 vertices",
        (1.0, [1.0], [1.0, NAN], [INF, 0.0], ["a", "b"], [[1.0], [1.0, 2.0]], np.eye(2), 1j)),
    Row("plot_barrier_tree", lambda _, v: plot_barrier_tree(TREE, label=v), OptionError,
        "label must be a text", (5, None)),
    Row("plot_barrier_tree", lambda _, v: plot_barrier_tree(TREE, v), OptionError, "Axes", (plt,)),
)  # fmt: skip
