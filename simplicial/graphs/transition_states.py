"""Transition states of a complex: the edges at which basins meet, as a graph and as tables.

As the level rises, basins meet at the edges of the minimum spanning forest, whose deaths are the
bars of index 0. On a landscape the highest point of such an edge is a critical point of Morse index
1, a transition state; where the complex has a certificate of that, the state is certified, at that
point and with its value. Other edges of a landscape may hold further transition states, over which
no basin is left for the first time: these are not listed.
Source: Wales, Miller & Walsh, Archetypal energy landscapes, Nature 394, 758 (1998); the tables are
after those of stationary points in Wales, Energy Landscapes (2003), section 4. Deviation: one state
for each merge.
"""

import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction import OptionError
from reduction.files import write
from reduction.reprs import span
from reduction.validation import as_bool, as_path, short_repr
from simplicial.complex import LossComplex
from simplicial.graphs.merge_forest import merge_forest
from simplicial.minima import Minima

if TYPE_CHECKING:
    import networkx as nx

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Tables(NamedTuple):
    """Columns by name: what `pandas.DataFrame` takes, and a file of commas has."""

    minima: dict[str, NDArray[Any]]
    transition_states: dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class TransitionStates:
    """Minima and the transition states between their basins, from the lowest up.

    minima     of the complex
    to_scores  (n,) of the minima, see `to_scores`
    ends       (m, 2) the minima that the edge of each state joins, ascending; the ways down from
               the state may pass by others, no higher
    values     (m,) of the loss at the states
    certified  (m,) bool: the state is a critical point of Morse index 1 by the complex's
               certificates; the others are highest points of edges, so that their values are upper
               bounds
    points     (m, d) float64, where the states are
    """

    minima: Minima
    to_scores: Floats
    ends: Ints
    values: Floats
    certified: NDArray[np.bool_]
    points: Floats

    def __repr__(self) -> str:
        states, certified = len(self.values), int(self.certified.sum())
        shown = f"minima={len(self.minima)}, {states=}, {certified=}, values={span(self.values)}"
        return f"TransitionStates({shown})"

    def __post_init__(self) -> None:
        for name in ("to_scores", "ends", "values", "certified", "points"):
            getattr(self, name).flags.writeable = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def barriers(self) -> Floats:
        """Barriers (m, 2): the height of each state over its first end, and over its second."""
        return self.values[:, None] - self.minima.values[self.ends]

    def to_networkx(self) -> "nx.Graph[int]":
        """A forest: minima with `value`, `to_score` and `point`, an edge for each state.

        Edges have `value`, `certified`, `point`, and `barriers`, a dict from either end to the
        height of the state over it.
        """
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        values, points = self.minima.values.tolist(), self.minima.points.double().cpu().numpy()
        for i, (value, score) in enumerate(zip(values, self.to_scores.tolist(), strict=True)):
            graph.add_node(i, value=value, to_score=score, point=points[i])
        for i, (a, b) in enumerate(self.ends.tolist()):
            barriers = dict(zip((a, b), self.barriers[i].tolist(), strict=True))
            graph.add_edge(
                a,
                b,
                value=float(self.values[i]),
                certified=bool(self.certified[i]),
                barriers=barriers,
                point=self.points[i],
            )
        return graph

    def tables(self, *, coordinates: bool = False) -> Tables:
        """A table of minima and one of transition states, arrays by the names of columns.

        coordinates  add the columns x0, x1, ... of the points
        `pandas.DataFrame(states.tables().transition_states)` is one of pandas. Raises OptionError
        where coordinates is neither True nor False.
        """
        minima: dict[str, NDArray[Any]] = {
            "minimum": np.arange(len(self.minima)),
            "value": self.minima.values,
            "to_score": self.to_scores,
        }
        states: dict[str, NDArray[Any]] = {
            "minimum_1": self.ends[:, 0],
            "minimum_2": self.ends[:, 1],
            "value": self.values,
            "barrier_1": self.barriers[:, 0],
            "barrier_2": self.barriers[:, 1],
            "certified": self.certified,
        }
        if as_bool("coordinates", coordinates):
            points = self.minima.points.double().cpu().numpy()
            minima |= {f"x{k}": column for k, column in enumerate(points.T)}
            states |= {f"x{k}": column for k, column in enumerate(self.points.T)}
        return Tables(minima, states)

    def save_csv(self, folder: str | Path, *, coordinates: bool = False) -> None:
        """Write the tables as minima.csv and transition_states.csv to a folder; overwrites.

        The folder is made where it is missing. Raises OptionError for what is no path, or as
        `tables`; OSError where it cannot be written.
        """
        tables, target = self.tables(coordinates=coordinates), as_path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, columns in zip(Tables._fields, tables, strict=True):
            text = StringIO()
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(columns)
            rows.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
            write(target / f"{name}.csv", text.getvalue().encode())


def transition_states(complex: LossComplex) -> TransitionStates:
    """The transition states of a complex: edges of its minimum spanning forest, lowest first.

    As many as minima, less one for each component. Certified are those whose edges are higher than
    both ends and have an accepted certificate of Morse index 1; of a complex without certificates,
    none. Raises OptionError for what is no LossComplex.
    """
    if not isinstance(complex, LossComplex):
        raise OptionError(
            f"transition states are of a LossComplex, got {short_repr(complex)}: pass the result "
            "of build_complex"
        )
    forest = merge_forest(complex.filtration)
    ends = forest.labels[forest.edges]
    certified, points = states_on(complex, ends)
    return TransitionStates(
        complex.minima, forest.scores, ends, forest.heights.copy(), certified, points
    )


def states_on(complex: LossComplex, ends: Ints) -> tuple[NDArray[np.bool_], Floats]:
    """Whether the highest point of each edge (m, 2) is certified, and where it is, (m, d)."""
    certified = np.zeros(len(ends), dtype=bool)
    points = np.empty((len(ends), complex.minima.points.shape[1]))
    if not len(ends):  # a complex of vertices alone has no list of edges
        return certified, points
    rows = complex.simplices[1].positions(ends)
    found = None if complex.certificates is None else complex.certificates[1]
    for state, (row, edge) in enumerate(zip(rows.tolist(), ends.tolist(), strict=True)):
        points[state] = complex[tuple(edge)].maximum.point.double().cpu().numpy()
        if found is None:
            continue
        here = (found.simplices == row) & found.accepted
        for at in np.flatnonzero(here & (found.values == complex.values[1][row])):
            certified[state], points[state] = found.morse[at] == 1, found.points[at]
    return certified, points
