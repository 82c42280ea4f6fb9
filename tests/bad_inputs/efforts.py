"""Bad inputs of efforts, gradient counts and limits, for the table of `simplicial`."""

from reduction import OptionError
from simplicial import (
    Algorithm1,
    NudgedElastic,
    Optimizer,
    Recipe,
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
