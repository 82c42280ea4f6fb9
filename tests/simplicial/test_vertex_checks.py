"""Signs that vertices are no minima."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nets import MLP, NetworkLoss, load_digits, train_minima
from nets.recipes import DIGITS_MLP
from simplicial import Loss, Minima, Recipe, build_complex, find_minima
from simplicial.loss import StochasticLoss
from simplicial.reports.status import RunStatus
from simplicial.vertex_checks import VertexChecks


class NoisyBowl(StochasticLoss):
    """|x|^2 / 2, of which mini-batch b is |x - c_b|^2 / 2; all c_b but the last have norm 1."""

    centres = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1], [100, 100]], dtype=torch.float64)

    def __call__(self, points: Tensor) -> Tensor:
        return points.square().sum(dim=1) / 2

    def estimates(self, batch_size: int, rng: np.random.Generator) -> Iterator[Loss]:
        for centre in self.centres:
            yield lambda points, c=centre: (points - c).square().sum(dim=1) / 2


def wells(points: Tensor) -> Tensor:
    return ((points**2 - 1) ** 2).sum(dim=1)


def untrained(factor: float) -> Minima:
    digits = load_digits()
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets)
    generator = torch.Generator().manual_seed(0)
    return Minima(factor * torch.randn(3, loss.dim, generator=generator), loss)


def test_the_scale_is_the_standard_deviation_of_mini_batches_gradients() -> None:
    points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [3.0, 4.0]], dtype=torch.float64)
    found = Minima(points, NoisyBowl()).checks()
    np.testing.assert_allclose(found.norms, [0, 0.5, 5])
    np.testing.assert_allclose(found.scales, np.sqrt(4 / 3))  # of four vectors of norm 1
    assert found.sloping.tolist() == [2]
    assert found.remark is not None
    assert (
        "1 of 3 are no minima (the gradient at 2 is 5, near a minimum below 1.15)" in found.remark
    )
    assert not len(found.untrained)


def test_without_mini_batches_gradients_between_vertices_are_the_scale() -> None:
    found = find_minima(wells, n=4, dim=2, seed=0)
    assert found.checks().remark is None
    between = Minima(torch.tensor([[1.0, 1.0], [0.6, -0.6]], dtype=torch.float64), wells)
    t = torch.tensor([[0.25], [0.5], [0.75]], dtype=torch.float64)
    line = between.points[0] + t * (between.points[1] - between.points[0])
    slopes = (4 * line * (line**2 - 1)).norm(dim=1).square()  # of the first pair, and the second
    np.testing.assert_allclose(between.checks().scales, float(0.5 * slopes.mean().sqrt()))
    assert between.checks().sloping.tolist() == [1]


@pytest.mark.parametrize("examples", [129, 140, 257, 385, 500])
def test_a_last_mini_batch_of_few_examples_hides_nothing(examples: int) -> None:
    digits = load_digits().subset(examples)
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets)
    fresh = train_minima(loss, 3, recipe=Recipe(epochs=0), seed=0, progress=False)
    found = fresh.checks()
    assert found.untrained.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.losses, fresh.values, rtol=0.03)
    if examples > 2 * 128:  # two full ones, between which there is noise
        assert (found.ratios > 0.9).all()


def test_a_run_of_one_network_stores_its_checks(tmp_path: Path) -> None:
    digits = load_digits()
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets)
    fresh = train_minima(loss, 1, recipe=Recipe(epochs=0), seed=0, progress=False)
    build_complex(fresh, 2, store=tmp_path, progress=False, tolerance=None)
    assert RunStatus.read(tmp_path).checks.untrained.tolist() == [0]


def test_one_vertex_without_mini_batches_has_no_scale() -> None:
    found = Minima(torch.tensor([[0.5, 0.5]]), wells).checks()
    assert np.isnan(found.scales).all()
    assert found.remark is None


def test_untrained_and_random_networks_are_no_minima() -> None:
    assert untrained(1.0).checks().sloping.tolist() == [0, 1, 2]
    small = untrained(1e-3).checks()  # a plateau: the gradient is small, nothing was learnt
    assert small.untrained.tolist() == [0, 1, 2]
    digits = load_digits()
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets)
    fresh = train_minima(loss, 3, recipe=Recipe(epochs=0), seed=0, progress=False).checks()
    assert fresh.sloping.tolist() == fresh.untrained.tolist() == [0, 1, 2]
    assert fresh.remark is not None
    assert "3 of 3 have learnt next to nothing" in fresh.remark


def test_trained_networks_pass() -> None:
    digits = load_digits()
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets, weight_decay=1e-3)
    recipe = DIGITS_MLP.changed(epochs=20, weight_decay=0.0)
    found = train_minima(loss, 3, recipe=recipe, seed=0, progress=False).checks()
    assert found.remark is None
    assert (found.ratios < 0.5).all()
    assert (found.shuffled > 5 * found.losses).all()  # confident, and wrong of others' targets


def test_nothing_is_said_of_what_is_not_known() -> None:
    unknown = VertexChecks.unknown(3)
    assert unknown.remark is None
    assert np.isnan(unknown.ratios).all()
