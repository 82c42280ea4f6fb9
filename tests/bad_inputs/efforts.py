"""Bad inputs of efforts, gradient counts, limits, and of what an anytime build has spent, for the
table of `simplicial`.
"""

from typing import Any

import numpy as np

from reduction import OptionError
from simplicial import (
    Algorithm1,
    NudgedElastic,
    Optimizer,
    Recipe,
    Spent,
    StochasticMinimax,
    build_complex,
)
from tests.bad_inputs.table import INF, INSTEAD, NAN, Row

PREPARED: tuple[Optimizer, ...] = (
    Algorithm1(recipe=Recipe(epochs=4)),
    StochasticMinimax(epochs=4),
    NudgedElastic(steps=4),
)
NO_SHARE = (0, -1, INF, NAN, 1e308, 10**400, "1", None, True)

NO_LIMIT = (-1, INF, NAN, "1", True, [1])

EFFORTS = (
    *(
        Row(
            "build_complex",
            lambda g, v, name=name: build_complex(g.minima, 1, progress=False, **{name: v}),
            OptionError,
            f"{name} must be",
            bad,
        )
        for name, bad in {
            "tolerance_of_bars": (*NO_LIMIT, 10**400),
            "max_seconds": (*NO_LIMIT, 10**400),
            "max_gradients": (*NO_LIMIT, 0.5),
        }.items()
    ),
    *(
        Row(
            f"{type(optimizer).__name__}.with_effort",
            lambda _, v, optimizer=optimizer: optimizer.with_effort(v),
            OptionError,
            "effort must be",
            NO_SHARE,
        )
        for optimizer in PREPARED
    ),
    *(
        Row(
            f"{type(optimizer).__name__}.gradient_count",
            lambda _, v, optimizer=optimizer: optimizer.gradient_count(1, v),
            OptionError,
            "mini_batches must be",
            (-1, *INSTEAD),
        )
        for optimizer in PREPARED
    ),
)

HANDED = {
    *(f"Optimizer.{method}" for method in ("with_effort", "gradient_count", "mini_batch_count")),
    "Algorithm1.mini_batch_count",
}
"""What raises of an optimizer that does not have it, and what takes a loss that is checked."""


def spent(**changed: Any) -> Spent:
    given: dict[str, Any] = {
        "gradients": (3, 4),
        "efforts": (np.zeros(3), np.ones(1)),
        "ended": "gradients",
        "tolerance_of_bars": 0.0,
        "max_gradients": 8,
    }
    return Spent(**(given | changed))


SPENT = tuple(
    Row("Spent", lambda _, v, name=name: spent(**{name: v}), OptionError, sentence, bad)
    for name, sentence, bad in (
        ("gradients", "gradients and efforts must",
         (5, None, "34", (3,), (3, -4), (3, 0.5), (3, True), ("3", "4"), {3, 4})),
        ("efforts", "gradients and efforts must",
         (5, None, "ab", (np.zeros(3),), (np.zeros(3), np.full(1, 1.5)), (np.zeros(3), [NAN]),
          (np.zeros(3), [-0.5]), (np.zeros(3), 0.5), (np.zeros((3, 1)), [1.0]), (["a"], [1.0]),
          ([10**400], [1.0]), ([[1], [1, 2]], [1.0]))),
        ("ended", "ended by one of", (5, None, "noon", ["gradients"])),
        ("tolerance_of_bars", "tolerance_of_bars must", (-1, NAN, INF, "0", None, True, 10**400)),
        ("max_gradients", "max_gradients must", (6, -1, 7.5, "8", True, NAN)),
    )
)  # fmt: skip
