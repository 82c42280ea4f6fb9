"""Certificates against critical points known in closed form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import Barcode, BarEnds, DataError
from simplicial import (
    Algorithm1,
    Edgewise,
    LossComplex,
    LossError,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
)
from simplicial.critical_points.certificates import Acceptance, Carriers, Certificates, certify
from simplicial.critical_points.eigenvector_following import DENSE
from simplicial.landscapes import Landscape, double_well, mueller_brown, simplex_wells
from simplicial.loss import Loss
from simplicial.maps.control_points import lay_out, straight
from simplicial.maxima.maxima import Maxima
from simplicial.optimizers.elastic_relaxation import LEVEL
from simplicial.options import MEMORY

QUICK = NudgedElastic(segments=6, steps=60)
STRAIGHT = Algorithm1(recipe=Recipe(epochs=0))


def build(loss: Loss, points: Any, max_dim: int, **options: Any) -> LossComplex:
    given: dict[str, Any] = {"optimizer": QUICK, "certify": True, "progress": False}
    return build_complex(Minima(torch.tensor(points), loss), max_dim, **(given | options))


def finite(bars: np.ndarray) -> np.ndarray:
    return bars[np.isfinite(bars[:, 1])]


def ends_of(barcode: Barcode, r: int) -> BarEnds:
    ends = barcode.ends(r)
    assert ends is not None
    return ends


@pytest.fixture(scope="module")
def mueller_brown_complex() -> LossComplex:
    return build(mueller_brown(), mueller_brown().minima, 2, optimizer=NudgedElastic())


@pytest.mark.parametrize(
    ("loss", "max_dim"),
    [(double_well(2), 2), (simplex_wells(2), 2), (simplex_wells(1, curved=2), 1)],
)
def test_every_end_is_a_known_critical_point(loss: Landscape, max_dim: int) -> None:
    """Of the right index, at the right point, with its value: the barcode is exact to rounding."""
    barcode = build(loss, loss.minima, max_dim).barcode()
    assert loss.exact_bars is not None
    for r, expected in zip(range(max_dim), loss.exact_bars, strict=False):
        assert len(expected)
        np.testing.assert_allclose(barcode[r], expected, atol=1e-12)
        births, deaths = ends_of(barcode, r)
        is_finite = np.isfinite(barcode[r][:, 1])
        assert births.certified.all()
        np.testing.assert_array_equal(deaths.certified, is_finite)
        for ends, morse, values in (
            (births, r, barcode[r][:, 0]),
            (deaths, r + 1, barcode[r][:, 1]),
        ):
            known = loss.stratum(morse)
            for row in np.flatnonzero(ends.certified):
                away = np.linalg.norm(known.points - ends.points[row], axis=1)
                assert away.min() < 1e-7
                assert values[row] == pytest.approx(known.values[away.argmin()], abs=1e-12)
                assert ends.morse[row] == morse
                assert ends.gradient_norms[row] < 1e-9
                assert (ends.eigenvalues[row] < 0).sum() == morse


def test_an_end_without_a_critical_point_is_kept_and_marked(
    mueller_brown_complex: LossComplex,
) -> None:
    """Müller-Brown has no bar of index 1; the optimised triangle's is short, and uncertified."""
    plain = build(
        mueller_brown(), mueller_brown().minima, 2, optimizer=NudgedElastic(), certify=False
    ).barcode()
    barcode = mueller_brown_complex.barcode()
    assert plain.ends(1) is None
    assert len(plain[1]) == len(barcode[1]) == 1
    assert barcode[1][0, 1] == plain[1][0, 1]
    births, deaths = ends_of(barcode, 1)
    assert births.certified.tolist() == [True]
    assert deaths.certified.tolist() == [False]
    loss, point = mueller_brown(), torch.tensor(deaths.points)
    assert loss(point).item() == pytest.approx(barcode[1][0, 1], rel=1e-9)
    assert deaths.gradient_norms[0] == pytest.approx(slope(loss, point), rel=1e-6)
    assert deaths.gradient_norms[0] > 0.1
    assert ends_of(barcode, 0).births.certified.all()


def slope(loss: Loss, point: Tensor) -> float:
    x = point.clone().requires_grad_()
    return float(torch.autograd.grad(loss(x).sum(), x)[0].norm())


def line(x: Tensor) -> Tensor:
    return (x[:, 0].square() - 1).square() + x[:, 1].square()


