"""The builder, Algorithm 2, the filtration, eq. 3 and what a complex answers."""

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import DataError, DimensionError
from simplicial import (
    Algorithm1,
    Barycentric,
    Edgewise,
    Evaluation,
    LossComplex,
    Minima,
    NudgedElastic,
    Optimizer,
    Recipe,
    build_complex,
    find_minima,
)
from simplicial.errors import LossError
from simplicial.landscapes import double_well, himmelblau
from simplicial.loss import ScoredLoss
from simplicial.maps.base import SimplexMap

RNG = np.random.default_rng(100)
POINTS = torch.as_tensor(RNG.standard_normal((5, 3)))

# few steps, each at one random point, leave some simplices higher than they began
pytestmark = pytest.mark.filterwarnings("ignore:.*worse after training than where it began")


def wavy(x: Tensor) -> Tensor:
    return torch.sin(3 * x).sum(dim=1) + x.square().sum(dim=1) / 3


class Counting(ScoredLoss):
    """A loss with an accuracy, which counts the points that it is asked for."""

    def __init__(self) -> None:
        self.points = 0

    def __call__(self, points: Tensor) -> Tensor:
        return wavy(points)

    def evaluate(self, points: Tensor) -> Evaluation:
        self.points += len(points)
        values = wavy(points).numpy()
        return Evaluation(values, np.cos(values))


def build(
    max_dim: int = 3,
    simplex_map: SimplexMap | None = None,
    loss: "Counting | None" = None,
    resolution: int = 8,
    epochs: int = 20,
) -> LossComplex:
    return build_complex(
        Minima(POINTS, loss or wavy),
        max_dim,
        optimizer=Algorithm1(recipe=Recipe(epochs=epochs, learning_rate=0.02, weight_decay=0.0)),
        simplex_map=simplex_map,
        resolution=resolution,
        tolerance=None,
        seed=1,
        progress=False,
    )


def all_lattice_points(r: int, resolution: int) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(resolution + 1)] * (r + 1)), -1).reshape(-1, r + 1)
    return grid[grid.sum(axis=1) == resolution] / resolution


@pytest.mark.parametrize("simplex_map", [Barycentric(), Edgewise(4), Edgewise(2)])
def test_values_are_the_lattice_maxima_of_the_whole_simplex(simplex_map: SimplexMap) -> None:
    """Algorithm 2 on the simplex itself, faces included, by brute force: nothing inherited."""
    built = build(simplex_map=simplex_map)
    for r in range(4):
        t = all_lattice_points(r, 8)
        for vertices, value in zip(
            built.filtration.vertices[r], built.filtration.values[r], strict=True
        ):
            simplex = built[tuple(int(v) for v in vertices)]
            losses = wavy(simplex(t)).numpy()
            assert value == pytest.approx(losses.max(), rel=1e-12)
            assert simplex.maximum.value == value
            assert wavy(simplex.maximum.point[None]).item() == pytest.approx(value, rel=1e-12)
            at = simplex(simplex.maximum.barycentric)
            torch.testing.assert_close(at[0], simplex.maximum.point)


def test_simplices_share_their_faces() -> None:
    """On a face of a tetrahedron the map is the face's own."""
    built = build(simplex_map=Edgewise(5))
    t = np.random.default_rng(3).dirichlet(np.ones(3), 30)
    for face in combinations(range(4), 3):
        inside = np.zeros((30, 4))
        inside[:, face] = t
        torch.testing.assert_close(
            built[0, 1, 3, 4](inside), built[tuple(np.take([0, 1, 3, 4], face))](t)
        )


def test_every_point_is_evaluated_once() -> None:
    """Interior lattice points alone: C(k-1, r) for each of the C(5, r+1) simplices; vertices
    once. Where simplices are trained, a few points of their starts are, too."""
    loss = Counting()
    build(max_dim=3, loss=loss, epochs=0)
    assert loss.points == sum(comb(7, r) * comb(5, r + 1) for r in range(4))


