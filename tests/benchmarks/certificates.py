"""Whether certified ends of bars are true: 200 random mixtures of Gaussians against a fine grid.

For each mixture (`tests.simplicial.mixtures`, seeds 400 to 599) and number of segments,
`build_complex(minima, 2, optimizer=NudgedElastic(segments), certify=True)`, and its bars of index 0
and 1 beside those of the mixture's linear interpolation on a grid (`tests.oracles.lower_star`,
which shares no code with the library). Counted are the ends of bars longer than twice the grid's
error, by which alone a bar can be missing on it:

- certified: at a certified critical point that ends no other bar;
- wrong: of these, farther from the truth than the grid's error. A bar of index 0 is compared with
  the true one of the same minimum; in index 1 each birth (and each death) takes a true one of its
  own;
- repeated: certified, but at a critical point that ends another bar already: no statement;
- uncertified: the others.

    python -m tests.benchmarks.certificates [--seeds 400 600] [--segments 6 8 10 12] [--out FILE]

FILE gets one line of JSON for each mixture and number; those that it has are not made again.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import Barcode
from simplicial import Minima, NudgedElastic, build_complex, configure_process, find_minima
from tests.oracles.lower_star import PlaneBarcode, interpolation_error, plane_barcode
from tests.simplicial.mixtures import mixture

BOX = 3.2  # centres have coordinates in [-3, 3], and with them all critical points
GRID = 1201  # vertices along each side
KINDS = ("certified", "wrong", "repeated", "uncertified")

Floats = NDArray[np.float64]


def truth(loss: Callable[[Tensor], Tensor]) -> tuple[PlaneBarcode, float]:
    """The barcode on a grid, and how far its ends may be off."""
    axis = np.linspace(-BOX, BOX, GRID)
    vertices = torch.tensor(np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1))
    with torch.no_grad():
        values = torch.stack([loss(row) for row in vertices]).numpy()
    hessians = torch.func.vmap(torch.func.hessian(lambda x: loss(x[None])[0]))
    some = vertices[::15, ::15].reshape(-1, 2)  # curvature changes little from one to the next
    curvature = 1.1 * torch.linalg.eigvalsh(hessians(some)).abs().max().item()
    return plane_barcode(values), interpolation_error(curvature, 2 * BOX / (GRID - 1))


def counts(barcode: Barcode, true: PlaneBarcode, error: float) -> dict[str, int]:
    """The number of ends of each of the KINDS, by index, as `certified_0` and so on."""
    found = {}
    for r, (bars, truly) in enumerate(zip(barcode, true, strict=True)):
        ends = barcode.ends(r)
        assert ends is not None, "certificates were sought"
        counted = np.isfinite(bars) & (np.diff(bars) > 2 * error)
        certified, repeated = ends.certified & counted, barcode.repeated(r) & counted
        certified &= ~repeated
        kinds = (
            certified,
            certified & ~(_of_minima if r == 0 else _of_holes)(bars, truly, error, certified),
            repeated,
            counted & ~certified & ~repeated,
        )
        for kind, which in zip(KINDS, kinds, strict=True):
            found[f"{kind}_{r}"] = int(which.sum())
    return found


def _of_minima(bars: Floats, true: Floats, error: float, _which: Any) -> NDArray[np.bool_]:
    """Which ends (m, 2) are as true as the grid, each bar beside that of the nearest minimum."""
    nearest = np.abs(bars[:, :1] - true[:, 0]).argmin(axis=1)
    with np.errstate(invalid="ignore"):
        return np.abs(bars - true[nearest]) <= error


def _of_holes(bars: Floats, true: Floats, error: float, which: Any) -> NDArray[np.bool_]:
    """Which of the ends `which` have a true one of their own, births and deaths each for itself."""
    right = np.zeros(bars.shape, dtype=bool)
    for side in (0, 1):
        left = sorted(true[:, side].tolist())
        for row in np.argsort(bars[:, side], kind="stable"):
            while which[row, side] and left and left[0] < bars[row, side] - error:
                left.pop(0)
            if which[row, side] and left and left[0] <= bars[row, side] + error:
                left.pop(0)
                right[row, side] = True
    return right


def minima_of(loss: Callable[[Tensor], Tensor]) -> Minima:
    """The minima from many starts, polished by Newton."""
    box = np.array([[-BOX, -BOX], [BOX, BOX]])
    return find_minima(loss, dim=2, box=box, starts=300, seed=0)


def rows(seed: int, segments: list[int]) -> list[dict[str, Any]]:
    """The counts of one mixture for each number of segments."""
    loss = mixture(seed)
    true, error = truth(loss)
    minima, found = minima_of(loss), []
    for count in segments:
        began = time.perf_counter()
        optimizer = NudgedElastic(segments=count)
        barcode = build_complex(
            minima, 2, optimizer=optimizer, certify=True, progress=False
        ).barcode()
        found.append(
            {
                "seed": seed,
                "segments": count,
                "minima": len(minima),
                "error": error,
                **counts(barcode, true, error),
                "seconds": round(time.perf_counter() - began, 2),
            }
        )
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Sums over all mixtures for each number of segments, in Markdown; index 0 + index 1."""
    head = ["segments", "mixtures", "certified ends", "of these wrong", "repeated", "uncertified"]
    lines = [f"| {' | '.join([*head, 'seconds'])} |", "|" + "---:|" * (len(head) + 1)]
    for segments in sorted({row["segments"] for row in found}):
        some = [row for row in found if row["segments"] == segments]
        cells = [str(segments), str(len(some))]
        for kind in KINDS:
            cells.append(" + ".join(str(sum(row[f"{kind}_{r}"] for row in some)) for r in (0, 1)))
        cells.append(f"{sum(row['seconds'] for row in some):.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make what is missing in the file, and print the table of all that is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(400, 600), help="first, and end")
    parser.add_argument("--segments", type=int, nargs="+", default=[6, 8, 10, 12])
    parser.add_argument("--out", type=Path, help="file for one line of JSON for each complex")
    arguments = parser.parse_args()
    found: list[dict[str, Any]] = []
    if arguments.out is not None and arguments.out.exists():
        found = [json.loads(line) for line in arguments.out.read_text("utf-8").splitlines()]
    there = {(row["seed"], row["segments"]) for row in found}
    for seed in range(*arguments.seeds):
        missing = [count for count in arguments.segments if (seed, count) not in there]
        for row in rows(seed, missing) if missing else ():
            found.append(row)
            print(json.dumps(row), flush=True)
            if arguments.out is not None:
                with arguments.out.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(row) + "\n")
    print(table(found))


if __name__ == "__main__":
    configure_process()
    main()
