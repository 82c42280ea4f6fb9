"""Bad inputs of graphs of minima, and of copies by symmetries, for the table of `simplicial`."""

import networkx as nx
import numpy as np
import torch

from reduction import DimensionError, OptionError, ShapeError
from simplicial import (
    Algorithm1,
    AtomSymmetry,
    Minima,
    beta_skeleton,
    build_complex,
    delaunay_graph,
    distinct,
    nearest_copies,
    nearest_neighbors,
    periodic,
    periodic_images,
    within_radius,
)
from tests.bad_inputs.table import INF, NAN, NO_COUNT, UNSURE, Row

NO_MINIMA = (5, None, Minima, torch.zeros(2, 2))
NAMED = nx.Graph([("a", "b")])
BEYOND = nx.Graph([(0, 9)])

NEIGHBOR_GRAPHS = (
    *(Row(name, lambda _, v, make=make: make(v), OptionError, "must be a Minima", NO_MINIMA)
      for name, make in {
          "nearest_neighbors": lambda m: nearest_neighbors(m, 1),
          "within_radius": lambda m: within_radius(m, 1.0),
          "beta_skeleton": beta_skeleton,
          "delaunay_graph": delaunay_graph,
      }.items()),
    Row("nearest_neighbors", lambda g, v: nearest_neighbors(g.minima, v), OptionError, "k must be",
        NO_COUNT),
    Row("nearest_neighbors", lambda g, v: nearest_neighbors(g.minima, v), OptionError,
        "give at most 3", (4, 2**70)),
    Row("within_radius", lambda g, v: within_radius(g.minima, v), OptionError, "radius must be",
        (0, -1.0, NAN, "1", None, True, [1.0])),
    Row("beta_skeleton", lambda g, v: beta_skeleton(g.minima, v), OptionError, "beta must be",
        (0, -0.5, 1.1, NAN, INF, "1", None, True)),
    Row("delaunay_graph", lambda _, v: delaunay_graph(Minima(v, lambda x: x.sum(dim=1))),
        OptionError, "span a volume", (torch.eye(2), torch.arange(6.0).reshape(3, 2))),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v), OptionError,
        "a graph is a networkx graph or an array", (5.5, "edges", [(0, 1.5)], True, [[0], [1, 2]])),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v), OptionError,
        "without edges", ([], np.empty((0, 2), int), nx.empty_graph(4))),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v), ShapeError,
        "are an array", ([0, 1], [(0, 1, 2)], 3, np.zeros((1, 2, 1), int))),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v), OptionError,
        "joins two of the minima 0 .. 3", ([(0, 4)], [(-1, 0)], [(1, 1)])),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v), OptionError,
        "relabel", (NAMED, BEYOND)),
    Row("build_complex", lambda g, v: build_complex(g.minima, 1, graph=v, saddles=True),
        OptionError, "with saddles=True there would be more", ([(0, 1)],)),
    Row("build_complex", lambda g, v: build_complex(g.minima, v, graph=[(0, 1)]), DimensionError,
        "has none for max_dim=2", (2,)),
)  # fmt: skip

PAIR = AtomSymmetry([0, 0])
WAVE = Minima(torch.ones(1, 2), periodic(lambda x: x.cos().sum(dim=1), [2 * np.pi] * 2))
OUT_OF_ORDER = Minima(torch.tensor([[1.0, 2.0], [1.0, 2.0 - 2 * np.pi]]), WAVE.loss)
ATOMS = Minima(torch.arange(12.0).reshape(2, 6) ** 2, lambda x: x[:, 0] * 0)

SYMMETRIES = (
    Row("AtomSymmetry", lambda _, v: AtomSymmetry(v), OptionError, "one for each atom",
        ([], (), "", 7, None, {0, 1})),
    Row("AtomSymmetry", lambda _, v: AtomSymmetry([0], mirrors=v), OptionError, "mirrors must be",
        UNSURE),
    Row("AtomSymmetry", lambda _, v: AtomSymmetry([0], rigid=v), OptionError, "rigid must be",
        UNSURE),
    Row("AtomSymmetry.nearest", lambda _, v: PAIR.nearest(v, np.zeros(6)), ShapeError,
        "2 atoms have 6 coordinates", (np.zeros(5), np.zeros((2, 3)), 0.0)),
    *(Row(name, lambda _, v, make=make: make(v, PAIR), OptionError, "must be a Minima",
          (5, None, Minima, torch.zeros(2, 2)))
      for name, make in {"distinct": distinct, "nearest_copies": nearest_copies}.items()),
    *(Row(name, lambda _, v, make=make: make(ATOMS, v), OptionError, "symmetry must be a Symmetry",
          (5, AtomSymmetry, "atoms"))
      for name, make in {"distinct": distinct, "nearest_copies": nearest_copies}.items()),
    *(Row(name, lambda _, v, make=make: make(ATOMS, v), OptionError, "this loss declares none",
          (None,))
      for name, make in {"distinct": distinct, "nearest_copies": nearest_copies}.items()),
    Row("nearest_copies", lambda _, v: nearest_copies(ATOMS, PAIR, v), OptionError,
        "joins two of the minima 0 .. 1", ([(0, 2)], [(1, 1)])),
    Row("periodic_images", lambda _, v: periodic_images(v), OptionError, "must be a Minima",
        (5, None, Minima, torch.zeros(2, 2))),
    Row("periodic_images", lambda _, v: periodic_images(v), OptionError, "a loss with periods",
        (ATOMS,)),
    Row("periodic_images", lambda _, v: periodic_images(WAVE, v), OptionError, "a rule is a",
        (5, "delaunay", [(0, 1)])),
    Row("periodic_images", lambda _, v: periodic_images(WAVE, lambda near: v), OptionError,
        "joins two of the minima 0 .. 8", ([(0, 9)], [(1, 1)])),
    Row("PeriodicImages.filtration", lambda _, v: periodic_images(WAVE).filtration(v), OptionError,
        "that of these images", (5, None, "complex")),
    Row("PeriodicImages.filtration", lambda g, _: periodic_images(WAVE).filtration(g.complex),
        OptionError, "that of these images"),
    Row("build_complex", lambda _, v: build_complex(WAVE, 1, graph=v), OptionError,
        "call images = periodic_images", (None,)),
    Row("build_complex", lambda _, v: build_complex(v.minima, 1, graph=v.graph,
        optimizer=Algorithm1(sides="trainable")), OptionError, "images of a simplex move",
        (periodic_images(WAVE),)),
    Row("build_complex", lambda _, v: build_complex(v, 1, graph=[(0, 1)]), OptionError,
        "images of one point follow one another", (OUT_OF_ORDER,)),
    Row("Copies.filtration", lambda g, v: nearest_copies(ATOMS, PAIR).filtration(v), OptionError,
        "that of these copies", (5, None, "complex")),
    Row("Copies.filtration", lambda g, _: nearest_copies(ATOMS, PAIR).filtration(g.complex),
        OptionError, "that of these copies"),
    Row("Copies.transition_states",
        lambda g, v: nearest_copies(ATOMS, PAIR).transition_states(v), OptionError,
        "that of these copies", (5, None, "complex")),
)  # fmt: skip

HANDED = {"Symmetry.nearest"}
