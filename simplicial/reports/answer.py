"""What was asked of a run, and its answer: W_inf of each index, and what perfect simplices have.

Longest bars at a bottleneck distance of e differ by 2 e at most, and W_inf is a length over
sqrt(2): W_inf of perfectly optimised simplices is at most sqrt(2) times the error away. In index 0
it is higher only by what refined maxima are too low by: births are minima, and each death is the
highest loss on paths that were found.
"""

import math
from typing import Any

from reduction import Barcode
from reduction.reprs import span
from reduction.validation import is_number
from simplicial.reports.finished_run import load_run
from simplicial.reports.status import RunStatus

ASKED = {
    "name": "function",
    "dim": "variables",
    "data": "data",
    "subset": "examples at most",
    "model": "network",
    "factory": "network of one's own",
    "hidden": "widths of hidden layers",
    "depth": "layers",
    "loss": "loss of one's own",
    "objective": "objective",
    "minima": "minima",
    "checkpoints": "checkpoints",
    "epochs": "epochs",
    "optimizer": "optimizer",
    "max_dim": "highest dimension",
    "effort": "efforts",
    "seed": "seed",
}
"""Names of settings, and what they are called."""
LONGEST = 80  # characters of a setting


def asked(status: RunStatus) -> dict[str, str]:
    """Settings of a command's run by name, those that were given or that are always known."""
    settings: dict[str, Any] = status.settings.get("run", status.settings.get("analytic", {}))
    given = {ASKED[name]: settings[name] for name in ASKED if settings.get(name) not in (None, [])}
    return {name: _text(value) for name, value in given.items()}


def found_at_the_minima(status: RunStatus) -> dict[str, str]:
    """Spans of the losses at the minima, and of accuracies where a result has them."""
    spans = {"loss at the minima": span(status.values[0])}
    if status.state == "finished" and status.result is not None:
        minima = load_run(status.result).record.get("minima")
        for key, name in (("accuracy", "accuracy"), ("test_accuracy", "accuracy on test data")):
            values = minima.get(key) if isinstance(minima, dict) else None
            if isinstance(values, list) and values and all(map(is_number, values)):
                spans[name] = f"{min(values):.3g} to {max(values):.3g}"
    return {name: text for name, text in spans.items() if text != "none"}


def slack_of_edges(status: RunStatus) -> float:
    """What the maximum on an edge may be too low by, the most of all edges."""
    return float(status.error_bounds[1].max(initial=0.0)) if len(status.error_bounds) > 1 else 0.0


def perfect_w_inf(barcode: Barcode, r: int, slack: float) -> tuple[float, float] | None:
    """Bounds on W_inf of index r of perfectly optimised simplices; None where nothing is known.

    slack  that of edges
    """
    bounds, w_inf = barcode.bounds(r), barcode.w_inf(r)
    if bounds is None or not math.isfinite(bounds.error) or not math.isfinite(w_inf):
        return None
    above = min(slack, bounds.error) if r == 0 else bounds.error
    below = w_inf - math.sqrt(2.0) * bounds.error
    return max(below, 0.0), w_inf + math.sqrt(2.0) * above


def perfect_text(barcode: Barcode, r: int, slack: float) -> str:
    """These bounds as text."""
    bounds = perfect_w_inf(barcode, r, slack)
    return "unknown" if bounds is None else f"{bounds[0]:.6g} to {bounds[1]:.6g}"


def answer(barcode: Barcode, slack: float, *, is_finished: bool) -> str:
    """The answer of a run in a sentence."""
    parts = [
        f"{barcode.w_inf(r):.4g} in index {r} ({_perfect(barcode, r, slack)})"
        for r in range(len(barcode))
    ]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    begin = "" if is_finished else "So far "
    return f"{begin}W_inf, the distance of the barcode to that of a convex function, is {listed}."


def _perfect(barcode: Barcode, r: int, slack: float) -> str:
    bounds = perfect_w_inf(barcode, r, slack)
    if bounds is None:
        return "with perfectly optimised simplices: unknown"
    return f"with perfectly optimised simplices {bounds[0]:.4g} to {bounds[1]:.4g}"


def _text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