def test_samples_are_the_loss_and_accuracy_on_the_lattice() -> None:
    built = build(max_dim=3, loss=Counting())
    for vertices in [(2,), (1, 4), (0, 2, 3)]:
        samples = built[vertices].samples
        assert samples is not None
        expected = all_lattice_points(len(vertices) - 1, 8)
        np.testing.assert_array_equal(
            np.unique(samples.barycentric, axis=0), np.unique(expected, axis=0)
        )
        values = wavy(built[vertices](samples.barycentric)).numpy()
        np.testing.assert_allclose(samples.loss, values, rtol=1e-12)
        assert samples.accuracy is not None
        np.testing.assert_allclose(samples.accuracy, np.cos(values), rtol=1e-12)
    assert built[(0, 1, 2, 3)].samples is None
    without = build(max_dim=1)[(0, 1)].samples
    assert without is not None
    assert without.accuracy is None


def test_vertices_are_the_points_and_their_values() -> None:
    built = build()
    for v in range(5):
        assert torch.equal(built[(v,)]([[1.0]])[0], POINTS[v])
        assert built[(v,)].maximum.value == wavy(POINTS[v : v + 1]).item()


def test_four_minima_have_four_triples_and_three_cycles() -> None:
    """Eq. 3's union over triples has four bars; of the complex, zero-length ones kept, three."""
    built = build_complex(
        Minima(POINTS[:4], wavy),
        2,
        optimizer=Algorithm1(recipe=Recipe(epochs=5)),
        resolution=6,
        progress=False,
    )
    triplets = built.triplet_barcode()
    assert triplets.shape == (4, 2)
    assert len(built.barcode(keep_zero=True)[1]) == 3
    for row, triple in zip(triplets, [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)], strict=True):
        sides = [built[side].maximum.value for side in combinations(triple, 2)]
        np.testing.assert_array_equal(row, [max(sides), built[triple].maximum.value])


def test_double_well_in_the_plane() -> None:
    """Barcode^0 three bars [0, 1], Barcode^1 one bar [1, 2], by Algorithm 1 with 8 segments."""
    well = double_well(2)
    built = build_complex(
        find_minima(well, n=8, dim=2, seed=0),
        max_dim=2,
        optimizer=Algorithm1(
            recipe=Recipe(epochs=1000, learning_rate=0.01, weight_decay=0.0), samples=4
        ),
        simplex_map=Edgewise(8),
        resolution=64,
        seed=0,
        progress=False,
    )
    barcode = built.barcode()
    assert len(barcode) == 2
    np.testing.assert_allclose(barcode.essential(0), [0.0], atol=1e-6)
    np.testing.assert_allclose(barcode.finite(0), [[0, 1]] * 3, atol=0.02)
    np.testing.assert_allclose(barcode[1], [[1, 2]], atol=0.02)
    assert barcode.w_inf(1) == pytest.approx(1 / np.sqrt(2), abs=0.02)


def test_trainable_sides_still_give_a_filtration() -> None:
    """Faces are evaluated after all training, so no face lies above its simplex."""
    built = build_complex(
        Minima(POINTS, wavy),
        3,
        optimizer=Algorithm1(recipe=Recipe(epochs=30), sides="trainable"),
        resolution=6,
        tolerance=None,
        progress=False,
    )
    t = all_lattice_points(1, 6)
    for edge, value in zip(built.filtration.vertices[1], built.filtration.values[1], strict=True):
        largest = wavy(built[tuple(int(v) for v in edge)](t)).max().item()
        assert value == pytest.approx(largest, rel=1e-12)


def test_save_and_load(tmp_path: Path) -> None:
    built = build(max_dim=3, simplex_map=Edgewise(4), loss=Counting())
    built.save(tmp_path / "complex.npz")
    loaded = LossComplex.load(tmp_path / "complex.npz", Counting())
    assert torch.equal(loaded.control_points, built.control_points)
    assert loaded.simplex_map == Edgewise(4)
    for ours, theirs in zip(loaded.filtration.values, built.filtration.values, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    ours, theirs = loaded[(0, 1, 3)].samples, built[(0, 1, 3)].samples
    assert ours is not None
    assert theirs is not None
    np.testing.assert_array_equal(ours.loss, theirs.loss)
    np.testing.assert_array_equal(ours.accuracy, theirs.accuracy)
    np.testing.assert_array_equal(
        loaded[(0, 1, 3)].maximum.barycentric, built[(0, 1, 3)].maximum.barycentric
    )


def test_a_complex_is_not_loaded_with_another_loss(tmp_path: Path) -> None:
    build(max_dim=1).save(tmp_path / "complex.npz")
    with pytest.raises(LossError, match="must be read with the loss that it was built for"):
        LossComplex.load(tmp_path / "complex.npz", himmelblau_in_three)


def himmelblau_in_three(x: Tensor) -> Tensor:
    return himmelblau()(x[:, :2])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "complex.npz"
    build(max_dim=2).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match="is no loss complex of version 5, or was altered"):
        LossComplex.load(path, wavy)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(DataError, match="is no loss complex"):
        LossComplex.load(tmp_path / "other.npz", wavy)
    build(max_dim=1).filtration.save(tmp_path / "filtration.npz")
    with pytest.raises(DataError, match="is no loss complex"):
        LossComplex.load(tmp_path / "filtration.npz", wavy)


