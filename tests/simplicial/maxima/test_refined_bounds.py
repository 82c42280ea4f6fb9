"""The bound of a linear piece from its corners, and what is allowed for where it is too low."""

from collections.abc import Callable
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Edgewise
from simplicial.evaluation import values_and_gradients
from simplicial.maps.mesh import Mesh
from simplicial.maxima.bernstein import bernstein_range
from simplicial.maxima.pieces import EvaluatedSimplices
from simplicial.maxima.refined import Refinement, refined_maxima
from simplicial.options import MEMORY


def on_a_segment(formula: Callable[[Tensor], Tensor], known: float, tolerance: float) -> Refinement:
    """The largest of formula(x) on [0, 1], a single linear piece."""
    points = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    order = torch.as_tensor(Edgewise(1).control_points(1)[:, 1:])
    assert torch.equal(order, points)

    def loss(x: Tensor) -> Tensor:
        return formula(x[:, 0])

    at_controls = values_and_gradients(loss, points)
    mesh, face_maxima = Mesh.of(Edgewise(1), 1), np.array([known])
    segment = EvaluatedSimplices(points, at_controls, np.array([[0, 1]]), mesh)
    return refined_maxima(loss, segment, known=face_maxima, tolerance=tolerance, memory=MEMORY)


@pytest.mark.parametrize("r", [1, 2, 3])
def test_coefficients_of_quadratics_are_exact(r: int) -> None:
    """Largest and smallest of all cubic Bernstein coefficients, by polar forms."""
    rng = np.random.default_rng(r)
    for _ in range(30):
        a, b, corners = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=(r + 1, 4))
        a = a + a.T
        polar = corners @ a @ corners.T + ((corners @ b)[:, None] + corners @ b) / 2
        slopes = 2 * corners @ a + b
        rises = np.einsum("id,ijd->ij", slopes, corners[None] - corners[:, None])
        highest_found, lowest_found = bernstein_range(np.diag(polar)[None].copy(), rises[None])
        expected = [
            np.mean([polar[pair] for pair in combinations(three, 2)])
            for three in combinations_with_replacement(range(r + 1), 3)
        ]
        assert highest_found[0] == pytest.approx(max(expected))
        assert lowest_found[0] == pytest.approx(min(expected))


def test_a_piece_may_exceed_itscubic_values() -> None:
    """A quartic whose cubic has its maximum, 5, at a corner, and which is higher before it."""

    def quartic(x: Tensor) -> Tensor:
        return 5 * (3 * x**2 - 2 * x**3) + 1.3 * 16 * (x * (1 - x)) ** 2

    expected = quartic(torch.linspace(0, 1, 100_001, dtype=torch.float64)).max().item()
    assert expected > 5.03
    assert on_a_segment(quartic, 5.0, 1e-9).maxima.values[0] == pytest.approx(expected, abs=1e-8)


def test_a_surprise_at_a_midpoint_is_followed_up() -> None:
    """Two humps on both sides of the midpoint, where the loss is 1 and level: neither the corners
    nor the midpoint shows that it is higher elsewhere, but the midpoint is a surprise."""

    def humps(x: Tensor) -> Tensor:
        u = (2 * x - 1) ** 2
        return (1 - u) ** 2 * (1 + 3 * u) + 1e-3 * x * (1 - x)

    expected = humps(torch.linspace(0, 1, 100_001, dtype=torch.float64)).max().item()
    assert expected > 1.05
    assert on_a_segment(humps, 0.0, 1e-9).maxima.values[0] == pytest.approx(expected, abs=1e-8)


def test_a_cubic_takes_few_evaluations() -> None:
    """No surprise anywhere, so allowances shrink with every halving; one more, at the centre."""
    found = on_a_segment(lambda x: x * (1 - x) * (2 - x), 0.0, 1e-6)
    expected = 1 - 1 / np.sqrt(3)
    assert found.maxima.values[0] == pytest.approx(
        expected * (1 - expected) * (2 - expected), abs=1e-6
    )
    assert found.evaluations.item() <= 18 + 1
