"""Functions of NumPy are losses, with their own gradients or by differences."""

import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial import (
    LossError,
    Minima,
    NotFiniteError,
    NudgedElastic,
    RunError,
    build_complex,
    find_minima,
    from_numpy,
)
from simplicial.evaluation import derivatives, evaluate, gradient, values_and_gradients
from simplicial.loss import Loss
from tests.simplicial.functions import himmelblau
from tests.simplicial.functions.himmelblau import Floats, in_torch

POINTS = 3 * torch.randn(7, 2, generator=torch.Generator().manual_seed(11), dtype=torch.float64)


def pair(x: Floats) -> tuple[float, Floats]:
    return himmelblau.value(x), himmelblau.gradient(x)


def pairs(x: Floats) -> tuple[Floats, Floats]:
    return himmelblau.values(x), himmelblau.gradients(x)


EVERY = {
    "one": from_numpy(himmelblau.value, himmelblau.gradient),
    "pair": from_numpy(pair, True),
    "batched": from_numpy(himmelblau.values, himmelblau.gradients, batched=True),
    "batched pair": from_numpy(pairs, True, batched=True),
    "differences": from_numpy(himmelblau.value),
    "batched differences": from_numpy(himmelblau.values, batched=True),
}
every_loss = pytest.mark.parametrize("loss", EVERY.values(), ids=EVERY)


@every_loss
def test_values_are_those_of_torch(loss: Loss) -> None:
    for points in (POINTS, POINTS[:2], POINTS[:1], POINTS[:0]):  # two points in two dimensions, too
        found = evaluate(loss, points).loss
        np.testing.assert_allclose(found, in_torch(points).numpy(), rtol=1e-14)


@every_loss
def test_gradients_and_hessians_are_those_of_torch(loss: Loss) -> None:
    is_differenced = "step 0.00012" in repr(loss)
    expected = derivatives(in_torch, POINTS)
    f, g, h = expected[:3]
    # p^(2/3) f / L, and p^(1/2) or p^(2/3) f / L^2, with L = 1; a few of them
    size = float(f.abs().max())
    for found in (values_and_gradients(loss, POINTS).gradients, gradient(loss, POINTS)):
        torch.testing.assert_close(found, g, rtol=0, atol=4 * 3.7e-11 * size)
    second = 1.5e-8 if is_differenced else 3.7e-11
    torch.testing.assert_close(
        derivatives(loss, POINTS).hessians, h, rtol=0, atol=4 * second * size
    )
    assert g.norm(dim=1).min() > 1


def certified(loss: Loss) -> tuple[list[Floats], list[Any]]:
    """Bars of Himmelblau's function, and which deaths are certified, from the search on."""
    minima = find_minima(loss, dim=2)
    assert len(minima) == 4
    built = build_complex(minima, 2, optimizer=NudgedElastic(), certify=True, progress=False)
    barcode = built.barcode()
    ends = [barcode.ends(r) for r in (0, 1)]
    return [barcode[r] for r in (0, 1)], [end and end.deaths.certified for end in ends]


