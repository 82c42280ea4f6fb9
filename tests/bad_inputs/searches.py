"""Bad inputs of searches for critical points, and of their symmetries, for `simplicial`'s table."""

import torch
from torch import Tensor

from reduction import OptionError
from simplicial import (
    LossError,
    Minima,
    RigidMotions,
    Search,
    find_critical_points,
    find_minima,
    in_box,
    invariant,
    periodic,
)
from tests.bad_inputs.table import INF, INSTEAD, NAN, UNSURE, Row


def square(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


SEARCHES = (
    *(Row(name, lambda g, v, f=search: f(g.loss, gradient_tolerance=v), OptionError,
          "gradient_tolerance must be positive and finite, or None, got",
          (0, -1e-6, INF, NAN, "1e-6", True, [1e-6], 1j))
      for name, search in {"find_minima": find_minima,
                           "find_critical_points": find_critical_points}.items()),
    Row("find_minima", lambda g, v: find_minima(g.loss, method=v), OptionError,
        "method must be one of starts, basin hopping, got",
        (5, None, True, "hopping", "Starts", [], ["starts"], torch.zeros(2))),
    Row("find_minima", lambda g, v: find_minima(g.loss, method="basin hopping", starts=v),
        OptionError, "starts must", (0.5, "1", True, 0)),
    Row("RigidMotions", lambda _, v: RigidMotions(v), OptionError, "space must", (*INSTEAD, 0)),
    Row("RigidMotions", lambda _, v: RigidMotions(translations=v), OptionError,
        "translations must be", UNSURE),
    Row("RigidMotions", lambda _, v: RigidMotions(rotations=v), OptionError, "rotations must be",
        UNSURE),
    Row("RigidMotions", lambda _, v: RigidMotions(v, translations=False), OptionError,
        "got neither in space=1", (1,)),
    Row("RigidMotions.tangents", lambda _, v: RigidMotions(v).tangents(torch.zeros(1, 4).numpy()),
        OptionError, "points of a multiple of", (3, 5)),
    Row("RigidMotions.nearest",
        lambda _, v: RigidMotions(v).nearest(torch.zeros(1, 4).numpy(), torch.zeros(4).numpy()),
        OptionError, "points of a multiple of", (3, 5)),
    Row("invariant", lambda _, v: invariant(v, RigidMotions()), LossError, "callable",
        (5, None, "loss", torch.nn.Linear)),
    Row("invariant", lambda _, v: invariant(square, v), OptionError, "motions must be Motions",
        (5, None, 3, "rigid", RigidMotions, square)),
    Row("invariant", lambda _, v: invariant(v, RigidMotions()), LossError, "is a SymmetricLoss",
        (invariant(square, RigidMotions()),)),
    Row("invariant", lambda _, v: invariant(square, RigidMotions(), v), OptionError,
        "symmetry must be a Symmetry", (5, "atoms", RigidMotions())),
    Row("periodic", lambda _, v: periodic(v, [1.0]), LossError, "callable",
        (5, None, "loss", torch.nn.Linear)),
    Row("periodic", lambda _, v: periodic(v, [1.0]), LossError, "is a SymmetricLoss",
        (invariant(square, RigidMotions()),)),
    Row("periodic", lambda _, v: periodic(v, [1.0]), LossError, "is a PeriodicLoss",
        (periodic(square, [1.0]),)),
    Row("periodic", lambda _, v: periodic(square, v), OptionError, "above 0 for each coordinate",
        ([], 5.0, [0.0], [-1.0, 2.0], [NAN], [INF, INF], [[1.0]], ["1"], None, "periods", [1j],
         [True], [[1.0], [1.0, 2.0]])),
    Row("periodic", lambda g, v: periodic(g.loss, v), OptionError, "periods must be 2 numbers",
        ([1.0], [1.0, 2.0, INF])),
    Row("in_box", lambda _, v: in_box(v, [[0.0], [1.0]]), LossError, "callable",
        (5, None, "loss", torch.nn.Linear)),
    Row("in_box", lambda _, v: in_box(v, [[0.0], [1.0]]), LossError, "is a PeriodicLoss",
        (periodic(square, [1.0]),)),
    Row("in_box", lambda _, v: in_box(square, v), OptionError, "a box must be (2, d), finite",
        ([], 5.0, (0.0, 1.0), [[0.0, 1.0], [1.0, 1.0]], [[0.0], [NAN]], [[-INF], [0.0]], "box",
         None, [[0.0], [1.0, 2.0]], [[1.0], [0.0]])),
    Row("LeftOut", lambda g, v: Minima(g.minima.points, g.loss, v), OptionError, "search must be",
        ("left out", Search)),
)  # fmt: skip