def test_critical_values_stand_for_sampled_ones() -> None:
    """A straight edge between points beside minima, evaluated at three points between them only."""
    points = np.array([[-1.04, 0.03], [0.97, 0.02]])
    options = {"optimizer": STRAIGHT, "simplex_map": Edgewise(3), "resolution": 4}
    built = build(line, points, 1, tolerance=None, **options)
    evaluated = [((np.array([1 - t, t]) @ points)[None]) for t in (0.25, 0.5, 0.75)]
    highest = max(line(torch.tensor(x)).item() for x in evaluated)
    assert built.maxima[1] == pytest.approx([highest])
    assert highest < 0.999
    assert (built.maxima[0] > 1e-3).all()
    assert built.filtration.values[0] == pytest.approx([0, 0], abs=1e-12)
    assert built.filtration.values[1] == pytest.approx([1], abs=1e-12)
    np.testing.assert_allclose(finite(built.barcode()[0]), [[0, 1]], atol=1e-12)


@pytest.mark.parametrize(("off", "certified"), [(0.15, True), (0.3, False)])
def test_a_minimum_is_a_vertexs_only_nearby(off: float, certified: bool) -> None:
    """Within a tenth of the distance to the next vertex, here 2."""
    points = np.array([[-1.0, off], [1.0, off]])
    built = build(line, points, 1, optimizer=STRAIGHT, simplex_map=Edgewise(3))
    barcode = built.barcode()
    births, deaths = ends_of(barcode, 0)
    assert (births.certified == certified).all()
    expected = 0 if certified else off**2
    assert built.filtration.values[0] == pytest.approx([expected] * 2, abs=1e-12)
    assert built.maxima[0] == pytest.approx([off**2] * 2)
    assert deaths.certified.tolist() == np.isfinite(barcode[0][:, 1]).tolist()
    assert built.filtration.values[1] == pytest.approx([1], abs=1e-12)
    assert built.maxima[1] == pytest.approx([1 + off**2])


@pytest.mark.parametrize(
    ("off", "error_bound", "accepted"),
    [
        (0.05, 0.0, True),
        (0.2, 0.0, False),
        (-0.05, 0.0, False),
        (-0.05, 0.06, True),
        (-0.2, np.inf, False),
    ],
)
def test_a_critical_value_must_be_near_the_maximum(
    off: float, error_bound: float, accepted: bool
) -> None:
    """Within a tenth of the loss's range, here 1, and not above a refined maximum."""
    layout = lay_out(2, 1, Edgewise(3))
    ends = torch.tensor([[-1.0, 0.1], [1.0, 0.1]], dtype=torch.float64)
    control_points = straight(ends, layout)
    found = certify(
        line,
        control_points,
        layout.simplices[1],
        np.array([0]),
        Maxima(np.array([1 + off]), np.array([[0.5, 0.5]])),
        acceptance=Acceptance(
            highest_index=1,
            value_range=1.0,
            values=np.array([1 + off]),
            error_bounds=np.full(1, error_bound),
            tolerance=1e-7,
        ),
        memory=MEMORY,
    )
    assert found.accepted.tolist() == [accepted]
    expected = [0.0, 0.0] if accepted else [0.0, 0.1]
    assert found.points[0] == pytest.approx(expected, abs=1e-9)
    assert found.values[0] == pytest.approx(1 if accepted else 1.01, abs=1e-9)
    assert found.morse.tolist() == [1 if accepted else -1]
    assert np.isnan(found.eigenvalues).all() != accepted


def two_bumps(x: Tensor) -> Tensor:
    """A peak beside the straight line from (-1.5, 0.08) to (1.5, 0.08), in a shallow bowl."""
    peak = torch.exp(-((x[:, 0] / 0.5).square() + (x[:, 1] / 0.35).square()))
    return peak + 0.02 * x.square().sum(dim=1)


def test_certificates_never_raise_a_refined_maximum() -> None:
    points = np.array([[-1.5, 0.08], [1.5, 0.08], [0.0, -3.0]])
    built = build(two_bumps, points, 2, optimizer=STRAIGHT, simplex_map=Edgewise(6))
    for ours, refined in zip(built.filtration.values, built.maxima, strict=True):
        assert (ours <= refined + 2e-7).all()


def test_close_vertices_far_from_zero() -> None:
    """The distance between them is not lost: a critical point is near within a tenth of it."""
    abscissae = 100 + 0.01 * np.arange(30, dtype=np.float32)
    points = np.stack([abscissae, np.full_like(abscissae, 100)], axis=1)
    built = build(lambda x: (x - 100).square().sum(dim=1), points, 1, optimizer=STRAIGHT)
    assert built.certificates is not None
    assert built.certificates[0].accepted.tolist() == [True] + [False] * 29


