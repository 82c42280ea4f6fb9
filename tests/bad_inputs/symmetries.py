"""Bad inputs of symmetries and copies, for the table of `simplicial`."""

import numpy as np
import torch

from reduction import OptionError, ShapeError
from simplicial import AtomSymmetry, Minima, distinct, nearest_copies
from tests.bad_inputs.table import UNSURE, Row

PAIR = AtomSymmetry([0, 0])
ATOMS = Minima(torch.arange(12.0).reshape(2, 6) ** 2, lambda x: x[:, 0] * 0)

SYMMETRIES = (
    Row("AtomSymmetry", lambda _, v: AtomSymmetry(v), OptionError, "one for each atom",
        ([], (), "", 7, None, {0, 1})),
    Row("AtomSymmetry", lambda _, v: AtomSymmetry([0], mirrors=v), OptionError, "mirrors must be",
        UNSURE),
    Row("AtomSymmetry.nearest", lambda _, v: PAIR.nearest(v, np.zeros(6)), ShapeError,
        "2 atoms have 6 coordinates", (np.zeros(5), np.zeros((2, 3)), 0.0)),
    *(Row(name, lambda _, v, make=make: make(v, PAIR), OptionError, "must be a Minima",
          (5, None, Minima, torch.zeros(2, 2)))
      for name, make in {"distinct": distinct, "nearest_copies": nearest_copies}.items()),
    *(Row(name, lambda _, v, make=make: make(ATOMS, v), OptionError, "symmetry must be a Symmetry",
          (5, None, AtomSymmetry, "atoms"))
      for name, make in {"distinct": distinct, "nearest_copies": nearest_copies}.items()),
    Row("nearest_copies", lambda _, v: nearest_copies(ATOMS, PAIR, v), OptionError,
        "joins two of the minima 0 .. 1", ([(0, 2)], [(1, 1)])),
    Row("Copies.filtration", lambda g, v: nearest_copies(ATOMS, PAIR).filtration(v), OptionError,
        "that of these copies", (5, None, "complex")),
    Row("Copies.filtration", lambda g, _: nearest_copies(ATOMS, PAIR).filtration(g.complex),
        OptionError, "that of these copies"),
)  # fmt: skip

HANDED = {"Symmetry.nearest"}
