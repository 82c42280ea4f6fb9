"""Bad inputs of comparisons of efforts, for the table of `simplicial`."""

from typing import Any

import numpy as np
import torch

from reduction import DataError, DimensionError, FieldError, OptionError, ShapeError
from simplicial import (
    Algorithm1,
    Convergence,
    Minima,
    NudgedElastic,
    Recipe,
    RunError,
    convergence,
    load_run,
    plot_convergence,
)
from tests.bad_inputs.table import INSTEAD, NAN, NO_AXES, NO_COUNT, NO_PATH, NO_SEED, UNSURE, Row


def compared(good: Any, efforts: Any = (1, 2), max_dim: Any = 1, **changed: Any) -> Convergence:
    options: dict[str, Any] = {"optimizer": NudgedElastic(segments=2, steps=1), "progress": False}
    return convergence(good.minima, max_dim, efforts, **(options | changed))


def curve(**changed: Any) -> Convergence:
    one = np.ones((2, 1))
    given: dict[str, Any] = {
        "efforts": np.array([1.0, 2.0]),
        "gradients": np.array([1, 2]),
        "w_inf": one,
        "lowest": one,
        "errors": one,
    }
    return Convergence(**(given | changed))


CONVERGENCES = (
    Row("convergence", lambda g, v: compared(g, v), OptionError, "efforts must be ascending",
        (5, None, "1,2", (), (0, 1), (1, 1), (1, 10**400), (2, 1), (1, NAN), (1, float("inf")),
         (-1, 1), (True, 2), ("1", 2), np.array(1.0), np.array([[1, 2]]), np.array([2, 1]))),
    Row("convergence", lambda g, v: compared(g, v, store=g.folder / "efforts"), OptionError,
        "must hold 1", ((2, 4), (0.5, 2))),
    Row("convergence", lambda g, v: convergence(v), OptionError, "must be a Minima",
        (5, None, Minima, torch.eye(2))),
    Row("convergence", lambda g, v: compared(g, optimizer=v), OptionError, "must be an Optimizer",
        (5, Algorithm1, "minimax")),
    Row("convergence", lambda g, v: compared(g, simplex_map=v), OptionError, "simplex_map must",
        (5, "edgewise")),
    Row("convergence", lambda g, _: compared(
            g, optimizer=Algorithm1(recipe=Recipe(epochs=0))), OptionError, "must differ in"),
    Row("convergence", lambda g, v: compared(g, max_dim=v), OptionError, "max_dim", NO_COUNT),
    Row("convergence", lambda g, v: compared(g, max_dim=v), DimensionError, "minima", (4,)),
    Row("convergence", lambda g, v: compared(g, field=v), FieldError, "prime", (4, 0, -2)),
    Row("convergence", lambda g, v: compared(g, seed=v), OptionError, "seed", NO_SEED),
    Row("convergence", lambda g, v: compared(g, memory=v), OptionError, "memory", (0, "a", None)),
    Row("convergence", lambda g, v: compared(g, resolution=v), OptionError, "resolution", INSTEAD),
    Row("convergence", lambda g, v: compared(g, tolerance=v), OptionError, "tolerance", (0, 1)),
    Row("convergence", lambda g, v: compared(g, refinement_budget=v), OptionError,
        "refinement_budget", (0, 0.5)),
    Row("convergence", lambda g, v: compared(g, batch=v), OptionError, "batch", (0, 0.5)),
    Row("convergence", lambda g, v: compared(g, executor=v), OptionError, "executor", (5,)),
    Row("convergence", lambda g, v: compared(g, progress=v), OptionError, "progress", UNSURE),
    Row("convergence", lambda g, v: compared(g, store=v), OptionError, "store must", (3, "a\0b")),
    *(Row("Convergence", lambda _, v, name=name: curve(**{name: v}), ShapeError, name,
          (5, None, "a", [], [[[1.0]]]))
      for name in ("efforts", "gradients", "w_inf", "lowest", "errors")),
    *(Row("Convergence", lambda _, v, name=name: curve(**{name: v}), OptionError, name,
          ([NAN, 1.0], [2.0, 1.0], [-1.0, 1.0], [1.0, float("inf")]))
      for name in ("efforts", "gradients")),
    *(Row("Convergence", lambda _, v, name=name: curve(**{name: v}), OptionError, piece,
          ([[-1.0], [1.0]],))
      for name, piece in {
          "w_inf": "lowest W_inf", "lowest": "lowest W_inf", "errors": "not negative"}.items()),
    Row("Convergence", lambda _, v: curve(gradients=v), OptionError, "whole",
        ([1.5, 2.0], [1, 1e19], [1, 2**63], np.array([1, 2**63], np.uint64))),
    Row("Convergence", lambda _, v: curve(field=v), FieldError, "prime", (4, 0)),
    Row("Convergence.of", lambda _, v: Convergence.of([1.0], [1], v), OptionError,
        "a barcode for each effort", ([], [5], [None], 3, iter([]))),
    Row("Convergence.rows", lambda _, v: curve().rows(v), OptionError, "an index must be",
        (1, -1, "x", 0.5, None)),
    Row("Convergence.load", lambda _, v: Convergence.load(v), OptionError, "path", NO_PATH),
    Row("Convergence.load", lambda g, _: Convergence.load(g.folder / "text.npz"), DataError,
        "no convergence"),
    Row("Convergence.load", lambda g, _: Convergence.load(g.folder / "none"), OSError, "none"),
    Row("Convergence.save", lambda _, v: curve().save(v), OptionError, "path", NO_PATH),
    Row("plot_convergence", lambda _, v: plot_convergence(v), OptionError, "type Convergence",
        (5, None, Convergence)),
    Row("plot_convergence", lambda _, v: plot_convergence(curve(), v), OptionError,
        "of type Axes", NO_AXES),
    Row("load_run", lambda _, v: load_run(v), OptionError, "give its path", NO_PATH),
    Row("load_run", lambda g, v: load_run(g.folder / v), RunError, "a finished run has a file",
        ("", "nowhere", "text.npz")),
)  # fmt: skip

HANDED = {"FinishedRun"}
"""What takes only what the library hands it."""
