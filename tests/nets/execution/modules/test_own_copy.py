"""Networks that are copied whole, and refusals of those that cannot be."""

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations, prune

from nets import NetworkLoss
from nets.execution.modules.own_copy import own_copy
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from tests.nets.networks import X, Y, at, bound, numbers, points_near, seeded, value_and_gradient

SOME, CLASSES = X[:120].double(), Y[::9][:120]


def with_first(change: Callable[[Any], object]) -> nn.Module:
    first = nn.Linear(6, 5)
    change(first)
    return nn.Sequential(first, nn.Tanh(), nn.Linear(5, 3)).double()


def keeping(first: Any) -> None:
    first.kept = first(torch.zeros(1, 6))
    first.lists = {"more": [first(torch.ones(1, 6))]}


def pruned(first: nn.Module) -> None:
    prune.l1_unstructured(first, "weight", 0.4)


CHANGES: dict[str, Callable[[Any], object]] = {
    "weight norm by hooks": lambda layer: nn.utils.weight_norm(layer),
    "weight norm": parametrizations.weight_norm,
    "spectral norm by hooks": lambda layer: nn.utils.spectral_norm(layer),
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": pruned,
    "kept tensors": keeping,
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_reparametrised_networks_have_the_values_and_gradients_of_plain_torch(name: str) -> None:
    def make() -> nn.Module:
        return seeded(lambda: with_first(CHANGES[name]))

    model = make()
    loss = NetworkLoss(model, SOME, CLASSES, batching="loop")
    own = loss.flatten(loss.model().state_dict())
    points = own + 0.3 * numbers(3, loss.dim, seed=6).double()
    values, gradients = loss.values_and_gradients(points)
    for value, gradient, point in zip(values, gradients, points, strict=True):
        network = make().eval()
        parameters = [p for p in network.parameters() if p.requires_grad]
        nn.utils.vector_to_parameters(point, parameters)
        expected = cross_entropy(network(SOME), CLASSES)
        slopes = torch.cat([s.flatten() for s in torch.autograd.grad(expected, parameters)])
        assert abs(value.item() - expected.item()) <= bound(torch.float64)
        torch.testing.assert_close(gradient, slopes, rtol=0, atol=bound(torch.float64))


def test_a_copy_shares_no_tensor_and_the_model_keeps_its_own() -> None:
    model = with_first(keeping)
    kept = model[0].kept  # pyright: ignore
    copied: Any = own_copy(model)
    assert model[0].kept is kept  # pyright: ignore
    assert kept.requires_grad
    assert torch.equal(copied[0].kept, kept)
    assert not copied[0].kept.requires_grad
    pairs = zip(model.parameters(), copied.parameters(), strict=True)
    assert all(own.data_ptr() != other.data_ptr() for own, other in pairs)


class Keeping(nn.Linear):
    """It keeps what it computed."""

    last: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        self.last = super().forward(input)
        return self.last


@pytest.mark.parametrize("batching", BATCHINGS)
def test_tensors_that_a_forward_keeps_do_not_stay_in_the_loss(batching: Batching) -> None:
    model = seeded(lambda: nn.Sequential(Keeping(6, 4), nn.Tanh(), Keeping(4, 3)))
    loss = NetworkLoss(model, X, Y, batching=batching)
    loss.values_and_gradients(points_near(model))
    loss.evaluate(points_near(model))
    again = pickle.loads(pickle.dumps(loss))
    for network in (loss.model(), again.model()):
        assert [module.last for module in network.modules() if isinstance(module, Keeping)] == [
            None,
            None,
        ]


class Locked(nn.Linear):
    def __init__(self) -> None:
        super().__init__(6, 3)
        self.lock = threading.Lock()


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(6)[:, :3].to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.weight = nn.Parameter(torch.ones(6, 3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return (self.layer(x).cfloat() @ self.weight).abs()


def half_head() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3).half())


def scripted() -> nn.Module:
    return nn.Sequential(torch.jit.trace(nn.Linear(6, 6), X[:2]), nn.Linear(6, 3))  # pyright: ignore


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "lazy": (
        lambda: nn.Sequential(nn.LazyLinear(3)),
        r"'0.weight' of Sequential waits for a first input: call the model on an example",
    ),
    "meta": (
        lambda: nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3, device="meta")),
        r"'1.weight' of Sequential is on the meta device: build the model on a device",
    ),
    "half": (lambda: nn.Linear(6, 3).half(), r"'weight' .* is torch.float16: call model.float\(\)"),
    "bfloat16": (lambda: nn.Linear(6, 3).bfloat16(), r"is torch.bfloat16: call model.float\(\)"),
    "half head": (half_head, r"'1.weight' of Sequential is torch.float16: call model.float\(\)"),
    "complex": (Complex, r"one floating type, Complex has 'weight' of torch.complex64: keep real"),
    "sparse": (Sparse, r"must be dense, 'weight' of Sparse is torch.sparse_coo: keep it as"),
    "sparse gradients": (
        lambda: nn.Sequential(nn.Embedding(6, 3, sparse=True)),
        r"module '0' \(Embedding\) are sparse: set sparse=False",
    ),
    "a lock": (
        lambda: nn.Sequential(nn.Identity(), Locked()),
        r"'lock', a lock, of module '1' \(Locked\) cannot be copied .*: leave it out",
    ),
    "TorchScript": (scripted, r"module '0' .* is scripted or traced: pass the module"),
    "parallel": (
        lambda: nn.DataParallel(nn.Linear(6, 3)),
        r"the network \(DataParallel\) spreads it over several: pass the module inside",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace.*:FutureWarning")
def test_what_no_other_parameters_can_be_put_into_is_refused(name: str) -> None:
    make, sentence = REFUSED[name]
    with pytest.raises(DataError, match=sentence):
        NetworkLoss(make(), X, Y)


@pytest.mark.parametrize("batching", BATCHINGS)
def test_a_frozen_part_may_have_half_precision(batching: Batching) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(6, 5).bfloat16().requires_grad_(False)
            self.head = nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x.bfloat16()).float())

    model = seeded(Mixed)
    loss = NetworkLoss(model, X, Y, batching=batching)
    points = points_near(model)
    expected = [value_and_gradient(at(model, point), X, Y)[0] for point in points]
    assert loss(points).tolist() == pytest.approx(expected, rel=1e-6)
