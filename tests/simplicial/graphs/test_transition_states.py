"""Transition states: the saddles over which basins are left, certified, and as graph and tables."""

import csv
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import networkx as nx
import numpy as np
import pandas
import pytest
import torch
from torch import Tensor

from simplicial import (
    LossComplex,
    LossWarning,
    Minima,
    NudgedElastic,
    TransitionStates,
    build_complex,
    to_scores,
    transition_states,
)
from simplicial.landscapes import Landscape, himmelblau, mueller_brown, six_hump_camel

LANDSCAPES = [himmelblau(), mueller_brown(), six_hump_camel()]


def complex_of(landscape: Landscape, max_dim: int = 1, *, certify: bool = True) -> LossComplex:
    minima = Minima(torch.tensor(landscape.minima), landscape)
    optimizer = NudgedElastic()
    return build_complex(minima, max_dim, optimizer=optimizer, certify=certify, progress=False)


@pytest.fixture(scope="module")
def states() -> TransitionStates:
    return transition_states(complex_of(himmelblau(), 2))


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda landscape: landscape.name)
def test_certified_states_are_the_landscape_s_saddles_that_end_bars(landscape: Landscape) -> None:
    found = transition_states(complex_of(landscape))
    assert found.certified.all()
    assert landscape.exact_bars is not None
    deaths = np.sort(landscape.exact_bars[0][:, 1])[:-1]
    np.testing.assert_allclose(found.values, deaths, rtol=0, atol=1e-9)
    saddles = landscape.critical_points.of_index(1)
    apart = np.linalg.norm(found.points[:, None] - saddles.points[None], axis=2)
    assert apart.min(axis=1).max() < 1e-6
    assert len(set(apart.argmin(axis=1))) == len(found) == len(landscape.minima) - 1
    values = landscape(torch.tensor(found.points)).numpy()
    np.testing.assert_allclose(values, found.values, rtol=0, atol=1e-9)


def test_a_certificate_of_another_morse_index_certifies_no_transition_state() -> None:
    """And the point of a state is its certificate's. By symmetry an edge may cross a maximum."""
    built = complex_of(himmelblau())
    assert built.certificates is not None
    vertices, edges = built.certificates
    assert edges.accepted.any()
    morse, points = np.where(edges.accepted, 2, edges.morse), edges.points + 0.25
    altered = replace(built, certificates=(vertices, replace(edges, morse=morse, points=points)))
    found = transition_states(altered)
    assert len(found) == 3
    assert not found.certified.any()
    before = transition_states(built).points
    np.testing.assert_allclose(found.points, before + 0.25, rtol=0, atol=1e-12)


def test_barriers_are_heights_over_either_end(states: TransitionStates) -> None:
    assert states.barriers.shape == (3, 2)
    for value, (a, b), (first, second) in zip(
        states.values, states.ends, states.barriers, strict=True
    ):
        assert a < b
        assert first == value - states.minima.values[a]
        assert second == value - states.minima.values[b]


def test_without_certificates_no_state_is_certified_and_values_are_those_of_edges() -> None:
    built = complex_of(himmelblau(), certify=False)
    found = transition_states(built)
    assert not found.certified.any()
    for (a, b), value, point in zip(found.ends.tolist(), found.values, found.points, strict=True):
        highest = built[(a, b)].maximum
        assert value == highest.value
        np.testing.assert_array_equal(point, highest.point.numpy())


def test_states_of_the_complex_of_a_graph_are_at_its_own_edges() -> None:
    """Without the lowest edge of the complete complex, another leads over the same basins."""
    minima = Minima(torch.tensor(himmelblau().minima), himmelblau())
    lowest, *others = transition_states(complex_of(himmelblau())).ends.tolist()
    edges = [edge for edge in combinations(range(4), 2) if list(edge) != lowest]
    built = build_complex(
        minima, 1, graph=edges, optimizer=NudgedElastic(), certify=True, progress=False
    )
    found = transition_states(built)
    assert len(found) == 3
    assert lowest not in found.ends.tolist()
    assert others[0] in found.ends.tolist()
    for edge, value, point in zip(found.ends.tolist(), found.values, found.points, strict=True):
        row = int(built.simplices[1].positions(np.array(edge)))
        assert value == built.values[1][row]
        reached = himmelblau()(torch.tensor(point[None])).item()
        assert abs(reached - value) <= 1e-6 * value


