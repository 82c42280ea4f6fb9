"""The simplices of a complex under another loss: its largest values on the same maps."""

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import (
    Barycentric,
    LossComplex,
    LossWarning,
    Minima,
    NudgedElastic,
    build_complex,
    with_loss,
)
from simplicial.landscapes import himmelblau

pytestmark = pytest.mark.filterwarnings("ignore:.*keep their start")


def built(**options: object) -> LossComplex:
    loss = himmelblau()
    minima = Minima(torch.tensor(loss.minima), loss)
    optimizer = NudgedElastic(segments=4, steps=5)
    return build_complex(minima, 3, optimizer=optimizer, progress=False, **options)  # pyright: ignore


def tilted(points: Tensor) -> Tensor:
    return himmelblau()(points) + 20 * points[:, 0] - 3 * points[:, 1]


@pytest.mark.parametrize("tolerance", [None, 1e-7])
def test_the_loss_that_it_was_built_for_gives_the_same_values(tolerance: float | None) -> None:
    before = built(tolerance=tolerance, resolution=5)
    after = with_loss(before, before.minima.loss, tolerance=tolerance, resolution=5, progress=False)
    for was, now in zip(before.maxima, after.maxima, strict=True):
        np.testing.assert_array_equal(was, now)
    assert torch.equal(before.control_points, after.control_points)


def test_values_are_the_other_losss_on_the_same_maps() -> None:
    before = built(tolerance=None, resolution=5)
    after = with_loss(before, tilted, tolerance=None, resolution=7, progress=False)
    for vertices in [(0, 1), (1, 3), (0, 1, 2), (0, 1, 2, 3)]:
        r = len(vertices) - 1
        corners = torch.cartesian_prod(*[torch.arange(8)] * (r + 1)).double()
        t = (corners[corners.sum(dim=1) == 7] / 7).numpy()
        points = before[vertices](t)
        assert after[vertices].maximum.value == pytest.approx(
            float(tilted(points).max()), rel=1e-12
        )
    at_minima = tilted(before.minima.points).numpy()
    np.testing.assert_array_equal(after.minima.values, at_minima)


def test_refined_maxima_are_those_of_the_other_loss() -> None:
    before = built(tolerance=None, resolution=5)
    after = with_loss(before, tilted, progress=False)
    t = np.linspace(0, 1, 20_001)
    for edge in [(0, 1), (0, 2), (2, 3)]:
        points = before[edge](np.stack([1 - t, t], axis=1))
        found, scanned = after[edge].maximum.value, float(tilted(points).max())
        assert scanned <= found + 1e-9
        assert found == pytest.approx(scanned, abs=1e-4)


def test_simplices_on_which_the_loss_is_not_finite_are_missing() -> None:
    before = built(tolerance=None, resolution=5)
    line = before[(0, 1)](np.array([[0.4, 0.6]]))[0]

    def broken(points: Tensor) -> Tensor:
        near = (points - line).norm(dim=1) < 1e-9
        return torch.where(near, torch.nan, himmelblau()(points))

    with pytest.warns(LossWarning, match="have no finite loss and are missing"):
        after = with_loss(before, broken, tolerance=None, resolution=5, progress=False)
    assert after.missing[1].tolist() == [[0, 1]]


def test_the_map_stays() -> None:
    loss = himmelblau()
    minima = Minima(torch.tensor(loss.minima), loss)
    of_barycentric = build_complex(minima, 1, simplex_map=Barycentric(), progress=False)
    assert with_loss(of_barycentric, tilted, progress=False).simplex_map == Barycentric()
