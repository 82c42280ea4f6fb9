"""Functions of JAX are losses: values, gradients and Hessians are JAX's own."""

import pickle
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from simplicial import LossError, NudgedElastic, build_complex, find_minima, from_jax, from_numpy
from simplicial.evaluation import derivatives, evaluate
from simplicial.loss import Loss
from tests.simplicial.functions import himmelblau
from tests.simplicial.functions.himmelblau import in_torch

pytestmark = pytest.mark.ecosystem

POINTS = 3 * torch.randn(70, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def in_jax(p: Any) -> Any:
    x, y = p
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def test_derivatives_are_those_of_torch() -> None:
    found, expected = derivatives(from_jax(in_jax), POINTS), derivatives(in_torch, POINTS)
    for one, other in zip(found[:3], expected[:3], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-11)
    assert found.error == expected.error  # no differences


def test_bits_do_not_depend_on_what_points_come_together() -> None:
    loss = from_jax(in_jax)
    together = evaluate(loss, POINTS).loss
    alone = [evaluate(loss, point[None]).loss[0] for point in POINTS]
    np.testing.assert_array_equal(together, alone)
    again = pickle.loads(pickle.dumps(loss))
    np.testing.assert_array_equal(evaluate(again, POINTS[:3]).loss, together[:3])


def test_numpy_jax_and_torch_have_the_same_barcode() -> None:
    """Himmelblau's function, from the search for minima to certified ends, in both indices."""

    def bars(f: Loss) -> Any:
        minima = find_minima(f, dim=2)
        built = build_complex(minima, 2, optimizer=NudgedElastic(), certify=True, progress=False)
        ends = built.barcode().ends(0)
        assert ends is not None
        assert ends.deaths.certified.sum() == 3
        return [np.sort(built.barcode()[0], axis=0), built.barcode()[1]]  # minima: all at 0

    expected = bars(in_torch)
    assert [len(of) for of in expected] == [4, 3]
    for loss in (from_jax(in_jax), from_numpy(himmelblau.value, himmelblau.gradient)):
        for ours, theirs in zip(bars(loss), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_single_precision_is_refused_by_a_sentence() -> None:
    loss = from_jax(in_jax)
    jax.config.update("jax_enable_x64", False)
    for take in (lambda: from_jax(in_jax), lambda: evaluate(loss, POINTS)):
        with pytest.raises(LossError, match=r"JAX is set to float32: call jax.config.update"):
            take()


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (lambda x: x, r"must have shape \(\), got \(2,\)"),
        (lambda x: x[:1], r"must have shape \(\), got \(1,\): return a scalar"),
        (lambda x: jnp.argmax(x), "must be floating, got int64"),
        (lambda x: x[0] + 1j, "must be real"),
        (lambda x: x[0].astype(jnp.float32), "precise as declared"),
        (lambda x: None, "must be numbers"),
        (lambda x: float(x[0]), "raised ConcretizationTypeError .*: write it with jax.numpy"),
        (lambda x: np.sin(x)[0], "raised TracerArrayConversionError .*simplicial.from_numpy"),
        (lambda x: x[0] if x[0] > 0 else x[1], "raised TracerBoolConversionError"),
    ],
)
def test_functions_that_are_no_losses_are_refused(function: Any, sentence: str) -> None:
    for take in (evaluate, derivatives):
        with pytest.raises(LossError, match=sentence) as caught:
            take(from_jax(function), POINTS)
        assert "\n" not in str(caught.value)
