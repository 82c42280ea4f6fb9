"""Bad inputs of what an anytime build has spent, for the table of `simplicial`."""

from typing import Any

import numpy as np

from reduction import OptionError
from simplicial import Spent
from tests.bad_inputs.table import INF, NAN, Row


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
