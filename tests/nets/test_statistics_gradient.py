"""Gradients through running statistics, against central differences of plain torch's exact loss."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nets import NetworkLoss
from nets.execution import point_bytes
from nets.execution.policy import BATCHINGS, Batching
from reduction import DataError
from simplicial import Edgewise
from simplicial.evaluation import gradient as gradient_at
from simplicial.evaluation import hessian_operator
from tests.nets.execution.test_functional import LABELS, PAIRS, Ghost, Siamese, repeated
from tests.nets.execution.test_population_statistics import ChannelsLast, Functional, digits
from tests.nets.networks import (
    Normed,
    X,
    Y,
    numbers,
    plain_values,
    points_near,
    seeded,
    value_and_gradient,
    with_statistics,
)
from tests.simplicial.maxima.test_refined import measured, straight

STEP = 1e-5  # whose square is the error of a central difference, beside 2e-16 over it
RELATIVE = 1e-5
XS, YS = X[:300].double().sort(dim=0).values, Y[::3][:300]
PARTS = {"one batch": (), "graphs of parts": ("ONE_GRAPH",), "parts": ("ONE_GRAPH", "ONE_BATCH")}


@pytest.fixture(params=PARTS)
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Inputs are one batch, or parts of at most 128 for gradients, or for statistics too."""
    for name in PARTS[request.param]:
        monkeypatch.setattr(point_bytes, name, 0)
    return request.param


def smooth(norm: Callable[[int], nn.Module] = nn.BatchNorm1d) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, 5), norm(5), nn.Tanh(), nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)
    )


def images() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.Tanh(),
        nn.Conv2d(3, 4, 3, stride=2, bias=False),
        nn.BatchNorm2d(4, affine=False),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(36, 10),
    )


class InstancesFirst(nn.Module):
    """Instance norm of what parameters give, before and after batch norm."""

    def __init__(self) -> None:
        super().__init__()
        norms = [nn.InstanceNorm1d(2, affine=True, track_running_stats=True) for _ in range(2)]
        self.first, self.last = norms
        self.before, self.norm, self.head = nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.before(x).view(-1, 2, 3)).flatten(1)
        return self.head(self.last(self.norm(x).view(-1, 2, 3)).tanh().flatten(1))


class Checkpointed(nn.Module):
    """Norms in a part that torch runs again for gradients, and after it."""

    def __init__(self, reentrant: bool = False) -> None:
        super().__init__()
        self.first, self.reentrant = nn.Linear(6, 6), reentrant
        self.inside = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh())
        self.after = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        inside: Any = checkpoint(self.inside, self.first(x), use_reentrant=self.reentrant)
        return self.after(inside)


class Backbone(nn.Module):
    """A norm that keeps its statistics, before one whose are recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
        self.rest = smooth()

    def train(self, mode: bool = True) -> "Backbone":
        super().train(mode)
        self.frozen.train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.frozen(x))


class Slopes(nn.Module):
    """Outputs with their derivatives by the inputs, which forward takes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body = smooth()

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        y = self.body(x)
        return y + torch.autograd.grad(y.sum(), x, create_graph=True)[0][:, :3]


def sequences() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Linear(3, 2), ChannelsLast(2), nn.Flatten(), nn.Linear(4, 3)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "in a row": smooth,
    "synchronised": lambda: nn.SyncBatchNorm.convert_sync_batchnorm(smooth()),
    "under two names": repeated,
    "subclass": sequences,
    "instance norm": Normed,
    "instance and batch norm": InstancesFirst,
    "called twice": Siamese,
    "images": images,
    "run again": Checkpointed,
}


def data_of(name: str) -> tuple[Tensor, Tensor]:
    if name == "images":
        x, y = digits()
        return x.double(), y
    return (PAIRS, LABELS) if name == "called twice" else (XS, YS)


def directions(gradient: Tensor) -> list[Tensor]:
    """Unit vectors: along the gradient, and one that has a share of every coordinate."""
    found = [gradient, gradient.norm() * numbers(len(gradient), seed=40).to(gradient).sign()]
    return [direction / direction.norm() for direction in found]


