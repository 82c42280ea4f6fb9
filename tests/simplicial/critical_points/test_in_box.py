"""Losses on a box: searches stay in it, and complexes have the barcodes of the function in it."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from reduction import OptionError
from simplicial import (
    LossWarning,
    Minima,
    NudgedElastic,
    beta_skeleton,
    build_complex,
    delaunay_graph,
    find_minima,
    from_numpy,
    in_box,
)
from simplicial.landscapes import Landscape, ackley, griewank
from simplicial.loss import TwiceDifferentiatedLoss, WalledLoss
from tests.oracles.cubical import cubical_barcode, grid

Floats = NDArray[np.float64]
ELASTIC = NudgedElastic(segments=8)
BOX = np.array([[-1.0, -0.5], [1.0, 2.0]])


def falling(x: Tensor) -> Tensor:
    """Two wells at (-1, 0) and (1, 0), with a pass between them that sinks as y grows."""
    a, b = x.unbind(dim=1)
    return (a.square() - 1).square() * (2 - b / 2) + b.square() / 2


def long_bars(bars: Floats, least: float) -> Floats:
    return bars[bars[:, 1] - bars[:, 0] > least]


def bars_of_grid(landscape: Landscape, box: Floats, count: int) -> tuple[tuple[Floats, ...], float]:
    points = torch.tensor(grid(box, count).reshape(-1, 2))
    values = landscape(points).numpy().reshape(count, count)
    return cubical_barcode(values), float(np.ptp(values))


def test_whole_numbers_have_the_values_of_floats() -> None:
    """The nearest point of the box need not be a whole number."""
    loss = in_box(lambda x: x.square().sum(dim=1), [[-0.5, -0.5], [0.5, 0.5]])
    assert loss(torch.tensor([[3, 0], [0, 0], [-1, 2]])).tolist() == [0.25, 0.0, 0.5]


def test_a_path_does_not_gain_by_leaving_the_box() -> None:
    """The pass (0, 1/2), 1.875, is out of a box that ends at y = 0.25: there it is 1.90625."""
    minima = find_minima(in_box(falling, [[-2.0, -1.0], [2.0, 0.25]]), starts=50)
    assert len(minima) == 2
    bars = build_complex(minima, 1, optimizer=ELASTIC, progress=False).barcode()[0]
    assert bars[:, 1].min() == pytest.approx(1.90625, abs=1e-6)
    free = Minima(minima.points, falling)
    bars = build_complex(free, 1, optimizer=ELASTIC, progress=False).barcode()[0]
    assert bars[:, 1].min() == pytest.approx(1.875, abs=1e-6)


def test_griewanks_bars_of_index_zero_in_a_box_are_the_grids() -> None:
    box = np.array([[-5.0, -5.0], [6.0, 5.0]])
    landscape = griewank()
    true, span = bars_of_grid(landscape, box, 301)
    minima = find_minima(in_box(landscape, box), starts=400)
    assert minima.walls.any()
    complex = build_complex(
        minima, 1, graph=delaunay_graph(minima), optimizer=ELASTIC, progress=False
    )
    found, expected = (long_bars(b, 0.02 * span) for b in (complex.barcode()[0], true[0]))
    assert len(expected) == 7
    finite = np.isfinite(expected)
    np.testing.assert_allclose(
        np.sort(found[np.isfinite(found)]), np.sort(expected[finite]), atol=1e-3
    )


@pytest.mark.filterwarnings("ignore:.* worse after training")  # they keep their start
def test_what_ackleys_complex_lacks_is_what_the_search_says_it_left_out() -> None:
    """The cusp at the origin: without it the lowest bar is missing, with it none."""
    box = np.array([[-0.7, -0.6], [1.4, 0.7]])
    landscape = ackley()
    true, span = bars_of_grid(landscape, box, 401)
    with pytest.warns(LossWarning, match="a start ended lower than all minima found: 0 at"):
        minima = find_minima(in_box(landscape, box), starts=200)
    assert minima.search is not None
    left = minima.search.left_out
    assert left is not None
    assert left.lowest
    whole = Minima(torch.cat([torch.tensor([left.point]), minima.points]), minima.loss)
    expected = long_bars(true[0], 0.02 * span)
    assert len(expected) == 3
    assert expected[:, 0].min() < 0.01
    for vertices, lowest in ((minima, 2.57992756), (whole, 0.0)):
        graph = beta_skeleton(vertices)
        with warnings.catch_warnings():  # of edges that end at kinks, which are no passes
            warnings.simplefilter("ignore", LossWarning)
            complex = build_complex(vertices, 1, graph=graph, optimizer=ELASTIC, progress=False)
        found = long_bars(complex.barcode()[0], 0.02 * span)
        assert found[:, 0].min() == pytest.approx(lowest, abs=1e-6)
    # the grid has the cusp's slope of 2 over half a diagonal of its cells, 0.0045, too high
    assert len(found) == len(expected)
    ends = np.sort(found[np.isfinite(found)])
    np.testing.assert_allclose(ends, np.sort(expected[np.isfinite(expected)]), atol=0.01)


def test_it_is_the_loss_in_the_box_and_constant_outwards() -> None:
    loss = in_box(falling, BOX)
    inside = torch.rand(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(loss(inside), falling(inside))
    out = torch.tensor([[3.0, 1.0], [-2.0, 5.0]]).double().requires_grad_()
    nearest = torch.tensor([[1.0, 1.0], [-1.0, 2.0]]).double()
    assert torch.equal(loss(out), falling(nearest))
    (slope,) = torch.autograd.grad(loss(out).sum(), out)
    assert slope[0, 0] == 0
    assert slope[0, 1] != 0
    assert (slope[1] == 0).all()


def test_own_gradients_and_hessians_have_no_part_through_a_wall() -> None:
    def value(x: Floats) -> Floats:
        return falling(torch.tensor(x)).numpy()

    own = in_box(from_numpy(value, batched=True), BOX)
    points = torch.tensor([[0.3, 0.1], [3.0, 1.0], [-2.0, 5.0]]).double().requires_grad_()
    (expected,) = torch.autograd.grad(in_box(falling, BOX)(points).sum(), points)
    values, gradients = own.values_and_gradients(points.detach())  # pyright: ignore
    torch.testing.assert_close(values, in_box(falling, BOX)(points).detach())
    torch.testing.assert_close(gradients, expected, atol=1e-6, rtol=1e-6)

    class Twice(TwiceDifferentiatedLoss):
        """x^2 y, with its Hessian."""

        def __call__(self, points: Tensor) -> Tensor:
            return points[:, 0].square() * points[:, 1]

        def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
            a, b = points.unbind(dim=1)
            return self(points), torch.stack([2 * a * b, a.square()], dim=1)

        def hessian_products(self, points: Tensor, vectors: Tensor) -> Tensor:
            (a, b), (u, v) = points.unbind(dim=1), vectors.unbind(dim=1)
            return torch.stack([2 * b * u + 2 * a * v, 2 * a * u], dim=1)

    products = in_box(Twice(), BOX).hessian_products(  # pyright: ignore
        torch.tensor([[0.5, 1.0], [3.0, 1.0]]), torch.ones(2, 2)
    )
    torch.testing.assert_close(products, torch.tensor([[3.0, 1.0], [0.0, 0.0]]))


def test_a_search_has_walls_without_a_box_and_none_beyond_it() -> None:
    loss = in_box(lambda x: x.sum(dim=1), BOX)
    minima = find_minima(loss, starts=5)
    np.testing.assert_array_equal(minima.points, BOX[:1])
    np.testing.assert_array_equal(minima.walls, [[-1, -1]])
    with pytest.raises(OptionError, match="the box of a search lies in that of the loss"):
        find_minima(loss, box=[[-1.0, -1.0], [1.0, 2.0]])


def test_a_walled_loss_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(in_box(falling, BOX)))
    assert isinstance(again, WalledLoss)
    np.testing.assert_array_equal(again.domain, BOX)
