"""Errors of runs that have not ended: the exact barcode lies within them at every moment."""

import math
from itertools import pairwise
from pathlib import Path

import gudhi.hera
import numpy as np
import pytest
import torch

from reduction import Barcode
from simplicial import Minima, NudgedElastic, build_complex
from simplicial.landscapes import himmelblau
from simplicial.reports.html import write_page
from simplicial.reports.status import RunStatus

LANDSCAPE = himmelblau()
MINIMA = Minima(torch.tensor(LANDSCAPE.minima), LANDSCAPE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Barcode]:
    folder = tmp_path_factory.mktemp("run")
    built = build_complex(MINIMA, 2, optimizer=NudgedElastic(segments=4, steps=3), store=folder,
                          resolution=4, progress=False)  # fmt: skip
    return folder, built.barcode()


def unfinished(folder: Path, order: list[str]) -> list[RunStatus]:
    """The status of the run, from the last simplex to none, as they go in this order."""
    found, gone = [RunStatus.read(folder)], []
    for name in order:
        path = folder / f"{name}.json"
        gone.append((path, path.read_bytes()))
        path.unlink()
        found.append(RunStatus.read(folder))
    for path, content in gone:
        path.write_bytes(content)
    return found


TRIANGLES = [f"simplices-2/{i:06}" for i in range(4)]
EDGES = [f"simplices-1/{i:06}" for i in range(6)]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_exact_barcode_is_within_the_error_at_every_moment(
    whole: tuple[Path, Barcode], seed: int
) -> None:
    draw = np.random.default_rng(seed)
    order = [*draw.permutation(TRIANGLES).tolist(), *draw.permutation(EDGES).tolist()]
    statuses = unfinished(whole[0], order)
    exact = LANDSCAPE.exact_bars
    assert exact is not None
    errors = [[math.inf, math.inf]]
    for status in reversed(statuses[:-1]):
        barcode = status.barcode()
        assert barcode is not None
        for r, bars in enumerate(barcode):
            truth = exact[r] if r < len(exact) else np.empty((0, 2))
            if barcode.error(r) < math.inf:
                assert gudhi.hera.bottleneck_distance(bars, truth, 0.0) <= barcode.error(r)
        errors.append([barcode.error(r) if r < len(barcode) else math.inf for r in range(2)])
    slack = 2e-5  # maxima are refined up to a share of the range
    for before, after in pairwise(errors):
        assert all(b <= a + slack for a, b in zip(before, after, strict=True))
    assert errors[-1] == [whole[1].error(r) for r in range(2)]
    assert sum(error[0] < math.inf for error in errors) > 4  # from the edge on that joins the last
    assert sum(error[1] < math.inf for error in errors) >= 1


def test_bounds_of_a_finished_run_are_those_of_its_complex(whole: tuple[Path, Barcode]) -> None:
    barcode = RunStatus.read(whole[0]).barcode()
    assert barcode is not None
    for r, bars in enumerate(barcode):
        ours, theirs = barcode.bounds(r), whole[1].bounds(r)
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(bars, whole[1][r])
        np.testing.assert_array_equal(ours.lowest_deaths, theirs.lowest_deaths)
        assert ours.error == theirs.error


def test_a_class_that_nothing_finished_ends_has_no_bound(whole: tuple[Path, Barcode]) -> None:
    """By hand: without the edges of a vertex the components are two."""
    last = [f"simplices-1/{i:06}" for i in (3, 4, 5)]  # those of vertex 3
    status = unfinished(whole[0], [*TRIANGLES, *last])[-1]
    barcode = status.barcode()
    assert barcode is not None
    assert [len(barcode), len(barcode.essential(0))] == [1, 2]
    assert barcode.error(0) == math.inf


def test_the_page_of_a_run_that_has_not_ended_has_its_errors(
    whole: tuple[Path, Barcode], tmp_path: Path
) -> None:
    status = unfinished(whole[0], TRIANGLES)[-1]
    barcode = status.barcode()
    assert barcode is not None
    write_page(status, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert 0 < barcode.error(0) < math.inf
    assert f"<td>{barcode.error(0):.6g}</td></tr>" in page
    bounds = barcode.bounds(0)
    assert bounds is not None
    assert (bounds.lowest_deaths[1:] < barcode[0][1:, 1]).any()
    for death, lowest in zip(barcode[0][:, 1], bounds.lowest_deaths, strict=True):
        assert f"<td>{death:.6g}</td><td>{lowest:.6g}</td>" in page


def test_maxima_that_are_sampled_have_no_error(tmp_path: Path) -> None:
    build_complex(MINIMA, 1, optimizer=NudgedElastic(segments=2, steps=1), store=tmp_path,
                  resolution=4, tolerance=None, progress=False)  # fmt: skip
    barcode = RunStatus.read(tmp_path).barcode()
    assert barcode is not None
    assert barcode.error(0) == math.inf
    write_page(RunStatus.read(tmp_path), tmp_path / "page.html")
    assert "<td>unknown</td>" in (tmp_path / "page.html").read_text("utf-8")
