"""The plane through three points: against direct evaluation, and its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial import Evaluation, PlaneSamples, sample_plane
from simplicial.loss import ScoredLoss

POINTS = torch.tensor(
    [[0.5, -1.0, 2.0, 0.0], [1.5, 1.0, 2.5, -1.0], [-1.0, 0.5, 1.0, 2.0]], dtype=torch.float64
)


def bowl(x: Tensor) -> Tensor:
    return (x - POINTS[0].to(x)).square().sum(dim=1) + torch.sin(x[:, 1])


class Scored(ScoredLoss):
    def __call__(self, points: Tensor) -> Tensor:
        return bowl(points)

    def evaluate(self, points: Tensor) -> Evaluation:
        return Evaluation(bowl(points).numpy(), torch.sigmoid(points[:, 0]).numpy())


@pytest.fixture(scope="module")
def plane() -> PlaneSamples:
    return sample_plane(Scored(), POINTS, margin=0.3, resolution=20)


def test_it_is_the_affine_plane_of_the_points_with_lengths_kept(plane: PlaneSamples) -> None:
    torch.testing.assert_close(plane.axes @ plane.axes.T, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(plane.points(plane.corners), POINTS)
    np.testing.assert_allclose(plane.project(POINTS), plane.corners, atol=1e-12)
    assert plane.corners[0].tolist() == [0, 0]
    assert plane.corners[1, 0] == pytest.approx(float((POINTS[1] - POINTS[0]).norm()))
    assert plane.corners[1, 1] == pytest.approx(0, abs=1e-12)
    assert plane.corners[2, 1] > 0


def test_values_are_those_of_direct_evaluation(plane: PlaneSamples) -> None:
    """At affine combinations of the three points, in and beyond the triangle."""
    matrix = np.concatenate([plane.corners.T, np.ones((1, 3))])
    for i, v in enumerate(plane.v):
        shares = np.linalg.solve(
            matrix, np.stack([plane.u, np.full(len(plane.u), v), 1 + 0 * plane.u])
        )
        points = torch.as_tensor(shares.T) @ POINTS
        np.testing.assert_allclose(plane.loss[i], bowl(points).numpy(), rtol=1e-12, atol=1e-12)
        assert plane.accuracy is not None
        np.testing.assert_allclose(plane.accuracy[i], torch.sigmoid(points[:, 0]).numpy())


def test_the_margin_is_around_the_triangle(plane: PlaneSamples) -> None:
    low, high = plane.corners.min(axis=0), plane.corners.max(axis=0)
    margin = 0.3 * (high - low).max()
    np.testing.assert_allclose([plane.u[0], plane.v[0]], low - margin)
    np.testing.assert_allclose([plane.u[-1], plane.v[-1]], high + margin)
    assert max(len(plane.u), len(plane.v)) == 21
    bare = sample_plane(bowl, POINTS, margin=0, resolution=2)
    assert bare.accuracy is None
    assert bare.u[0] == plane.corners[:, 0].min()


def test_float32_points_keep_their_type() -> None:
    single = sample_plane(bowl, POINTS.float(), resolution=4)
    assert single.axes.dtype == torch.float32
    torch.testing.assert_close(single.points(single.corners), POINTS.float())


def test_a_csv_has_a_row_for_each_point(plane: PlaneSamples, tmp_path: Path) -> None:
    plane.save_csv(tmp_path / "plane.csv")
    assert (tmp_path / "plane.csv").read_text().startswith("u,v,loss,accuracy\n")
    table = np.loadtxt(tmp_path / "plane.csv", delimiter=",", skiprows=1)
    assert table.shape == (plane.loss.size, 4)
    np.testing.assert_array_equal(table[:, 2].reshape(plane.loss.shape), plane.loss)
    np.testing.assert_array_equal(table[: len(plane.u), 0], plane.u)
    np.testing.assert_array_equal(table[:: len(plane.u), 1], plane.v)


def test_a_vtk_file_is_read_back(plane: PlaneSamples, tmp_path: Path) -> None:
    """By the words of the legacy format."""
    plane.save_vtk(tmp_path / "plane.vtk")
    lines = (tmp_path / "plane.vtk").read_text().splitlines()
    assert lines[0] == "# vtk DataFile Version 3.0"
    assert lines[2:4] == ["ASCII", "DATASET STRUCTURED_POINTS"]
    fields = {line.split()[0]: line.split()[1:] for line in lines[4:8]}
    p, q, r = map(int, fields["DIMENSIONS"])
    assert (q, p, r) == (*plane.loss.shape, 1)
    assert fields["POINT_DATA"] == [str(p * q)]
    origin, spacing = (np.array(fields[name], float) for name in ("ORIGIN", "SPACING"))
    np.testing.assert_allclose(origin[0] + spacing[0] * np.arange(p), plane.u)
    np.testing.assert_allclose(origin[1] + spacing[1] * np.arange(q), plane.v)
    assert lines[8:10] == ["SCALARS loss double 1", "LOOKUP_TABLE default"]
    values = np.array(" ".join(lines[10 : 10 + q]).split(), float)
    np.testing.assert_array_equal(values.reshape(q, p), plane.loss)
    assert lines[10 + q] == "SCALARS accuracy double 1"


def test_points_where_the_loss_is_not_finite_are_nan() -> None:
    def cut(x: Tensor) -> Tensor:
        return bowl(x) + torch.where(x[:, 0] < 0, torch.inf, 0.0)

    found = sample_plane(cut, POINTS, resolution=10)
    whole = sample_plane(bowl, POINTS, resolution=10)
    finite = np.isfinite(found.loss)
    assert 0 < finite.sum() < finite.size
    np.testing.assert_array_equal(found.loss[finite], whole.loss[finite])
    assert np.isnan(found.loss[~finite]).all()


def test_points_on_a_line_are_refused() -> None:
    with pytest.raises(ShapeError, match="three points that lie on no line"):
        sample_plane(bowl, torch.stack([POINTS[0], POINTS[1], (POINTS[0] + POINTS[1]) / 2]))
    with pytest.raises(ShapeError, match="goes through three points, a tensor"):
        sample_plane(bowl, POINTS[:2])
    with pytest.raises(OptionError, match="margin must be a share"):
        sample_plane(bowl, POINTS, margin=-1.0)
