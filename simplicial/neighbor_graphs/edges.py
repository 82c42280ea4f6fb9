"""Edges of a graph of minima, as users give them."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import OptionError, ShapeError
from reduction.validation import short_repr

if TYPE_CHECKING:
    import networkx as nx

Ints = NDArray[np.int64]
Graph: TypeAlias = "nx.Graph[Any] | ArrayLike"


def edges_of(graph: Graph, n: int) -> Ints:
    """Edges (m, 2) of a graph of n minima, ascending in each row and from row to row, each once.

    graph  a networkx graph of the nodes 0 .. n - 1, without regard to weights, or
           an array of edges
    Raises OptionError, ShapeError for edges that join no two different minima.
    """
    import networkx as nx

    if isinstance(graph, nx.Graph):
        if not set(graph) <= set(range(n)):
            odd = next(node for node in graph if node not in set(range(n)))
            raise OptionError(
                f"nodes of a graph are the minima 0 .. {n - 1}, got {short_repr(odd)}: relabel "
                "them, by networkx.convert_node_labels_to_integers, say"
            )
        graph = list(graph.edges())
    edges = _whole(graph)
    if edges.size == 0:
        raise OptionError("a graph joins minima, got one without edges: add edges")
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise ShapeError(
            f"edges of a graph are an array (m, 2), got shape {edges.shape}: give two minima for "
            "each"
        )
    wrong = (edges < 0).any(axis=1) | (edges >= n).any(axis=1) | (edges[:, 0] == edges[:, 1])
    if wrong.any():
        raise OptionError(
            f"an edge joins two of the minima 0 .. {n - 1}, got "
            f"{tuple(edges[int(np.argmax(wrong))].tolist())}: change it"
        )
    return np.unique(np.sort(edges, axis=1), axis=0)


def _whole(edges: Any) -> Ints:
    """An array of whole numbers. Raises OptionError."""
    try:
        given = np.asarray(edges)
    except ValueError:
        given = np.array(None)
    if isinstance(edges, str | bytes) or (given.dtype.kind not in "iu" and given.size):
        raise OptionError(
            f"a graph is a networkx graph or an array (m, 2) of minima, got {short_repr(edges)}: "
            "give nearest_neighbors(minima, 8), say"
        )
    return given.astype(np.int64)
