"""Bad inputs of `StochasticMinimax` and its schedule, for the table of `simplicial`."""

from reduction import OptionError
from simplicial import StochasticMinimax, linear
from tests.bad_inputs.table import INF, NAN, NO_COUNT, Row

MINIMAX = (
    *(
        Row(
            "StochasticMinimax",
            lambda _, v, name=name: StochasticMinimax(**{name: v}),
            OptionError,
            f"{name} must be",
            bad,
        )
        for name, bad in {
            "segments": (*NO_COUNT, 1),
            "epochs": ("5", -1, 1.5, True),
            "batch_size": NO_COUNT,
            "momentum": (1, -0.1, INF, NAN, "0.9", None),
            "weight_decay": (-1, INF, NAN, "0", None),
            "longest": (0, -0.1, 1.5, NAN, "1"),
            "schedule": (None, 5, "linear"),
        }.items()
    ),
    Row(
        "linear",
        lambda _, v: linear(v),
        OptionError,
        "progress must be",
        (-0.1, 1.1, INF, NAN, "0", None),
    ),
)

HANDED = {
    f"StochasticMinimax.{method}"
    for method in ("prepared", "optimise", "step_count", "mini_batch_count")
}
"""What construction calls, on what it has checked."""
