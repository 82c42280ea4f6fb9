"""What is rare, and right all the same: the largest numbers, no edges, vertices alone, forks."""

import math
import os
import subprocess
import sys
from math import comb
from typing import Any

import gudhi
import numpy as np
import pytest

from reduction import (
    Barcode,
    DimensionError,
    FilteredComplex,
    OptionError,
    ShapeError,
    bottleneck,
    plot_barcode,
    plot_diagram,
    w_inf,
    wasserstein,
)
from tests.reduction.persistence.test_persistence import FIELDS, sorted_rows

MOST = 1.7e308


@pytest.mark.parametrize("field", FIELDS)
def test_the_largest_values_have_the_bars_of_smaller_ones(field: int) -> None:
    rng = np.random.default_rng(3)
    small = [np.full(8, -1.0), rng.random(comb(8, 2)), np.ones(comb(8, 3))]
    large = [values * MOST for values in small]
    for missing in (0, 1):  # all simplices, or a list
        barcodes = [
            FilteredComplex(
                [complex.vertices[0], complex.vertices[1], complex.vertices[2][missing:]],
                [values[0], values[1], values[2][missing:]],
            ).barcode(field, lower=[values[0], values[1], values[2][missing:]])
            for values in (small, large)
            for complex in [FilteredComplex.complete(8, values)]
        ]
        for r in range(2):
            assert len(barcodes[0][r]) > 5
            np.testing.assert_array_equal(barcodes[0][r] * MOST, barcodes[1][r])
        assert barcodes[1].w_inf(0) == pytest.approx(barcodes[0].w_inf(0) * MOST, rel=1e-12)
        assert "e+308" in barcodes[1].table()
        for plot in (plot_barcode, plot_diagram):
            with pytest.raises(OptionError, match="divide their values by a power of ten"):
                plot(barcodes[1])


def test_lengths_beyond_float64_have_distances_within() -> None:
    bar = [[-MOST, 0.5 * MOST]]
    assert w_inf(bar) == pytest.approx(1.5 / math.sqrt(2) * MOST, rel=1e-15)
    assert bottleneck(bar, []) == 0.75 * MOST
    assert bottleneck(bar, [[-MOST, MOST]]) == 0.5 * MOST
    assert wasserstein(bar, [[-MOST, MOST]], 2) == 0.5 * MOST
    assert bottleneck([[-MOST, MOST]], [[0.5 * MOST, MOST]]) == MOST


@pytest.mark.parametrize("field", FIELDS)
def test_vertices_alone_report_essential_bars(field: int) -> None:
    values = [3.0, 1.0, 2.0]
    tree = gudhi.SimplexTree()
    for vertex, value in enumerate(values):
        tree.insert([vertex], value)
    tree.compute_persistence(field, persistence_dim_max=True)
    expected = sorted_rows(tree.persistence_intervals_in_dimension(0))
    for complex in (
        FilteredComplex([[[0], [1], [2]]], [values]),
        FilteredComplex.complete(3, [values]),
    ):
        np.testing.assert_array_equal(complex.barcode(field)[0], expected)
        assert len(complex.barcode(field)) == 1


def test_an_empty_list_is_no_edges() -> None:
    points = [[0], [1]]
    for complex in (
        FilteredComplex([points, []], [[0.0, 1.0], []]),
        FilteredComplex([points, [], []], [[0.0, 1.0], [], []]),
        FilteredComplex.cliques([points, []], [[0.0, 1.0], []], 3),
    ):
        assert complex.counts[1:] == (0,) * complex.dim
        assert complex.barcode()[0].tolist() == [[0, np.inf], [1, np.inf]]


def test_dimensions_above_the_last_clique_are_empty() -> None:
    triangle = [[[4], [7], [9]], [[4, 7], [4, 9], [7, 9]]], [[0.0] * 3, [1.0, 2.0, 3.0]]
    complex = FilteredComplex.cliques(*triangle, 6)
    assert complex.counts == (3, 3, 1, 0, 0, 0, 0)
    assert complex.barcode()[1].tolist() == []
    assert len(complex.barcode()) == 6


def test_cures_are_of_use() -> None:
    barcode = FilteredComplex.complete(3, [[0.0] * 3, [1.0] * 3]).barcode()
    with pytest.raises(DimensionError, match=r"or take barcode\(max_index=1\) of a complex of dim"):
        barcode[1]
    solid = FilteredComplex.complete(4, [[0.0] * 4, [1.0] * 6, [2.0] * 4, [3.0]])
    with pytest.raises(DimensionError, match=r"or take barcode\(max_index=1\) of a complex of dim"):
        solid.barcode(max_index=0)[1]
    assert solid.barcode(max_index=1)[1].shape == (3, 2)
    given: Any = barcode
    for call in (
        lambda: bottleneck(given, [[0, 1]]),
        lambda: wasserstein([[0, 1]], given, 1),
        lambda: w_inf(given),
    ):
        with pytest.raises(ShapeError, match=r"is a Barcode; give barcode\[r\] of an index r"):
            call()
    with pytest.raises(DimensionError, match="a complex has a vertex, but n is 0; give n >= 1"):
        FilteredComplex.complete(0, [])
    assert isinstance(barcode, Barcode)


FORKS = """
import os, signal, sys, threading, time
from numba.core.compiler_lock import global_compiler_lock
from reduction.kernels import compilation

def twice(x):
    return 2 * x

def compile_slowly():
    with compilation.LOCK, global_compiler_lock:
        begun.set()
        time.sleep(1)

kernel, begun = compilation.njit(twice), threading.Event()
kernel(1)
threading.Thread(target=compile_slowly).start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(kernel(1.5) != 3)
sys.exit(os.waitpid(child, 0)[1] != 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_may_fork_while_a_thread_compiles() -> None:
    """A child of the fork has no thread that would free the locks of a compilation."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=120)
