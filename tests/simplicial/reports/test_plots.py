"""Pictures: what is drawn is what the complex knows."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from reduction import ShapeError
from simplicial import (
    Algorithm1,
    Edgewise,
    LossComplex,
    LossWarning,
    Maximum,
    Minima,
    OptimisedSimplex,
    Recipe,
    build_complex,
    find_minima,
    plot_edge,
    plot_plane,
    plot_triangle,
    sample_plane,
)
from simplicial.errors import RunError
from simplicial.landscapes import himmelblau
from simplicial.reports.result_folder import longest_triangle, write_report


@pytest.fixture(scope="module")
def complex_() -> LossComplex:
    with pytest.warns(LossWarning, match="were worse after training"):  # so few steps
        return build_complex(
            find_minima(himmelblau(), seed=0),
            optimizer=Algorithm1(recipe=Recipe(epochs=50, learning_rate=1e-3, weight_decay=0.0)),
            simplex_map=Edgewise(4),
            resolution=12,
            tolerance=None,
            progress=False,
        )


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def test_an_edge_is_drawn_from_vertex_to_vertex(complex_: LossComplex) -> None:
    ax = plot_edge(complex_[(0, 2)], straight=True)
    optimised, straight = ax.lines
    t, height = np.asarray(optimised.get_xdata()), np.asarray(optimised.get_ydata())
    np.testing.assert_allclose(t, np.arange(13) / 12)
    values = himmelblau()(complex_[(0, 2)](np.stack([1 - t, t], axis=1))).numpy()
    np.testing.assert_allclose(height, values, atol=1e-9)
    assert height.max() == complex_[(0, 2)].maximum.value
    ends = complex_.minima.points[[0, 2]]
    middle = himmelblau()(ends.mean(dim=0, keepdim=True)).item()
    assert np.asarray(straight.get_ydata())[6] == pytest.approx(middle)


def test_a_triangle_is_drawn_with_its_lattice_and_its_maximum(complex_: LossComplex) -> None:
    axes = plt.subplots()[1]
    assert plot_triangle(complex_[(0, 1, 2)], ax=axes) is axes
    (mesh,) = [c for c in axes.collections if hasattr(c, "_triangulation")]
    values = np.asarray(mesh.get_array())
    assert values.max() == complex_[(0, 1, 2)].maximum.value
    assert values.size == 13 * 14 // 2
    (star,) = axes.lines
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    expected = complex_[(0, 1, 2)].maximum.barycentric @ corners
    np.testing.assert_allclose(np.array(star.get_xydata())[0], expected)


@pytest.fixture(scope="module")
def refined() -> LossComplex:
    loss = himmelblau()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)  # straight simplices
        return build_complex(
            Minima(torch.tensor(loss.minima), loss),
            optimizer=Algorithm1(recipe=Recipe(epochs=0)),
            resolution=5,
            progress=False,
        )


def test_the_star_stands_at_the_brightest_spot(refined: LossComplex) -> None:
    for simplex in (refined[tuple(v)] for v in refined.simplices[2].vertices.tolist()):
        assert simplex.samples is not None
        ax = plot_triangle(simplex)
        (mesh,) = [c for c in ax.collections if hasattr(c, "_triangulation")]
        values = np.asarray(mesh.get_array())
        triangles = mesh._triangulation  # pyright: ignore
        brightest = [triangles.x[values.argmax()], triangles.y[values.argmax()]]
        np.testing.assert_allclose(np.asarray(ax.lines[0].get_xydata())[0], brightest, atol=1e-9)
        assert values.max() == mesh.get_clim()[1] == simplex.maximum.value
        corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
        t = np.linalg.solve(
            np.vstack([corners.T, np.ones(3)]),
            np.stack([triangles.x, triangles.y, np.ones(len(values))]),
        ).T
        points = torch.as_tensor(t) @ refined.minima.points[list(simplex.vertices)]
        np.testing.assert_allclose(values, himmelblau()(points).numpy(), rtol=1e-9, atol=1e-9)
    sampled = [refined[tuple(v)].samples for v in refined.simplices[2].vertices.tolist()]
    maxima = [refined[tuple(v)].maximum.value for v in refined.simplices[2].vertices.tolist()]
    assert any(s.loss.max() < m for s, m in zip(sampled, maxima, strict=True) if s is not None)


def test_an_edge_reaches_its_largest_loss(refined: LossComplex) -> None:
    between = 0
    for edge in map(tuple, refined.simplices[1].vertices.tolist()):
        line = plot_edge(refined[edge]).lines[0]
        t, heights = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        assert heights.max() == refined[edge].maximum.value
        assert t[heights.argmax()] == refined[edge].maximum.barycentric[1]
        assert (np.diff(t) > 0).all()
        between += len(t) > 6
        plt.close("all")
    assert between > 0


@pytest.mark.parametrize("at", [[1.0], [0.25] * 4, [[0.5, 0.5]], [np.nan] * 3, [2.0, -1.0]])
def test_a_maximum_off_the_simplex_is_refused_before_the_loss_is_evaluated(
    refined: LossComplex, at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Maximum(1.0, np.array(at), torch.zeros(2))
    monkeypatch.delattr(OptimisedSimplex, "evaluate")
    for draw, which, count in ((plot_edge, (0, 1), "two"), (plot_triangle, (0, 1, 2), "three")):
        simplex = replace(refined[which], maximum=nowhere)
        with pytest.raises(ShapeError, match=f"^a maximum has {count} barycentric coordinates"):
            draw(simplex)


def test_the_longest_triangle_ends_the_longest_bar(complex_: LossComplex) -> None:
    barcode = complex_.barcode()
    death = complex_[longest_triangle(complex_, barcode)].maximum.value
    bars = barcode[1]
    assert death == bars[np.argmax(bars[:, 1] - bars[:, 0]), 1]


def test_a_report_is_whole_and_never_overwrites(complex_: LossComplex, tmp_path: Path) -> None:
    barcode, folder = complex_.barcode(), tmp_path / "deep" / "run"
    names = write_report(folder, complex_, barcode, {"seed": 0})
    assert names == sorted(path.name for path in folder.iterdir())
    assert [path.name for path in folder.parent.iterdir()] == ["run"]
    before = (folder / "barcodes.json").read_bytes()
    with pytest.raises(RunError, match=r"must be new or empty, .* holds another run"):
        write_report(folder, complex_, barcode, {"seed": 0})
    assert (folder / "barcodes.json").read_bytes() == before


def test_a_report_that_fails_leaves_nothing(complex_: LossComplex, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "run", complex_, complex_.barcode(), {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_torch_tensors_of_other_types_are_drawn(tmp_path: Path) -> None:
    minima = find_minima(himmelblau(), seed=0)
    single = type(minima)(minima.points.float(), himmelblau())
    built = build_complex(
        single,
        optimizer=Algorithm1(recipe=Recipe(epochs=2, learning_rate=1e-3)),
        resolution=6,
        progress=False,
    )
    assert built.control_points.dtype == torch.float32
    write_report(tmp_path / "run", built, built.barcode(), {})


def test_the_plane_is_drawn_with_its_values_and_its_triangle(complex_: LossComplex) -> None:
    """Himmelblau's function, whose plane is that of its two variables, turned."""
    plane = sample_plane(himmelblau(), complex_.minima.points[[0, 1, 2]], resolution=16)
    ax = plot_plane(plane)
    mesh = ax.collections[0]
    shown = np.asarray(mesh.get_array()).reshape(plane.loss.shape)
    u, v = np.meshgrid(plane.u, plane.v)
    points = plane.points(np.stack([u.ravel(), v.ravel()], axis=1))
    np.testing.assert_allclose(10 ** shown.ravel(), himmelblau()(points).numpy(), rtol=1e-9)
    triangle = np.asarray(ax.lines[0].get_xydata())
    np.testing.assert_allclose(triangle[:3], plane.corners)
    axes = plt.subplots()[1]
    assert plot_plane(plane, ax=axes) is axes


def test_keywords_of_matplotlib_are_passed_on(complex_: LossComplex) -> None:
    figure, axes = plt.subplots(1, 3)
    triangle = plot_triangle(complex_[(0, 1, 2)], ax=axes[0], vmin=-5.0, vmax=300.0, cmap="magma")
    (mesh, *_) = triangle.collections
    assert mesh.get_clim() == (-5.0, 300.0)
    assert mesh.get_cmap().name == "magma"
    edge = plot_edge(complex_[(0, 2)], ax=axes[1], c="black", label="here", marker="", ms=5)
    (line,) = edge.lines
    assert (line.get_color(), line.get_label(), line.get_marker()) == ("black", "here", "")
    corners = complex_.minima.points[:3]
    samples = sample_plane(complex_.minima.loss, corners, resolution=8)
    logarithms, losses = plot_plane(samples), plot_plane(samples, ax=axes[2], vmax=200.0)
    assert losses.collections[0].get_clim()[1] == 200.0
    drawn: Any = losses.collections[0].get_array()
    assert np.array_equal(drawn.ravel(), samples.loss.ravel())
    assert logarithms.collections[0].get_clim()[1] < 200.0
    assert all(ax.figure is figure for ax in (triangle, edge, losses))