def plateau(x: Tensor) -> Tensor:
    """Level 1 but for a dip at the first vertex, and up to 1.005 inside the triangle."""
    dip = 5 * (0.2 - x[:, :2].norm(dim=1)).clamp(min=0)
    return 1 - dip + 0.135 * (x[:, 0] * x[:, 1] * (1 - x[:, 0] - x[:, 1])).clamp(min=0)


@pytest.mark.parametrize(("tolerance", "sought"), [(1e-2, []), (1e-4, [0])])
def test_maxima_within_the_tolerance_of_faces_get_no_certificate(
    tolerance: float, sought: list[int]
) -> None:
    points = np.array([[1e-3, 1e-3], [1.0, 0.0], [0.0, 1.0]])
    options: dict[str, Any] = {"optimizer": STRAIGHT, "simplex_map": Edgewise(4)}
    built = build(plateau, points, 2, tolerance=tolerance, **options)
    assert built.interiors[1].maxima.values[0] == pytest.approx(1.005, abs=1e-4)
    assert built.certificates is not None
    assert built.certificates[2].simplices.tolist() == sought


def certificates_of(values: list[float], morse: list[int]) -> Certificates:
    k = len(values)
    return Certificates(
        np.arange(k),
        np.array(morse) >= 0,
        np.zeros((k, 2)),
        np.array(values),
        np.zeros(k),
        np.full((k, 2), np.nan),
        np.array(morse),
    )


@pytest.mark.parametrize(("morse", "size"), [(1, 2), (-1, 1), (2, 1)])
def test_of_faces_with_one_value_that_of_the_right_index_counts(morse: int, size: int) -> None:
    """An edge as high as one of its ends: the edge's own point, if its index is right."""
    values = (np.array([1.0, 0.0]), np.array([1.0]))
    both = (certificates_of([1.0, 0.0], [0, 0]), certificates_of([1.0], [morse]))
    simplices = (np.array([[0], [1]]), np.array([[0, 1]]))
    found, at = Carriers(values, simplices, both).of(np.array([0, 1]), 1)
    assert found is both[size - 1]
    assert at == 0


