"""Complexes of graphs: their simplices, values and barcodes, and the graphs of minima."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.spatial import Delaunay
from torch import Tensor

from reduction import DimensionError, FilteredComplex, OptionError
from simplicial import (
    LossComplex,
    Minima,
    NudgedElastic,
    RunError,
    beta_skeleton,
    build_complex,
    delaunay_graph,
    nearest_neighbors,
    with_loss,
    within_radius,
)
from simplicial.landscapes import himmelblau
from simplicial.reports.status import RunStatus
from tests.oracles.lower_star import plane_barcode

SEGMENTS = NudgedElastic(segments=6)
FOUR = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def himmelblaus() -> Minima:
    loss = himmelblau()
    return Minima(torch.tensor(loss.minima), loss)


def built(graph: Any, max_dim: int = 2, **options: Any) -> LossComplex:
    given: dict[str, Any] = {"optimizer": SEGMENTS, "progress": False, **options}
    return build_complex(himmelblaus(), max_dim, graph=graph, **given)


def scattered(n: int, d: int, seed: int) -> Minima:
    points = torch.tensor(np.random.default_rng(seed).normal(size=(n, d)))
    return Minima(points, lambda x: x.square().sum(dim=1))


@pytest.mark.parametrize("max_dim", [1, 2, 3])
def test_the_complete_graph_gives_the_complete_complex(max_dim: int) -> None:
    of_graph, whole = built(nx.complete_graph(4), max_dim), built(None, max_dim)
    for a, b in zip(of_graph.values, whole.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert torch.equal(of_graph.control_points, whole.control_points)


@pytest.mark.parametrize("left_out", FOUR)
def test_the_simplices_of_a_graph_are_as_in_the_complete_complex(left_out: tuple[int, int]) -> None:
    edges = [edge for edge in FOUR if edge != left_out]
    sparse, whole = built(edges), built(None)
    found = {
        tuple(vertices): value
        for of, values in zip(sparse.simplices, sparse.values, strict=True)
        for vertices, value in zip(of.vertices.tolist(), values.tolist(), strict=True)
    }
    cliques = [t for t in combinations(range(4), 3) if not set(left_out) <= set(t)]
    assert set(found) == {(v,) for v in range(4)} | set(edges) | set(cliques)
    for vertices in (*edges, *cliques):
        assert found[vertices] == pytest.approx(whole[vertices].maximum.value, rel=1e-6)
        assert found[vertices] == sparse[vertices].maximum.value
    brute = FilteredComplex.from_simplices(found).barcode()
    for ours, theirs in zip(sparse.barcode(), brute, strict=True):
        np.testing.assert_array_equal(np.sort(ours, axis=0), np.sort(theirs, axis=0))
    with pytest.raises(DimensionError, match="its graph joins pairwise"):
        sparse[left_out]


def test_certificates_stand_at_the_simplices_of_a_graph() -> None:
    edges = [edge for edge in FOUR if edge != (0, 3)]
    ends, every = (built(graph, certify=True).barcode().ends(0) for graph in (edges, None))
    assert ends is not None
    assert every is not None
    assert ends.deaths.certified.tolist() == every.deaths.certified.tolist()
    np.testing.assert_allclose(ends.deaths.points, every.deaths.points, atol=1e-9)


def test_a_file_keeps_the_graph(tmp_path: Path) -> None:
    sparse = built([(0, 1), (1, 2), (0, 2), (2, 3)], certify=True)
    sparse.save(tmp_path / "sparse.npz")
    again = LossComplex.load(tmp_path / "sparse.npz", sparse.minima.loss)
    assert [len(of.vertices) for of in again.simplices] == [4, 4, 1]
    for a, b in zip(again.values, sparse.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.barcode().table() == sparse.barcode().table()


def test_a_run_folder_goes_on_with_its_graph_alone(tmp_path: Path) -> None:
    edges = [(0, 1), (1, 2), (0, 2), (2, 3)]
    first = built(edges, store=tmp_path / "run")
    status = RunStatus.read(tmp_path / "run")
    assert [(d.done, d.total) for d in status.dimensions] == [(4, 4), (4, 4), (1, 1)]
    found = status.barcode()
    assert found is not None
    for ours, theirs in zip(found, first.barcode(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    again = built(edges[::-1], store=tmp_path / "run")
    assert torch.equal(again.control_points, first.control_points)
    for other in (None, edges[:3]):
        with pytest.raises(RunError, match="edges"):
            built(other, store=tmp_path / "run")


def test_another_loss_is_taken_on_the_simplices_of_the_graph() -> None:
    sparse = built([(0, 1), (1, 2), (0, 2), (2, 3)], tolerance=None)
    double = with_loss(sparse, lambda x: 2 * himmelblau()(x), tolerance=None, progress=False)
    for a, b in zip(double.values, sparse.values, strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-12)


def egg_box(x: Tensor) -> Tensor:
    """36 minima within a wall and 25 maxima between them, no two of one value."""
    wall = 8 * ((x - 2.5) / 3).abs().pow(20).sum(dim=1)
    tilt = 0.15 * torch.sin(0.9 * x[:, 0] + 0.4 * x[:, 1]) + 0.02 * (x - 2.3).square().sum(dim=1)
    return wall + tilt - torch.cos(2 * torch.pi * x).sum(dim=1)


def egg_boxes_minima() -> Minima:
    points = torch.stack(torch.meshgrid(torch.arange(6), torch.arange(6), indexing="ij"), dim=-1)
    points = points.reshape(-1, 2).double()
    slope = torch.func.vmap(torch.func.grad(lambda x: egg_box(x[None])[0]))
    hessian = torch.func.vmap(torch.func.hessian(lambda x: egg_box(x[None])[0]))
    for _ in range(20):
        points = points - torch.linalg.solve(hessian(points), slope(points))
    return Minima(points, egg_box)


@pytest.mark.parametrize(
    "graph", [delaunay_graph, lambda m: beta_skeleton(m, 0.87)], ids=["Delaunay", "skeleton"]
)
def test_a_planar_graph_has_the_bars_of_a_grid(graph: Callable[[Minima], Any]) -> None:
    minima = egg_boxes_minima()
    edges = graph(minima)
    assert len(edges) < 150  # of 630
    found = build_complex(minima, 2, optimizer=SEGMENTS, graph=edges, progress=False).barcode()
    axis = torch.linspace(-0.6, 5.6, 621, dtype=torch.float64)
    at = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1)
    true = plane_barcode(egg_box(at.reshape(-1, 2)).reshape(at.shape[:2]).numpy())
    long = 0.02 * 4.0
    for bars, theirs, count in zip(found, true, (36, 25), strict=True):
        ours, others = (each[each[:, 1] - each[:, 0] > long] for each in (bars, theirs))
        assert len(ours) == len(others) == count
        for end in (0, 1):
            np.testing.assert_allclose(np.sort(ours[:, end]), np.sort(others[:, end]), atol=3e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("d", [2, 3])
def test_a_delaunay_graph_is_that_of_its_triangulation(d: int, seed: int) -> None:
    minima = scattered(20, d, seed)
    sides = {
        tuple(sorted(pair))
        for simplex in Delaunay(minima.points.numpy()).simplices.tolist()
        for pair in combinations(simplex, 2)
    }
    assert set(map(tuple, delaunay_graph(minima).tolist())) == sides


@pytest.mark.parametrize("beta", [1.0, 0.87, 0.5])
@pytest.mark.parametrize("d", [2, 5])
def test_a_skeleton_has_the_edges_that_no_minimum_sees_far_apart(d: int, beta: float) -> None:
    minima = scattered(15, d, 3)
    x = minima.points.numpy()
    kept = set()
    for i, j in combinations(range(15), 2):
        widest = 0.0
        for k in set(range(15)) - {i, j}:
            a, b = x[i] - x[k], x[j] - x[k]
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            widest = max(widest, np.arccos(cosine))
        if widest <= np.pi - np.arcsin(beta):
            kept.add((i, j))
    assert set(map(tuple, beta_skeleton(minima, beta).tolist())) == kept


@pytest.mark.parametrize("k", [1, 3, 14])
def test_nearest_neighbors_are_joined_and_all_hang_together(k: int) -> None:
    minima = scattered(15, 4, 5)
    x = minima.points.numpy()
    edges = set(map(tuple, nearest_neighbors(minima, k).tolist()))
    for i in range(15):
        nearest = np.argsort(np.linalg.norm(x - x[i], axis=1))[1 : k + 1]
        assert {tuple(sorted((i, int(j)))) for j in nearest} <= edges
    assert nx.is_connected(nx.Graph(list(edges)))
    assert len(nx.Graph(list(edges))) == 15


def test_a_radius_joins_what_is_near_and_a_spanning_tree_the_rest() -> None:
    points = torch.tensor([[0.0], [1.0], [1.5], [10.0], [10.25]])
    minima = Minima(points, lambda x: x.square().sum(dim=1))
    assert within_radius(minima, 1.0).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert within_radius(minima, 1.5).tolist() == [[0, 1], [0, 2], [1, 2], [2, 3], [3, 4]]


def test_a_graph_without_triangles_has_none_to_build() -> None:
    with pytest.raises(DimensionError, match="the graph of 3 edges has none for max_dim=2"):
        built([(0, 1), (1, 2), (2, 3)])


def test_a_graph_in_parts_has_a_bar_without_end_for_each() -> None:
    bars = built([(0, 1), (2, 3)], 1).barcode()[0]
    assert np.isinf(bars[:, 1]).sum() == 2


@pytest.mark.parametrize("limit", [{"max_gradients": 5}, {"tolerance_of_bars": 0.1}])
def test_limits_and_graphs_exclude_each_other(limit: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="leave out graph"):
        built([(0, 1)], 1, **limit)