def check_gradient(
    gradient: Tensor, value: Callable[[Tensor], float], point: Tensor, step: float = STEP
) -> None:
    """Compare with central differences, by the gradient's length."""
    size = float(gradient.norm())
    assert size > 1e-3
    for u in directions(gradient):
        slope = (value(point + step * u) - value(point - step * u)) / (2 * step)
        assert abs(float(gradient @ u) - slope) < RELATIVE * size


def plain_value(
    model: nn.Module, x: Tensor, y: Tensor, normed_by: Tensor
) -> Callable[[Tensor], float]:
    return lambda point: plain_values(model, point[None], x, y, normed_by)[0]


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_the_exact_loss(name: str, parts: str) -> None:
    x, y = data_of(name)
    model = seeded(MODELS[name]).double()
    points = points_near(model, 2)
    loss = NetworkLoss(model, x, y)
    values, gradients = loss.values_and_gradients(points)
    assert values.tolist() == loss.evaluate(points).loss.tolist()
    check_gradient(gradients[1], plain_value(model, x, y, x), points[1])
    leaf = points.clone().requires_grad_()
    (again,) = torch.autograd.grad(loss(leaf).sum(), leaf)
    torch.testing.assert_close(again, gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.usefixtures("parts")
def test_gradients_have_the_same_bits_in_every_batch_of_points(batching: Batching) -> None:
    model = seeded(smooth).double()
    points = points_near(model, 3)
    loss = NetworkLoss(model, XS, YS, batching=batching)
    gradients = loss.values_and_gradients(points)[1]
    check_gradient(gradients[0], plain_value(model, XS, YS, XS), points[0])
    assert torch.equal(loss.values_and_gradients(points[1:2])[1], gradients[1:2])


@pytest.mark.usefixtures("parts")
def test_gradients_go_through_statistics_of_other_inputs_than_the_data() -> None:
    model, others = seeded(smooth).double(), (2 * X[300:600] + 1).double()
    point = points_near(model, 1)
    loss = NetworkLoss(model, XS[:140], YS[:140], statistics=others)
    gradient = loss.values_and_gradients(point)[1][0]
    check_gradient(gradient, plain_value(model, XS[:140], YS[:140], others), point[0])


@pytest.mark.parametrize("make", [Functional, Backbone, Slopes, Ghost])
def test_gradients_of_odd_networks_are_those_of_the_exact_loss(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a norm's parent that computes it, frozen norms, derivatives by inputs, a few at a time."""
    x, y = X[:360].double(), LABELS
    model = seeded(make).double()
    point = points_near(model, 1)
    for _ in range(2):
        loss = NetworkLoss(model, x, y)
        gradient = loss.values_and_gradients(point)[1][0]
        # values, which other tests compare with plain torch's
        check_gradient(
            gradient, lambda at, loss=loss: float(loss.evaluate(at[None]).loss[0]), point[0]
        )
        monkeypatch.setattr(point_bytes, "ONE_BATCH", 0)


@pytest.mark.parametrize("name", ["in a row", "instance and batch norm", "called twice", "images"])
@pytest.mark.usefixtures("parts")
def test_products_with_the_hessian_are_differences_of_gradients(name: str) -> None:
    x, y = data_of(name)
    model = seeded(MODELS[name]).double()
    point = points_near(model, 1)[0]
    loss = NetworkLoss(model, x, y)
    found = hessian_operator(loss, point)
    near = loss.values_and_gradients(point[None])[1][0]
    assert (found.gradient - near).norm() < 1e-10 * near.norm()
    u = directions(near)[1]
    ahead, behind = loss.values_and_gradients(torch.stack([point + STEP * u, point - STEP * u]))[1]
    expected = (ahead - behind) / (2 * STEP)
    assert (found.hessian(u) - expected).norm() < RELATIVE * expected.norm()


def test_a_gradient_takes_as_many_passes_as_the_statistics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(point_bytes, "ONE_BATCH", 0)
    model, seen = seeded(smooth), list[str]()
    first, last = model.get_submodule("0"), model.get_submodule("5")
    first.register_forward_pre_hook(lambda *_: seen.append("began"))
    last.register_forward_pre_hook(lambda *_: seen.append("ended"))
    loss = NetworkLoss(model, XS.float(), YS)
    point = points_near(model, 1)
    loss(point)
    seen.clear()
    loss.values_and_gradients(point)
    # in three parts: statistics of two layers take three passes, their gradients two; and values
    assert seen.count("began") == 3 * (3 + 2 + 1)
    assert seen.count("ended") == 3 * (1 + 0 + 1)


def test_gradients_in_single_precision_are_those_of_double(parts: str) -> None:
    model = seeded(smooth)
    point = points_near(model, 1)
    single = NetworkLoss(model, XS.float(), YS).values_and_gradients(point)[1]
    double = NetworkLoss(model.double(), XS, YS).values_and_gradients(point.double())[1]
    assert (single - double).norm() < 1e-4 * double.norm()


def test_stored_statistics_are_constants_of_the_gradient() -> None:
    model = seeded(smooth).double()
    point = points_near(model, 1)
    model = with_statistics(model, point[0], XS)
    loss = NetworkLoss(model, XS, YS, batch_norm="stored")
    found = loss.values_and_gradients(loss.flatten(model.state_dict())[None])
    value, gradient = value_and_gradient(model, XS, YS)
    assert abs(float(found[0]) - value) < 1e-12
    torch.testing.assert_close(found[1][0], gradient, rtol=0, atol=1e-12)


def test_a_biased_layer_before_a_norm_has_no_gradient(parts: str) -> None:
    """The norm takes its bias away, which constant statistics would not show."""
    model = seeded(smooth).double()
    gradient = NetworkLoss(model, XS, YS).values_and_gradients(points_near(model, 1))[1][0]
    assert gradient[:30].abs().max() > 1e-3
    assert gradient[30:35].abs().max() < 1e-12


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_norms_that_torch_runs_without_recording_are_refused() -> None:
    model = seeded(lambda: Checkpointed(reentrant=True)).double()
    loss = NetworkLoss(model, XS, YS)
    point = points_near(model, 1)
    assert loss(point).isfinite().all()
    with pytest.raises(DataError, match=r"it does not where BatchNorm1d is called: use .*=False"):
        loss.values_and_gradients(point)


class GhostTwice(nn.Module):
    """A norm of a few examples at a time, and one of all after it."""

    def __init__(self) -> None:
        super().__init__()
        self.ghost, self.norm, self.head = Ghost(), nn.BatchNorm1d(3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.ghost(x)))


def test_calls_that_are_others_in_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the gradient takes other parts than the statistics did."""
    for make, name in ((Ghost, "ONE_GRAPH"), (GhostTwice, "ONE_BATCH")):
        model = seeded(make).double()
        point = points_near(model, 1)[0]
        with monkeypatch.context() as patch:
            patch.setattr(point_bytes, name, 0)
            loss = NetworkLoss(model, X[:360].double(), LABELS)
            loss(point[None])
        with pytest.raises(DataError, match="calls of BatchNorm1d are others in parts than in all"):
            _ = (
                hessian_operator(loss, point)
                if make is GhostTwice
                else gradient_at(loss, point[None])
            )


def test_the_refined_maximum_of_an_edge_is_that_of_a_dense_scan() -> None:
    model = seeded(smooth).double()
    loss = NetworkLoss(model, XS[:60], YS[::5])
    ends = 0.7 * numbers(2, loss.dim, seed=106).double()
    edge = Edgewise(2)
    found, known = measured(loss, straight(ends[None].numpy(), edge), edge, tolerance=0.005)
    t = torch.linspace(0, 1, 501, dtype=torch.float64)[:, None]
    highest = float(loss.evaluate(ends[0] + t * (ends[1] - ends[0])).loss.max())
    refined = max(float(found.maxima.values[0]), float(known[0]))
    assert refined > float(known[0])
    assert highest - 0.005 <= refined <= highest + 1e-4
    assert found.evaluations[0] < 30  # 102 with statistics as constants, whose slopes are no slopes
