"""Simplices on ridges of symmetry, and in winding valleys, end as low as their critical points.

Barriers are computed by hand: the functions below are made for that.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simplicial import Edgewise, LossComplex, LossWarning, Minima, NudgedElastic, build_complex
from simplicial.reports.status import RunStatus
from tests.benchmarks.paths import Counter
from tests.oracles.ridges import (
    C3_BARRIER,
    PEAK,
    Loss,
    c3,
    c3_wells,
    coupled,
    double_well,
    peak,
    ring,
    tilted_ring,
    winding,
)


def build(loss: Loss, points: Any, max_dim: int = 1, **options: Any) -> LossComplex:
    given: dict[str, Any] = {"optimizer": NudgedElastic(), "progress": False}
    points = torch.as_tensor(np.asarray(points, dtype=np.float64))
    return build_complex(Minima(points, loss), max_dim, **(given | options))


def densest(built: LossComplex, loss: Loss) -> float:
    """The largest loss at 20,001 points of the first edge as it is stored."""
    s = np.linspace(0, 1, 20_001)
    return float(loss(built[(0, 1)](np.stack([1 - s, s], axis=1))).max())


def test_without_mending_a_path_stays_on_its_ridge() -> None:
    """The straight path of the ring runs over its middle, 1, where 7/16 is possible."""
    ends = [[-1.0, 0.0], [1.0, 0.0]]
    left = build(ring, ends, optimizer=NudgedElastic(mend=False))
    assert left.values[1][0] == pytest.approx(1.0, abs=1e-6)
    assert build(ring, ends).values[1][0] == pytest.approx(7 / 16, abs=1e-6)


def test_a_path_on_a_ridge_is_at_rest_at_once() -> None:
    """Rounding across it was taken for a slope, and control points were spread for 100 steps."""
    counted = Counter(ring)
    build(counted, [[-1.0, 0.0], [1.0, 0.0]], optimizer=NudgedElastic(mend=False))
    assert 0 < counted.gradients < 100  # 1,200 before


CALLS = [  # of ASE's climbing-image band, to 1e-6: docs/exact/paths.md
    (ring, [[-1.0, 0.0], [1.0, 0.0]], 891),
    (peak, [[-1.0, 0.0], [1.0, 0.0]], 451),
    (c3, c3_wells(2)[:2], 440),
    (double_well, [[-1.0] * 2, [1.0] * 2], 660),
]


@pytest.mark.parametrize(("loss", "points", "calls"), CALLS)
def test_barriers_take_no_more_gradients_than_climbing_bands(
    loss: Loss, points: Any, calls: int
) -> None:
    counted = Counter(loss)
    build(counted, points)
    assert 0 < counted.gradients <= calls


def test_an_edge_falls_from_an_end_that_is_no_minimum() -> None:
    """Down a winding valley from 9, past no pass; by relaxation alone it ends above 9."""
    loss, ends = winding(2, 5, 100, 0)
    high = [2.0, 2 * float(np.sin(10))]
    assert build(loss, [high, ends[1]]).values[1][0] == pytest.approx(9, abs=1e-6)


CORNERS = [([[-1.0] * d, [1.0] * d], 1.0) for d in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("loss", "points", "barrier"),
    [
        (ring, [[-1.0, 0.0], [1.0, 0.0]], 7 / 16),
        (ring, [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], 7 / 16),
        (peak, [[-1.0433248802995412, 0.0], [1.0433248802995412, 0.0]], PEAK),
        (peak, [[-1.0, 0.0], [1.0, 0.0]], PEAK),
        *[(double_well, points, barrier) for points, barrier in CORNERS],
    ],
)
def test_a_path_on_a_ridge_of_symmetry_leaves_it(
    loss: Loss, points: list[list[float]], barrier: float
) -> None:
    built = build(loss, points)
    assert built.values[1][0] == pytest.approx(barrier, abs=1e-6)
    assert densest(built, loss) == pytest.approx(barrier, abs=1e-6)


def test_coupled_wells() -> None:
    """Saddles by NumPy: a root of the gradient on the way to the higher wells."""
    x, y = 0.05, 0.99
    for _ in range(50):  # Newton's method
        g = np.array([4 * x * (x**2 - 1) - 0.2 * y, 4 * y * (y**2 - 1) - 0.2 * x])
        h = np.array([[12 * x**2 - 4, -0.2], [-0.2, 12 * y**2 - 4]])
        x, y = np.array([x, y]) - np.linalg.solve(h, g)
    w = np.linalg.eigvalsh(np.array([[12 * x**2 - 4, -0.2], [-0.2, 12 * y**2 - 4]]))
    assert w[0] < 0 < w[1]
    barrier = (x**2 - 1) ** 2 + (y**2 - 1) ** 2 - 0.2 * x * y
    well = np.sqrt(1.05)
    built = build(coupled, [[-well, -well], [well, well]])
    assert built.values[1][0] == pytest.approx(barrier, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_landscapes_with_a_planted_symmetric_ridge(seed: int) -> None:
    loss, ends, barrier = tilted_ring(seed)
    built = build(loss, ends)
    assert built.values[1][0] == pytest.approx(barrier, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "k"), [(1, 5, 10), (1, 5, 100), (2, 5, 10), (1, 9, 10), (0.5, 7, 30)]
)
def test_a_winding_valley_is_followed(a: float, b: float, k: float) -> None:
    loss, ends = winding(a, b, k, 0.7)
    built = build(loss, ends)
    assert built.values[1][0] == pytest.approx(1, abs=1e-6)
    assert densest(built, loss) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("steps", [200, 300, 400])
def test_more_steps_in_a_winding_valley_are_no_worse(steps: int) -> None:
    loss, ends = winding(2, 5, 100, 0)
    built = build(loss, ends, optimizer=NudgedElastic(segments=48, steps=steps))
    assert built.values[1][0] == pytest.approx(1, abs=1e-6)


def test_a_triangle_on_a_plane_of_symmetry_leaves_it() -> None:
    """In the plane it ends at the peak, 2 + 2; in space at u = z^2 of 2 + u + 2 exp(-4 u), lowest.

    That is u = log(8) / 4, where it is 2 + u + 1/4.
    """
    plane, space = build(c3, c3_wells(2), 2), build(c3, c3_wells(3), 2)
    assert plane.values[2][0] == pytest.approx(4, abs=1e-5)
    assert space.values[2][0] == pytest.approx(2.25 + np.log(8) / 4, abs=1e-5)
    for built in (plane, space):
        np.testing.assert_allclose(built.values[1], C3_BARRIER, rtol=0, atol=1e-6)


def test_diagonals_that_end_no_bar_stay_as_they_are() -> None:
    """Of a double well's four corners the sides have the bars: diagonals cross the maximum."""
    corners = [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]
    built = build(double_well, corners)
    assert np.sort(built.values[1]) == pytest.approx([1, 1, 1, 1, 2, 2], abs=1e-6)


