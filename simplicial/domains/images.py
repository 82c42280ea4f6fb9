"""Points of a complex that are images of one another by periods, and simplices that are translates.

Where vertices are ordered by class, and within a class by shift, translates of a simplex have their
vertices in its order: a control point of one is that of the other, moved by periods.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from reduction import OptionError
from simplicial.domains.periods import Cell

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME = 1e-6  # of the diagonal of a cell, within which two points are one


class Translates(NamedTuple):
    """Simplices of which the first of each class stands for all.

    first  (m,) the number of the first of each class
    by     (m, d) from there to each simplex
    """

    first: Ints
    by: Floats


class Images(NamedTuple):
    """Points by class.

    labels  (n,) ascending
    shifts  (n, d) in periods, from the first point of the class; ascending
    cell    of the periods
    """

    labels: Ints
    shifts: Ints
    cell: Cell

    @classmethod
    def among(cls, points: Floats, periods: Floats) -> "Self | None":
        """Of points (n, d); None without periods (d,), all inf.

        Raises OptionError for points that are not in order.
        """
        cell = Cell(np.zeros(len(periods)), periods)
        if not cell.is_periodic.any():
            return None
        labels, first = classes(points, cell)
        away = (points - points[first[labels]]) / np.where(cell.is_periodic, cell.periods, 1.0)
        shifts = np.where(cell.is_periodic, np.rint(away), 0.0).astype(np.int64)
        rows = np.column_stack([labels, shifts])
        if not np.array_equal(rows, np.unique(rows, axis=0)):
            raise OptionError(
                "images of one point follow one another, by shifts: give the minima and the graph "
                "of periodic_images"
            )
        return cls(labels, shifts, cell)

    def translates(self, vertices: Ints) -> Translates:
        """Of simplices (m, r+1), ascending in each row."""
        begins = self.shifts[vertices[:, 0]]
        shifts = self.shifts[vertices] - begins[:, None]
        rows = np.concatenate([self.labels[vertices], shifts.reshape(len(vertices), -1)], axis=1)
        _, first, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        first = first[inverse.reshape(-1)]
        return Translates(first, self.cell.moved(np.zeros(1), begins - begins[first]))


def classes(points: Floats, cell: Cell) -> tuple[Ints, Ints]:
    """Of points (n, d) that are images of one another: labels (n,), in the order in which classes
    begin, and the first point of each class.
    """
    n, diagonal = len(points), float(np.linalg.norm(cell.periods[cell.is_periodic]))
    pairs = KDTree(cell.on_circles(points)).query_pairs(SAME * diagonal, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(n, n))
    label = connected_components(links, directed=False)[1]
    begins, inverse = np.unique(label, return_index=True, return_inverse=True)[1:]
    order = np.argsort(begins)
    return np.argsort(order)[inverse.reshape(-1)], begins[order]


def check_images(periods: Floats, *, has_graph: bool, moves_faces: bool) -> None:
    """Refuse a complex of a loss with periods (d,) that leaves out images, or moves them apart.

    Raises OptionError.
    """
    if np.isinf(periods).all():
        return
    if not has_graph:
        raise OptionError(
            "a complex of a loss with periods joins images of its minima, which a graph names: "
            "call images = periodic_images(minima), and build_complex(images.minima, "
            "graph=images.graph)"
        )
    if moves_faces:
        raise OptionError(
            "images of a simplex move together, trainable sides would move them apart: take "
            "another optimizer, such as NudgedElastic()"
        )