@pytest.mark.parametrize("name", ["one", "batched pair"])
def test_barcodes_are_those_of_torch(name: str) -> None:
    """Himmelblau's function by NumPy and by torch."""
    for found, expected in zip(certified(EVERY[name])[0], certified(in_torch)[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_certified_bars_by_differences_are_those_of_torch() -> None:
    """Ends that are not certified depend on the last steps of the simplices."""
    (found, which), (expected, also) = certified(EVERY["batched differences"]), certified(in_torch)
    for r, count in ((0, 3), (1, 1)):
        deaths = [np.sort(bars[r][mask[r], 1]) for bars, mask in ((found, which), (expected, also))]
        assert len(deaths[1]) == count
        np.testing.assert_allclose(*deaths, rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.sort(found[r][:, 0]), np.sort(expected[r][:, 0]), atol=1e-9)


@every_loss
def test_points_of_single_precision_are_taken_and_gradients_are_as_the_points(loss: Loss) -> None:
    found = values_and_gradients(loss, POINTS.float())
    assert found.gradients.dtype == torch.float32
    expected = values_and_gradients(in_torch, POINTS.float().double())
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-12)
    torch.testing.assert_close(found.gradients, expected.gradients.float(), rtol=1e-5, atol=1e-4)


def test_losses_made_of_one_are_differentiated_by_torch() -> None:
    loss = from_numpy(himmelblau.value, himmelblau.gradient)

    def shifted(points: Tensor) -> Tensor:
        return loss(points - 1) + points.square().sum(dim=1)

    def expected(points: Tensor) -> Tensor:
        return in_torch(points - 1) + points.square().sum(dim=1)

    found = derivatives(shifted, POINTS), derivatives(expected, POINTS)
    torch.testing.assert_close(found[0].gradients, found[1].gradients)
    torch.testing.assert_close(found[0].hessians, found[1].hessians, rtol=1e-7, atol=1e-7)


def test_repr_says_by_which_differences() -> None:
    own, none = from_numpy(himmelblau.value, himmelblau.gradient), from_numpy(himmelblau.value)
    assert "gradient=gradient): second derivatives by central differences" in repr(own)
    assert "from_numpy(value): gradients by central differences of step 6.1e-06" in repr(none)
    assert "step 0.0049 0.1" in repr(from_numpy(himmelblau.value, precision=1.2e-7, scale=0.1))
    assert "from_numpy(pair, gradient=True): second" in repr(from_numpy(pair, True))


def test_steps_follow_the_precision_of_a_function_in_single_precision() -> None:
    def single(x: Floats) -> Any:
        return himmelblau.value(x.astype(np.float32))  # pyright: ignore[reportArgumentType]

    with pytest.raises(LossError, match=r"precision=2.2e-16, got float32.*precision=1.2e-07"):
        evaluate(from_numpy(single), POINTS)
    loss = from_numpy(single, precision=1.2e-7)
    found, expected = (values_and_gradients(f, POINTS).gradients for f in (loss, in_torch))
    size = float(in_torch(POINTS).max())
    torch.testing.assert_close(found, expected, rtol=0, atol=4 * 2.4e-5 * size)
    # with the steps of double precision no digit would be right
    rough = values_and_gradients(from_numpy(lambda x: float(single(x))), POINTS).gradients
    assert (rough - expected).abs().max() > 10 * (found - expected).abs().max()


def test_the_scale_is_that_of_the_function() -> None:
    """Lengths of 1e-10, as of atoms in metres."""
    loss = from_numpy(lambda x: float(np.cos(x[0] * 1e10)), scale=1e-10)
    points = torch.tensor([[0.7e-10]], dtype=torch.float64)
    found = derivatives(loss, points)
    assert float(found.gradients) == pytest.approx(-np.sin(0.7) * 1e10, rel=1e-9)
    assert float(found.hessians) == pytest.approx(-np.cos(0.7) * 1e20, rel=1e-6)
    unscaled = from_numpy(lambda x: float(np.cos(x[0] * 1e10)))
    assert float(derivatives(unscaled, points).gradients) != pytest.approx(
        -np.sin(0.7) * 1e10, rel=0.5
    )


def in_place(x: Floats) -> Any:
    x **= 2
    return x.sum(axis=-1)


def in_place_gradient(x: Floats) -> Floats:
    x *= 2
    return x


class Buffered:
    """A gradient that is written into the same array at every call."""

    def __init__(self) -> None:
        self.array = np.empty(2)

    def __call__(self, x: Floats) -> Floats:
        self.array[:] = 2 * x
        return self.array


@pytest.mark.parametrize("batched", [False, True])
def test_functions_may_write_into_their_argument(batched: bool) -> None:
    loss, before = from_numpy(in_place, in_place_gradient, batched=batched), POINTS.clone()
    found = values_and_gradients(loss, POINTS)
    assert torch.equal(POINTS, before)
    np.testing.assert_allclose(found.values, POINTS.square().sum(dim=1))
    torch.testing.assert_close(found.gradients, 2 * POINTS)


def test_functions_may_return_the_same_array_again() -> None:
    loss = from_numpy(lambda x: float(x @ x), Buffered())
    torch.testing.assert_close(values_and_gradients(loss, POINTS).gradients, 2 * POINTS)


def first(x: Floats) -> Any:
    return x[0] ** 2 + x[1] ** 2


BAD: list[tuple[str, Callable[[Any], Any], bool, str]] = [
    ("raises", lambda x: 1 / 0, False, "raised ZeroDivisionError .division by zero. at ."),
    ("is batched", lambda x: x[:, 0], False, "raised IndexError .*batched=True if"),
    ("takes one", lambda x: float(x[0]), True, "raised TypeError .*batched=False if"),
    ("column", lambda x: x[:, :1], True, r"shape \(7,\), got \(7, 1\): drop the last axis"),
    ("row", lambda x: x[:, 0][None], True, r"shape \(7,\), got \(1, 7\): reshape it"),
    ("number in an array", lambda x: x[:1], False, r"shape \(\), got \(1,\): return a scalar"),
    ("points", lambda x: x, True, r"shape \(7,\), got \(7, 2\): return one number for each"),
    ("complex", lambda x: x[0] + 0j, False, "must be real, got complex128"),
    ("integer", lambda x: 3, False, "must be floating, got int64"),
    ("boolean", lambda x: x[0] > 0, False, "must be floating, got bool"),
    ("none", lambda x: None, False, "must be numbers of shape .*, got None"),
    ("text", lambda x: "3.0", False, "must be numbers"),
    ("ragged", lambda x: [[1.0], [1.0, 2.0]], True, "must be numbers"),
    ("half", lambda x: np.float16(1), False, "precise as declared.*got float16"),
]


@pytest.mark.parametrize(
    ("function", "batched", "sentence"), [b[1:] for b in BAD], ids=[b[0] for b in BAD]
)
def test_outputs_that_are_no_values_are_refused_by_one_sentence(
    function: Callable[[Any], Any], batched: bool, sentence: str
) -> None:
    for loss in (
        from_numpy(function, batched=batched),
        from_numpy(lambda x: (function(x), x), True, batched=batched),
    ):
        with pytest.raises(LossError, match=sentence) as caught:
            evaluate(loss, POINTS)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("function", "batched", "sentence"),
    [
        (lambda x: x[0], False, r"gradient of .* must have shape \(2,\), got \(\)"),
        (lambda x: x[:, :1], True, r"must have shape \(7, 2\), got \(7, 1\)"),
        (lambda x: x.T, True, r"must have shape \(7, 2\), got \(2, 7\): reshape"),
        (lambda x: [2, 3], False, "must be floating, got int64"),
        (lambda x: 1j * x, False, "must be real"),
        (lambda x: x / None, False, "raised TypeError"),
    ],
)
def test_outputs_that_are_no_gradients_are_refused(
    function: Callable[[Any], Any], batched: bool, sentence: str
) -> None:
    value = himmelblau.values if batched else himmelblau.value
    with pytest.raises(LossError, match=sentence):
        values_and_gradients(from_numpy(value, function, batched=batched), POINTS)