def test_states_of_minima_that_nothing_joins_are_a_forest() -> None:
    """Two wells on either side of a wall on which the loss is not finite."""

    def walled(x: Tensor) -> Tensor:
        wells = (x.abs() - 2).square().sub(0.25).square().sum(dim=1)
        return torch.where(x[:, 0].abs() < 1, torch.inf, wells)

    points = torch.tensor([[-2.5], [-1.5], [1.5], [2.5]], dtype=torch.float64)
    with pytest.warns(LossWarning, match="no finite loss"):
        built = build_complex(Minima(points, walled), 1, optimizer=NudgedElastic(), progress=False)
    found = transition_states(built)
    assert found.ends.tolist() == [[0, 1], [2, 3]]
    np.testing.assert_allclose(found.values, 1 / 16, atol=1e-9)
    np.testing.assert_allclose(found.points, [[-2.0], [2.0]], atol=1e-4)
    assert np.isinf(found.to_scores).sum() == 2
    assert nx.number_connected_components(found.to_networkx()) == 2


def test_an_edge_no_higher_than_its_end_is_a_merge_without_a_saddle() -> None:
    """A point on a slope, which is no minimum, has TO-score 0."""
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    minima = Minima(points, lambda x: x.square().sum(dim=1))
    built = build_complex(minima, 1, optimizer=NudgedElastic(), certify=True, progress=False)
    found = transition_states(built)
    assert found.certified.tolist() == [False]
    assert found.to_scores.tolist() == [np.inf, 0.0]
    assert found.barriers.tolist() == [[1.0, 0.0]]
    np.testing.assert_array_equal(found.points, [[1.0, 0.0]])


def test_the_graph_has_all_that_the_states_have(states: TransitionStates) -> None:
    graph = states.to_networkx()
    assert nx.is_tree(graph)
    assert sorted(graph) == [0, 1, 2, 3]
    for i, (a, b) in enumerate(states.ends.tolist()):
        edge = graph.edges[b, a]
        assert (edge["value"], edge["certified"]) == (states.values[i], True)
        assert [edge["barriers"][end] for end in (a, b)] == states.barriers[i].tolist()
        np.testing.assert_array_equal(edge["point"], states.points[i])
    for i, value in enumerate(states.minima.values):
        node = graph.nodes[i]
        assert (node["value"], node["to_score"]) == (value, states.to_scores[i])
        np.testing.assert_array_equal(node["point"], states.minima.points[i])


def test_to_scores_are_those_of_the_filtration() -> None:
    built = complex_of(himmelblau())
    np.testing.assert_array_equal(transition_states(built).to_scores, to_scores(built.filtration))


@pytest.mark.parametrize("coordinates", [False, True])
def test_files_hold_the_tables_to_the_last_bit(
    states: TransitionStates, tmp_path: Path, coordinates: bool
) -> None:
    states.save_csv(tmp_path / "new" / "folder", coordinates=coordinates)
    tables = states.tables(coordinates=coordinates)
    for name, columns in zip(tables._fields, tables, strict=True):
        with (tmp_path / "new" / "folder" / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert header == list(columns)
        assert ("x1" in header) == coordinates
        for column, texts in zip(columns.values(), zip(*rows, strict=True), strict=True):
            read = [text == "True" if column.dtype == bool else float(text) for text in texts]
            np.testing.assert_array_equal(read, column)
    assert len(tables.minima["value"]) == 4
    assert len(tables.transition_states["value"]) == 3


def test_pandas_takes_the_tables(states: TransitionStates) -> None:
    table = pandas.DataFrame(states.tables(coordinates=True).transition_states)
    assert table.shape == (3, 8)
    np.testing.assert_array_equal(table["value"].to_numpy(), states.values)


def test_arrays_are_read_only(states: TransitionStates) -> None:
    for array in (states.values, states.points, states.to_scores, states.ends, states.certified):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
