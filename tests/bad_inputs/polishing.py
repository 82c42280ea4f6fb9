"""Bad inputs of the polishing of minima, for the table of `simplicial`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from reduction import CapacityError, OptionError
from simplicial import LossError, Minima, Polish, polish
from tests.bad_inputs.table import NO_COUNT, UNSURE, Row


def bowl(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


def frozen(x: Tensor) -> Tensor:
    return x.detach().square().sum(dim=1)


def polished(loss: Any = bowl, options: Any = None, **changed: Any) -> Minima:
    minima = Minima(torch.eye(2, dtype=torch.float64), loss)
    given: dict[str, Any] = {"progress": False, **changed}
    return polish(minima, options, **given)


POLISHING = (
    *(Row("Polish", lambda _, v, name=name: Polish(**{name: v}), OptionError, name, NO_COUNT)
      for name in ("evaluations", "history")),
    Row("Polish", lambda _, v: Polish(tolerance=v), OptionError, "tolerance must be the norm",
        (0, -1.0, float("nan"), float("inf"), "1e-6", True)),
    Row("polish", lambda _, v: polish(v), OptionError, "must be a Minima",
        (5, None, Minima, torch.eye(2))),
    Row("polish", lambda _, v: polished(options=v), OptionError, "options must be a Polish",
        (5, 1e-6, True, Polish)),
    Row("polish", lambda _, v: polished(memory=v), OptionError, "memory", (0, "a", None)),
    Row("polish", lambda _, v: polished(progress=v), OptionError, "progress", UNSURE),
    Row("polish", lambda _, v: polished(store=v), OptionError, "store must", (3, "a\0b")),
    Row("polish", lambda _, v: polished(executor=v), OptionError, "executor", (5, Polish)),
    Row("polish", lambda _, __: polished(executor=ThreadPoolExecutor(1)), OptionError,
        "must be processes"),
    Row("polish", lambda _, v: polished(v), LossError, "must be differentiable", (frozen,)),
    Row("polish", lambda _, v: polished(options=Polish(history=v)), CapacityError, "a history of",
        (10**12,)),
    Row("Minima.gradient_norms", lambda g, v: g.minima.gradient_norms(v), OptionError, "memory",
        (0, "a", None)),
    Row("Minima.checks", lambda g, v: g.minima.checks(v), OptionError, "memory", (0, "a", None)),
)  # fmt: skip