def test_a_function_of_one_point_does_not_pass_for_one_of_many() -> None:
    """Two points in the plane: x[0] is as long as x[:, 0]."""
    for points in (POINTS, POINTS[:2]):
        with pytest.raises(LossError, match="must have shape"):
            evaluate(from_numpy(first, batched=True), points)
    for n in (2, 7):
        with pytest.raises(LossError, match="must have shape"):
            values_and_gradients(
                from_numpy(himmelblau.values, lambda x: himmelblau.gradient(x.T), batched=True),
                POINTS[:n],
            )


def test_a_pair_that_is_none_is_refused() -> None:
    for given in (lambda x: x[0], lambda x: (x[0],), lambda x: (x[0], x, x)):
        with pytest.raises(LossError, match=r"must return the pair .value, gradient."):
            evaluate(from_numpy(given, True), POINTS)


def test_what_is_not_finite_is_told_as_of_any_loss() -> None:
    for loss in (
        from_numpy(lambda x: float(np.log(x[0]))),
        from_numpy(lambda x: x[0] / np.float64(0)),
    ):
        with pytest.raises(NotFiniteError, match="must be finite"):
            evaluate(loss, POINTS)
    nan = from_numpy(himmelblau.value, lambda x: x * np.nan)
    with pytest.raises(NotFiniteError, match="gradient must be finite"):
        values_and_gradients(nan, POINTS)


def test_a_search_leaves_out_starts_at_which_a_function_is_not_finite() -> None:
    loss = from_numpy(lambda x: x[0] - np.log(x[0]))
    found = find_minima(loss, dim=1, box=(-1, 3), starts=20)
    torch.testing.assert_close(found.points, torch.ones(1, 1, dtype=torch.float64))
    assert found.search is not None
    assert found.search.failures > 0


def test_what_are_no_points_is_refused() -> None:
    loss: Any = from_numpy(himmelblau.value)
    for points in (POINTS[0], POINTS.numpy(), POINTS.int()):
        with pytest.raises(ShapeError, match="floating points"):
            loss(points)


def test_an_error_of_memory_halves_the_batch() -> None:
    def narrow(x: Floats) -> Floats:
        if len(x) > 3:
            raise MemoryError("Unable to allocate 2 GiB")
        return himmelblau.values(x)

    found = evaluate(from_numpy(narrow, batched=True), POINTS).loss
    np.testing.assert_array_equal(found, himmelblau.values(POINTS.numpy()))


def dies(x: Floats) -> float:
    os._exit(3)


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("of", [None, himmelblau.gradient], ids=["differences", "own"])
def test_processes_give_the_same_bits(of: Any, executor: ProcessPoolExecutor) -> None:
    here, there = (
        from_numpy(himmelblau.value, of),
        from_numpy(himmelblau.value, of, executor=executor),
    )
    expected, found = derivatives(here, POINTS), derivatives(there, POINTS)
    for one, other in zip(expected[:3], found[:3], strict=True):
        assert torch.equal(one, other)
    assert pickle.loads(pickle.dumps(there)).executor is None


def test_workers_of_a_build_evaluate_a_function(executor: ProcessPoolExecutor) -> None:
    minima = Minima(torch.tensor([[3.0, 2.0], [-2.805118, 3.131313]]), from_numpy(himmelblau.value))
    values = [
        build_complex(minima, 1, optimizer=NudgedElastic(), progress=False, executor=workers).values
        for workers in (None, executor)
    ]
    np.testing.assert_array_equal(values[0][1], values[1][1])


def test_functions_that_cannot_go_to_processes_are_refused(executor: ProcessPoolExecutor) -> None:
    with pytest.raises(OptionError, match=r"must be picklable.*top level of a module"):
        evaluate(from_numpy(lambda x: float(x[0]), executor=executor), POINTS)
    with pytest.raises(LossError, match="raised ValueError"):
        evaluate(
            from_numpy(himmelblau.value, executor=executor), POINTS[:, :1].double().repeat(1, 3)
        )


@pytest.mark.long
def test_a_process_that_dies_is_told() -> None:
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(RunError, match="one died"),
    ):
        evaluate(from_numpy(dies, executor=pool), POINTS)
