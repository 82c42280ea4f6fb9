"""How near to the mountain pass a path comes, against how often the gradient was taken.

Paths between adjacent minima of functions whose saddles are known, by three methods, one path at a
time, 12 segments (11 images that move) each, from the straight line:

- string: the simplified string method (E, Ren & Vanden-Eijnden 2007), gradient steps and then equal
  arc lengths by cubic splines;
- CI-NEB: the climbing-image nudged elastic band (Henkelman, Uberuaga & Jonsson 2000) with the
  improved tangent (Henkelman & Jonsson 2000), springs, and FIRE (Bitzek et al. 2006);
- elastic: `NudgedElastic` through `build_complex`, for several `steps`, without and with `certify`.

The error is |barrier - exact value of the saddle| over the height of the saddle above the lower
end. The barrier of string and CI-NEB is their highest image, as these methods report it; `refined`
is the refined maximum on their polyline (`simplicial.maxima.refined`), whose evaluations count,
once for each budget. Both have their numbers chosen for each function by the scans below, the best
mean of log10 of the errors over budgets and paths; the scan is not counted. `elastic` has its
defaults.

An evaluation is a point whose gradient was taken; a product of the Hessian and a vector counts as
one more, so a Hessian as d, and so does a point where only the value was taken. Of `elastic`
everything counts that `build_complex` asks for: relaxation, refined maximum, certificates. Values
at the two ends are known to all. At a budget each method has its last result that cost no more.

    python tests/benchmarks/paths.py [--out FOLDER]
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path as File
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simplicial import Edgewise, Minima, NudgedElastic, build_complex, configure_process
from simplicial.evaluation import derivatives
from simplicial.landscapes import (
    Landscape,
    himmelblau,
    mueller_brown,
    simplex_wells,
    six_hump_camel,
)
from simplicial.loss import ValueAndGradient
from simplicial.maps.mesh import Mesh
from simplicial.maxima.pieces import EvaluatedSimplices
from simplicial.maxima.refined import refined_maxima
from simplicial.options import MEMORY
from tests.oracles.path_methods import (
    SEGMENTS,
    Array,
    Found,
    Path,
    climbing_band,
    string,
    values_and_slopes,
)

BUDGETS = (50, 100, 150, 200, 300, 500, 1000, 2000)
STEPS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200)
RATES = (0.2, 0.4, 0.8, 1.2, 1.6, 2.4)  # of the string, over the largest curvature at the ends
TIMES = (0.2, 0.4, 0.8, 1.2)  # of FIRE, over the root of that curvature
SPRINGS = (0.02, 0.1, 0.5)  # times that curvature
CLIMBING = (0, 30)  # iteration from which the highest image climbs
TOLERANCE = 1e-9  # of the refined maximum of string and CI-NEB
EQUAL = 1e-7  # errors below are equal: the tolerance of elastic's refined maximum


class Counter:
    """A loss that counts the points whose gradient passes back through it, and plain values."""

    def __init__(self, loss: Callable[[Tensor], Tensor]) -> None:
        self.loss, self.gradients, self.values = loss, 0, 0

    def __call__(self, points: Tensor) -> Tensor:
        if not (torch.is_grad_enabled() and points.requires_grad):
            self.values += len(points)
            return self.loss(points)
        points = points.clone()
        points.register_hook(self._passed)
        return self.loss(points)

    def _passed(self, gradient: Tensor) -> None:
        self.gradients += len(gradient)

    @property
    def evaluations(self) -> int:
        return self.gradients + self.values


def paths() -> Iterator[Path]:
    """All pairs of minima that are joined over one saddle, up to symmetry."""
    plane: tuple[tuple[Landscape, dict[str, tuple[tuple[float, float], ...]]], ...] = (
        (
            mueller_brown(),
            {
                "A-B": ((-0.558, 1.442), (-0.050, 0.467), (-0.822, 0.624)),
                "B-C": ((-0.050, 0.467), (0.623, 0.028), (0.212, 0.293)),
            },
        ),
        (
            himmelblau(),
            {
                "NE-SE": ((3.0, 2.0), (3.58, -1.85), (3.39, 0.07)),
                "NE-NW": ((3.0, 2.0), (-2.81, 3.13), (0.09, 2.88)),
                "NW-SW": ((-2.81, 3.13), (-3.78, -3.28), (-3.07, -0.08)),
                "SW-SE": ((-3.78, -3.28), (3.58, -1.85), (-0.13, -1.95)),
            },
        ),
        (
            six_hump_camel(),
            {
                "deep-deep": ((0.09, -0.71), (-0.09, 0.71), (0.0, 0.0)),
                "deep-low": ((0.09, -0.71), (1.70, -0.80), (1.11, -0.77)),
                "low-high": ((1.70, -0.80), (1.61, 0.57), (1.64, 0.23)),
                "high-deep": ((1.61, 0.57), (-0.09, 0.71), (1.30, 0.61)),
            },
        ),
    )
    for landscape, pairs in plane:
        for name, (a, b, saddle) in pairs.items():
            yield _path(landscape.name, name, landscape, (a, b), saddle)
    for r, pairs in ((1, ((0, 1),)), (2, ((0, 1), (0, 2), (1, 2)))):
        landscape = simplex_wells(r, curved=5)
        wells = landscape.minima
        for a, b in pairs:  # all their saddles are equally high
            saddle = landscape.stratum(1).points[0]
            yield _path(
                f"simplex-wells({r}, curved=5)", f"{a}-{b}", landscape, (wells[a], wells[b]), saddle
            )


def _path(function: str, name: str, landscape: Landscape, pair: Any, near: Any) -> Path:
    points = landscape.critical_points
    minima, saddles = points.of_index(0), points.of_index(1)
    a, b = (np.linalg.norm(minima.points - np.asarray(p), axis=1).argmin() for p in pair)
    saddle = np.linalg.norm(saddles.points - np.asarray(near), axis=1).argmin()
    ends = minima.points[[a, b]]
    hessians = derivatives(landscape, torch.as_tensor(ends)).hessians
    barrier = float(saddles.values[saddle])
    height = barrier - float(minima.values[[a, b]].min())
    curvature = float(torch.linalg.eigvalsh(hessians).max())
    return Path(function, name, landscape, ends, barrier, height, curvature)


def elastic(path: Path, certify: bool) -> Iterator[Found]:
    """`NudgedElastic`; one result for each number of steps."""
    for steps in STEPS:
        counter = Counter(path.landscape)
        minima = Minima(torch.tensor(path.ends), counter)
        counter.values = 0
        built = build_complex(
            minima,
            1,
            optimizer=NudgedElastic(segments=SEGMENTS, steps=steps),
            resolution=2,
            certify=certify,
            progress=False,
        )
        yield Found(counter.evaluations, float(built.filtration.values[1][0]), None)


def at_budgets(results: Iterator[Found]) -> list[Found | None]:
    """For each budget the last result that cost no more."""
    found: list[Found | None] = [None] * len(BUDGETS)
    for result in results:
        if result.evaluations > BUDGETS[-1]:
            break
        for i, budget in enumerate(BUDGETS):
            if result.evaluations <= budget:
                found[i] = result
    return found


def error(path: Path, barrier: float) -> float:
    off = abs(barrier - path.barrier) / path.height
    return max(off, 1e-16) if np.isfinite(off) else np.inf


def refined(path: Path, found: Found) -> Found:
    """The refined maximum on the polyline through the images; what that costs is added.

    The images' own gradients are known from the method's step, those at the ends are not.
    """
    images = found.images
    if images is None or not np.isfinite(images).all():
        return found
    points = torch.tensor(images)
    values, slopes = values_and_slopes(path.landscape, images)
    ends, spread = values[[0, -1]].max(), float(np.ptp(values))
    mesh = Mesh.of(Edgewise(SEGMENTS), 1)
    at = (mesh.barycentric[:, 1] * SEGMENTS).round().astype(np.int64)
    at_images = ValueAndGradient(values, torch.as_tensor(slopes))
    top = refined_maxima(
        path.landscape,
        EvaluatedSimplices(points, at_images, at[None], mesh),
        known=np.array([ends]),
        tolerance=TOLERANCE * spread,
        memory=MEMORY,
    )
    cost = found.evaluations + 2 + int(top.evaluations.sum())
    return Found(cost, max(float(top.maxima.values[0]), float(ends)), None)


def scanned(
    group: list[Path], method: Callable[..., Iterator[Found]], *choices: tuple[float, ...]
) -> tuple[tuple[float, ...], list[list[Found | None]]]:
    """The best of all choices for the paths of one function, and its results at the budgets."""
    best, score = None, np.inf
    for choice in product(*choices):
        with np.errstate(all="ignore"):
            tried = [_tried(method(path, *choice)) for path in group]
        errors = [
            np.log10(min(1e3, error(path, found.barrier)))
            for path, row in zip(group, tried, strict=True)
            for found in row
            if found is not None
        ]
        if np.mean(errors) < score:
            best, score = (choice, tried), np.mean(errors)
    assert best is not None, "one of the choices is the best"
    return best


def _tried(results: Iterator[Found]) -> list[Found | None]:
    """Results at the budgets; infinite where a step was too long to go on."""
    try:
        return at_budgets(results)
    except ValueError:  # no spline through images that are not finite
        return [Found(0, np.inf, None)] * len(BUDGETS)


METHODS = (
    "string",
    "string, refined",
    "CI-NEB",
    "CI-NEB, refined",
    "elastic",
    "elastic, certified",
)
COLOURS = ("tab:orange", "tab:orange", "tab:green", "tab:green", "tab:blue", "tab:blue")


def compare(all_paths: list[Path]) -> dict[str, Array]:
    """Errors (paths, budgets) of each method, nan where nothing was that cheap."""
    errors = {name: np.full((len(all_paths), len(BUDGETS)), np.nan) for name in METHODS}
    for function in dict.fromkeys(path.function for path in all_paths):
        rows = [i for i, path in enumerate(all_paths) if path.function == function]
        group = [all_paths[i] for i in rows]
        rate, strings = scanned(group, string, RATES)
        numbers, bands = scanned(group, climbing_band, TIMES, SPRINGS, CLIMBING)
        print(
            f"{function}: string's rate {rate[0]:g}, FIRE's time step {numbers[0]:g}, springs "
            f"{numbers[1]:g}, climbing from iteration {numbers[2]:g}"
        )
        for name, method, choice, tried in (
            ("string", string, rate, strings),
            ("CI-NEB", climbing_band, numbers, bands),
        ):
            for i, path, found in zip(rows, group, tried, strict=True):
                _enter(errors[name][i], path, found)
                measured = map(partial(refined, path), method(path, *choice))
                _enter(errors[f"{name}, refined"][i], path, _tried(measured))
        for i, path in zip(rows, group, strict=True):
            _enter(errors["elastic"][i], path, at_budgets(elastic(path, False)))
            _enter(errors["elastic, certified"][i], path, at_budgets(elastic(path, True)))
    return errors


def _enter(row: Array, path: Path, results: list[Found | None]) -> None:
    for i, found in enumerate(results):
        if found is not None:
            row[i] = error(path, found.barrier)


def table(errors: dict[str, Array], reduce: Callable[[Array], float]) -> str:
    """One line for each method, one column for each budget; what was dearer is infinitely wrong."""
    lines = [f"{'evaluations':20}" + "".join(f"{budget:>9}" for budget in BUDGETS)]
    for name, rows in errors.items():
        shown = [reduce(np.where(np.isnan(column), np.inf, column)) for column in rows.T]
        cells = [f"{value:.1e}" if np.isfinite(value) else "-" for value in shown]
        lines.append(f"{name:20}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def lost(errors: dict[str, Array], name: str) -> str:
    """On how many paths a method is over twice as wrong as another one, budget by budget."""
    own = np.maximum(errors[name], EQUAL)
    own[np.isnan(own)] = np.inf  # too dear is lost
    lines = [f"{'evaluations':20}" + "".join(f"{budget:>9}" for budget in BUDGETS)]
    for other in METHODS[:4]:
        counts = (own > 2 * np.fmax(errors[other], EQUAL)).sum(axis=0)
        lines.append(f"{other:20}" + "".join(f"{count:>9}" for count in counts))
    return "\n".join(lines)


def _median(column: Array) -> float:
    """The higher of the two middle values: no average over powers of ten."""
    return float(np.sort(column)[len(column) // 2])


def write(folder: File, all_paths: list[Path], errors: dict[str, Array]) -> None:
    """paths.csv and paths.png."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "paths.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["function", "path", "method", *BUDGETS])
        for name, rows in errors.items():
            for path, row in zip(all_paths, rows, strict=True):
                writer.writerow([path.function, path.name, name, *(f"{x:.3e}" for x in row)])
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for (name, rows), colour in zip(errors.items(), COLOURS, strict=True):
        middle = np.array([_median(np.where(np.isnan(c), np.inf, c)) for c in rows.T])
        line = np.where(np.isfinite(middle), np.maximum(middle, 1e-13), np.nan)
        style = "--" if "," in name else "-"
        axes.loglog(BUDGETS, line, style, color=colour, marker="o", markersize=3, label=name)
    axes.set_xlabel("evaluations of the gradient for one path")
    axes.set_ylabel(f"error of the barrier, median of {len(all_paths)} paths")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(folder / "paths.png", dpi=120)
    plt.close(figure)


def main() -> None:
    """Print the errors at each budget: median, worst, and every path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=File, help="folder for paths.csv and paths.png")
    arguments = parser.parse_args()
    all_paths = list(paths())
    errors = compare(all_paths)
    print(f"\nerror of the barrier, median of {len(all_paths)} paths\n{table(errors, _median)}")
    print(f"\nthe worst of {len(all_paths)} paths\n{table(errors, lambda c: float(c.max()))}")
    for name in METHODS[4:]:
        print(f"\npaths on which {name} is over twice as wrong as\n{lost(errors, name)}")
    for i, path in enumerate(all_paths):
        alone = {name: rows[[i]] for name, rows in errors.items()}
        print(f"\n{path.function} {path.name}\n{table(alone, _median)}")
    if arguments.out is not None:
        write(arguments.out, all_paths, errors)


if __name__ == "__main__":
    configure_process()
    main()