def test_eq_3_needs_triangles() -> None:
    with pytest.raises(DimensionError, match=r"eq\. 3 needs triangles, the complex has max_dim=1"):
        build(max_dim=1).triplet_barcode()


def test_a_map_of_the_callers_own_is_not_saved_as_another(tmp_path: Path) -> None:
    class Own(Barycentric):
        """Its file would be read as the paper's map."""

    with pytest.raises(DataError, match="names its map, Barycentric or Edgewise, got Own"):
        build(max_dim=1, simplex_map=Own()).save(tmp_path / "complex.npz")


@pytest.mark.parametrize("key", ["largest_1", "place_2", "pool", "loss_2", "resolution", "values"])
def test_an_altered_file_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "complex.npz"
    build(max_dim=2).save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays[key] = arrays[key] + 3
    np.savez(path, **arrays)
    with pytest.raises((DataError, LossError)):
        LossComplex.load(path, wavy)


def test_a_loss_that_writes_into_its_points_changes_nothing() -> None:
    def writing(x: Tensor) -> Tensor:
        x *= 0.5
        return wavy(x)

    minima = Minima(POINTS, writing)
    assert torch.equal(minima.points, POINTS)
    few = Algorithm1(recipe=Recipe(epochs=3))
    built = build_complex(minima, 1, optimizer=few, progress=False)
    assert torch.equal(built.control_points[:5], POINTS)
    assert built.filtration.values[0][2] == wavy(POINTS[2:3] * 0.5).item()


@pytest.mark.parametrize("optimizer", [Algorithm1(recipe=Recipe(epochs=0)), NudgedElastic()])
def test_a_loss_that_is_not_finite_on_a_simplex_is_refused(optimizer: Optimizer) -> None:
    def pole(x: Tensor) -> Tensor:
        return torch.where(x[:, 0].abs() < 0.05, torch.inf, x.square().sum(dim=1))

    minima = Minima(torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64), pole)
    with pytest.raises(LossError, match="finite on every simplex: it is inf at point"):
        build_complex(minima, 1, optimizer=optimizer, progress=False)


@pytest.mark.parametrize(("old", "new"), [("pool", "control_points"), ("heights", "maxima")])
def test_former_names_of_a_complex_are_told(old: str, new: str) -> None:
    built = build(max_dim=1)
    with pytest.warns(DeprecationWarning, match=f"LossComplex.{old} is called {new} now"):
        assert getattr(built, old) is getattr(built, new)
    assert not hasattr(built, "gauge")


def test_another_loss_is_evaluated_along_a_simplex() -> None:
    """A loss on other data: the same simplex, its own values."""
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]], dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return x.square().sum(dim=1)

    def other(x: Tensor) -> Tensor:
        return (x - 1).abs().sum(dim=1)

    straight = Algorithm1(recipe=Recipe(epochs=0))
    complex_ = build_complex(Minima(points, loss), 2, optimizer=straight, progress=False)
    triangle = complex_[(0, 1, 2)]
    found = triangle.sample(8, loss=other)
    expected = other(torch.as_tensor(found.barycentric) @ points)
    np.testing.assert_allclose(found.loss, expected.numpy(), atol=1e-12)
    np.testing.assert_array_equal(triangle.evaluate([1, 0, 0], loss=other).loss, [2.0])
    np.testing.assert_array_equal(triangle.evaluate([1, 0, 0]).loss, [0.0])
    with pytest.raises(LossError, match="must be callable"):
        triangle.sample(8, loss=5)  # pyright: ignore[reportArgumentType]