def test_points_that_are_not_critical_are_not_certified() -> None:
    """A bowl, far from its bottom."""
    points = np.array([[1.0, 0.3], [-2.0, 0.5], [1.0, 3.0]])
    built = build(lambda x: x.square().sum(dim=1), points, 2)
    barcode = built.barcode(keep_zero=True)
    assert [len(bars) for bars in barcode] == [3, 1]
    for r in range(2):
        for ends in ends_of(barcode, r):
            assert not ends.certified.any()
    births = ends_of(barcode, 0).births
    np.testing.assert_allclose(births.gradient_norms, 2 * np.linalg.norm(births.points, axis=1))
    plain = build(lambda x: x.square().sum(dim=1), points, 2, certify=False)
    for ours, theirs in zip(built.filtration.values, plain.filtration.values, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_more_variables_than_a_dense_hessian_takes() -> None:
    """By products with the Hessian: a double well in one variable, and 150 convex ones."""
    d = 151
    assert d > DENSE
    weights = torch.linspace(1, 3, d - 1, dtype=torch.float64)

    def loss(x: Tensor) -> Tensor:
        return (x[:, 0].square() - 1).square() + x[:, 1:].square() @ weights

    points = np.random.default_rng(1).normal(scale=0.005, size=(2, d))
    points[:, 0] += [-1, 1]
    built = build(loss, points, 1, optimizer=STRAIGHT, simplex_map=Edgewise(3))
    assert (built.maxima[0] > 1e-3).all()
    barcode = built.barcode()
    np.testing.assert_allclose(barcode[0][:, 0], 0, atol=1e-9)
    assert finite(barcode[0])[:, 1] == pytest.approx([1], abs=1e-9)
    births, deaths = ends_of(barcode, 0)
    assert births.certified.all()
    assert births.morse.tolist() == [0, 0]
    np.testing.assert_allclose(np.abs(births.points), np.eye(1, d).repeat(2, axis=0), atol=1e-5)
    (row,) = np.flatnonzero(np.isfinite(barcode[0][:, 1]))
    assert np.flatnonzero(deaths.certified).tolist() == [row]
    assert deaths.morse[row] == 1
    np.testing.assert_allclose(deaths.points[row], 0, atol=1e-5)
    assert deaths.eigenvalues[row][:2] == pytest.approx([-4, 2], abs=1e-4)


def ring(x: Tensor) -> Tensor:
    """A ring with minima (-1, 0), (1, 0), saddles (0, 0.4 +- sqrt(3/4)), and a maximum inside.

    (x^2 + v^2 - 1)^2 + v^2 / 2 with v = y - 0.4 (1 - x^2): values 0, 7/16 and 1.
    """
    v = x[:, 1] - 0.4 * (1 - x[:, 0].square())
    return (x[:, 0].square() + v.square() - 1).square() + v.square() / 2


def test_two_minima_joined_over_two_saddles() -> None:
    """No cycle without saddles as vertices; with them exactly one that can be told from 0, and its
    ends are certified."""
    minima = np.array([[-1.0, 0.0], [1.0, 0.0]])
    without = build(ring, minima, 1).barcode()
    assert len(without) == 1
    np.testing.assert_allclose(without[0], [[0, 7 / 16], [0, np.inf]], atol=1e-12)
    built = build(ring, minima, 2, saddles=True)
    assert len(built.minima) == 4
    np.testing.assert_array_equal(built.minima.points[:2], minima)
    barcode = built.barcode()
    np.testing.assert_allclose(barcode[0], [[0, 7 / 16], [0, np.inf]], atol=1e-12)
    births, deaths = ends_of(barcode, 1)
    (bar,) = np.flatnonzero(np.diff(barcode[1])[:, 0] > LEVEL)  # the others are 0
    np.testing.assert_allclose(barcode[1][bar], [7 / 16, 1], atol=1e-12)
    assert np.flatnonzero(births.certified & deaths.certified).tolist() == [bar]
    np.testing.assert_allclose(deaths.points[bar], [0, 0.4], atol=1e-7)
    assert births.points[bar, 0] == pytest.approx(0, abs=1e-7)
    assert abs(births.points[bar, 1] - 0.4) == pytest.approx(np.sqrt(0.75), abs=1e-7)


def test_save_and_load(tmp_path: Path, mueller_brown_complex: LossComplex) -> None:
    mueller_brown_complex.save(tmp_path / "complex.npz")
    loaded = LossComplex.load(tmp_path / "complex.npz", mueller_brown())
    ours, theirs = loaded.certificates, mueller_brown_complex.certificates
    assert ours is not None
    assert theirs is not None
    assert len(ours) == len(theirs) == 3
    for mine, other in zip(ours, theirs, strict=True):
        for name in Certificates.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
    for r in range(2):
        np.testing.assert_array_equal(loaded.barcode()[r], mueller_brown_complex.barcode()[r])
        for mine, other in zip(
            ends_of(loaded.barcode(), r), ends_of(mueller_brown_complex.barcode(), r), strict=True
        ):
            np.testing.assert_array_equal(mine.certified, other.certified)
            np.testing.assert_array_equal(mine.points, other.points)
    build(line, np.array([[-1.0, 0.0], [1.0, 0.0]]), 1, certify=False).save(tmp_path / "none.npz")
    assert LossComplex.load(tmp_path / "none.npz", line).certificates is None


@pytest.mark.parametrize(
    ("name", "alter"),
    [
        ("simplices_1", lambda part: part[::-1]),
        ("simplices_1", lambda part: part + 3),
        ("simplices_0", lambda part: part - 1),
        ("simplices_0", lambda part: part.astype(np.float64)),
        ("accepted_0", lambda part: part.astype(np.int64)),
        ("points_0", lambda part: part[:, :1]),
        ("points_2", lambda part: part * np.nan),
        ("values_1", lambda part: part[1:]),
        ("values_0", lambda part: part * np.inf),
        ("values_0", lambda part: part + 30),
        ("values_1", lambda part: part - 30),
        ("gradient_norms_0", lambda part: part.astype(np.float32)),
        ("eigenvalues_0", lambda part: part[:1]),
        ("morse_0", lambda part: part[:, None]),
        ("points_0", None),
        ("values_2", None),
    ],
)
def test_altered_certificates_are_refused(
    tmp_path: Path, mueller_brown_complex: LossComplex, name: str, alter: Any
) -> None:
    path = tmp_path / "complex.npz"
    mueller_brown_complex.save(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    part = arrays.pop(f"certificate_{name}")
    if alter is not None:
        altered = alter(part)
        assert altered.dtype != part.dtype or not np.array_equal(altered, part)
        arrays[f"certificate_{name}"] = altered
    np.savez(path, **arrays)
    with pytest.raises((DataError, LossError)):
        LossComplex.load(path, mueller_brown())