def xor(p: Tensor) -> Tensor:
    """Mean squared error of networks 2-2-1 on XOR, with a penalty: points (batch, 9)."""
    x = p.new_tensor([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    y = p.new_tensor([-1, 1, 1, -1])
    hidden = torch.tanh(torch.einsum("ni,bhi->bnh", x, p[:, :4].view(-1, 2, 2)) + p[:, None, 4:6])
    out = torch.einsum("bnh,bh->bn", hidden, p[:, 6:8]) + p[:, 8:]
    return (out - y).square().mean(dim=1) + 0.01 * p.square().sum(dim=1)


def test_a_network_of_xor_and_its_copy() -> None:
    """The units of one are the other's in the other order; at the middle of the straight line they
    are equal. Its path's highest point is a critical point of Morse index 1, and lower.
    """
    generator = torch.Generator().manual_seed(3)
    one = torch.randn(9, generator=generator, dtype=torch.float64).requires_grad_()
    descent = torch.optim.LBFGS(
        [one], max_iter=2000, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        descent.zero_grad()
        value = xor(one[None])[0]
        value.backward()
        return value

    descent.step(closure)
    found = one.detach()
    other = found[[2, 3, 0, 1, 5, 4, 7, 6, 8]]
    assert float((found - other).norm()) > 1
    built = build(xor, torch.stack([found, other]).numpy())
    s = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None]
    straight = float(xor(found + s * (other - found)).max())
    top = built[(0, 1)].maximum
    assert top.value < straight - 0.01
    point = top.point.requires_grad_()
    slope = torch.autograd.functional.jacobian(lambda p: xor(p[None])[0], point)
    hessian = torch.autograd.functional.hessian(lambda p: xor(p[None])[0], point)
    assert float(torch.as_tensor(slope).norm()) < 1e-3
    assert int((torch.linalg.eigvalsh(torch.as_tensor(hessian)) < 0).sum()) == 1


def test_the_same_bits_again_and_whatever_the_batch_but_for_rounding() -> None:
    def built(**options: Any) -> LossComplex:
        return build(peak, [[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]], 2, **options)

    one, again, other = built(), built(), built(batch=1)
    assert torch.equal(one.control_points, again.control_points)
    for ours, theirs in zip(one.values, other.values, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_what_was_lowered_is_stored_and_goes_on(tmp_path: Path) -> None:
    """Stopped at many moments, mending among them; a finished folder gives the values again."""
    calls = [0, np.inf]

    def counted(p: Tensor) -> Tensor:
        calls[0] += len(p)
        if calls[0] > calls[1]:
            raise KeyboardInterrupt
        return ring(p)

    points = [[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]]
    alone = build(counted, points, 2)
    whole, folder, stops = calls[0], tmp_path / "run", 0
    for until in np.linspace(0.2, 0.95, 6) * whole:
        calls[:] = [0, until]
        try:
            build(counted, points, 2, store=folder)
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 3
    calls[1] = np.inf
    again = build(counted, points, 2, store=folder)
    calls[0] = 0
    once_more = build(counted, points, 2, store=folder)
    assert calls[0] <= 3 + 3 + 2  # minima, slopes there, two points by which a loss is known
    for built in (again, once_more):
        assert torch.equal(built.control_points, alone.control_points)
        for a, b in zip(built.values, alone.values, strict=True):
            np.testing.assert_array_equal(a, b)
        assert [i.evaluations for i in built.interiors] == [i.evaluations for i in alone.interiors]
    assert alone.values[1][0] == pytest.approx(7 / 16, abs=1e-6)
    status = RunStatus.read(folder)
    for a, b in zip(status.values, alone.values, strict=True):
        np.testing.assert_array_equal(a, b)


def test_segments_are_added_where_a_path_needs_them() -> None:
    """Twelve are too few for any path over 1 through the bends of y = 2 sin 5x."""
    loss, ends = winding(2, 5, 100, 0)
    built = build(loss, ends)
    assert built.simplex_map == Edgewise(24)
    assert built.values[1][0] == pytest.approx(1, abs=1e-6)
    assert densest(built, loss) == pytest.approx(1, abs=1e-6)


def test_edges_and_triangles_beside_one_that_needs_more_segments(tmp_path: Path) -> None:
    """They are divided too; with a folder the build ends with the same bits, and reads them."""
    loss, ends = winding(2, 5, 100, 0)
    points = [*ends, [2.0, 2 * float(np.sin(10))]]  # the third is high up, at 9
    alone = build(loss, points, 2)
    assert alone.simplex_map == Edgewise(24)
    assert alone.control_points.shape == (3 + 3 * 23 + 23 * 22 // 2, 2)
    ending = np.sort(alone.values[1])[:2]  # the third edge ends no bar
    assert ending == pytest.approx([1, 9], abs=1e-6)
    for _ in range(2):
        stored = build(loss, points, 2, store=tmp_path / "run")
        assert torch.equal(stored.control_points, alone.control_points)
        for a, b in zip(stored.values, alone.values, strict=True):
            np.testing.assert_array_equal(a, b)


def test_an_edge_that_ends_at_no_pass_is_told(tmp_path: Path) -> None:
    """In a complex with triangles segments are doubled at most; also when it is read again."""
    loss, ends = winding(2, 5, 100, 0)
    points = [*ends, [0.0, 60.0]]
    few = NudgedElastic(segments=6, steps=20)
    for _ in range(2):
        with pytest.warns(LossWarning, match=r"bars at no pass.*first \(0, 1\).*segments=1[3-9]"):
            build(loss, points, 2, optimizer=few, store=tmp_path / "run")
