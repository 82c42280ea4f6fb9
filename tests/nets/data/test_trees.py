"""Inputs, targets and outputs that are several tensors, in tuples and dicts."""

import copy
import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset, TensorDataset

from nets import NetworkLoss
from reduction import DataError
from tests.nets.networks import N, X, Y, at, bound, numbers, points_near, seeded

MASK = (numbers(N, 6, seed=9) > -1).float()


class Two(nn.Module):
    """A network of two arguments, under names; outputs a tensor, a dict or a named tuple."""

    def __init__(self, form: str = "tensor") -> None:
        super().__init__()
        self.head, self.form = nn.Linear(6, 3), form

    def forward(self, values: Tensor, mask: Tensor) -> Any:
        logits = self.head((values * mask).tanh())
        hidden = None, (logits.exp(),)
        return {"tensor": logits, "dict": {"logits": logits, "hidden": hidden}}[self.form]


class OfOne(nn.Module):
    """A network whose one argument is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.head((batch["values"] * batch["mask"]).tanh())


class Items(Dataset[Any]):
    """Examples of a dict of tensors."""

    def __init__(self, **columns: Tensor) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(self.columns["values"])

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {name: column[i] for name, column in self.columns.items()}


class Batch(NamedTuple):
    """One argument of several tensors."""

    values: Tensor
    mask: Tensor


NETWORK = seeded(Two)
POINTS = points_near(NETWORK)
VALUES = [cross_entropy(at(NETWORK, point)(values=X, mask=MASK), Y).item() for point in POINTS]
COLUMNS = {"values": X, "mask": MASK, "labels": Y}
PAIRS = [((x, mask), int(y)) for x, mask, y in zip(X, MASK, Y, strict=True)]


@pytest.mark.parametrize("batching", ["vmap", "loop"])
@pytest.mark.parametrize(
    "data",
    [
        ((X, MASK), Y),
        ([X, MASK], Y),
        (Batch(X, MASK), Y),
        ({"mask": MASK, "values": X}, Y),
        (COLUMNS, "labels"),
        (Items(**COLUMNS), "labels"),
        (DataLoader(Items(**COLUMNS), batch_size=77, shuffle=True), "labels"),
        (PAIRS,),
        ([({"values": x, "mask": mask}, y) for (x, mask), y in PAIRS],),
    ],
)
def test_a_tuple_is_positional_arguments_and_a_dict_keyword_arguments(
    data: tuple[Any, ...], batching: Any
) -> None:
    loss = NetworkLoss(NETWORK, *data, batching=batching)
    found = loss.evaluate(POINTS)
    assert found.loss == pytest.approx(VALUES, rel=0, abs=bound(torch.float32))
    assert found.accuracy is not None
    values, gradients = loss.values_and_gradients(POINTS)
    network = at(NETWORK, POINTS[0])
    slopes = torch.autograd.grad(cross_entropy(network(X, MASK), Y), list(network.parameters()))
    plain = nn.utils.parameters_to_vector(slopes)
    assert torch.allclose(gradients[0], plain, rtol=1e-4, atol=1e-5)
    (estimate,) = loss.estimates(N, np.random.default_rng(0))
    assert estimate(POINTS).tolist() == pytest.approx(values.tolist(), abs=1e-5)


def test_a_tuple_of_one_is_the_argument_itself() -> None:
    model = seeded(OfOne)
    loss = NetworkLoss(model, ({"values": X, "mask": MASK},), Y)
    assert loss(POINTS).tolist() == pytest.approx(VALUES, rel=0, abs=bound(torch.float32))
    with pytest.raises(DataError, match="unexpected keyword argument"):
        NetworkLoss(model, {"values": X, "mask": MASK}, Y)


@pytest.mark.parametrize("batching", ["vmap", "loop"])
def test_structured_outputs_go_to_the_loss_function_as_they_are(batching: Any) -> None:
    model = Two("dict")
    model.load_state_dict(NETWORK.state_dict())
    loss = NetworkLoss(
        model,
        (X, MASK),
        Y,
        loss_fn=lambda outputs, y: cross_entropy(outputs["logits"], y),
        batching=batching,
    )
    assert loss(POINTS).tolist() == pytest.approx(VALUES, rel=0, abs=bound(torch.float32))
    assert loss.evaluate(POINTS).accuracy is None


def test_targets_may_be_several_tensors() -> None:
    def loss_fn(outputs: Tensor, targets: dict[str, Tensor]) -> Tensor:
        each = cross_entropy(outputs, targets["class"], reduction="none")
        return (each * targets["weight"]).mean()

    weights = numbers(N, seed=8).abs()
    loss = NetworkLoss(NETWORK, (X, MASK), {"class": Y, "weight": weights}, loss_fn=loss_fn)
    plain = [
        loss_fn(at(NETWORK, point)(X, MASK), {"class": Y, "weight": weights}).item()
        for point in POINTS
    ]
    assert loss(POINTS).tolist() == pytest.approx(plain, rel=0, abs=bound(torch.float32))
    assert loss.evaluate(POINTS).accuracy is None


RAGGED = torch.nested.nested_tensor([X[:2], X[:3]], layout=torch.jagged)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    STRIDED = torch.nested.nested_tensor([X[:2], X[:3]])


@dataclass
class Graph:
    """What is neither a tensor nor a tuple or dict of them."""

    x: Tensor


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (({"values": X, "mask": "on"}, Y), r"inputs\['mask'\] is a str"),
        ((COLUMNS,), "inputs need targets"),
        (((X, Y),), "inputs need targets"),
        ((COLUMNS, "label"), r"targets='label' is the key .* the inputs is a dict of \['values'"),
        ((X, "labels"), "targets='labels' is the key .* the inputs is Tensor: name one"),
        ((Items(**COLUMNS),), r"a batch is a dict of \['values', 'mask', 'labels'\]: name the key"),
        ((Items(**COLUMNS), "y"), "targets='y' is the key of the targets in a dict, a batch is"),
        ((TensorDataset(X, MASK, Y),), "a batch is a list of 3: .* several inputs as a tuple"),
        ((TensorDataset(X, Y), "labels"), "targets='labels' .* a batch is list"),
        (((X, MASK[:7]), Y), r"of inputs must .* got 1100 of inputs\[0\], 7 of inputs\[1\]"),
        (({"values": X, "mask": None}, Y), r"data must be tensors, .*\['mask'\] is a NoneType"),
        (({0: X, 1: MASK}, Y), r"dict of inputs must have the names of arguments as keys"),
        (((X, MASK), {}), "targets must have at least one tensor"),
        (({"values": X}, Y), r"Two on inputs \{'values': \(1[0-9], 6\)\} .*'mask'"),
        (((X, MASK.masked_fill(MASK == 0, torch.inf)), Y), r"inputs\[1\] must be finite, example"),
        (([Graph(X), Graph(X)], Y), r"data must be tensors, .* inputs\[0\] is a Graph"),
        ((RAGGED, Y[:2]), "must be dense, .* pad sequences"),
        ((X.to_sparse(), Y), "must be dense, .* to_dense"),
        ((STRIDED, Y[:2]), "one array, got a tensor that is nested: pad sequences"),
        ((X.to("meta"), Y), "one array, got a tensor that is on the meta device: .* load"),
    ],
)
def test_data_that_are_no_trees_of_tensors_are_refused(
    arguments: tuple[Any, ...], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        NetworkLoss(NETWORK, *arguments)
    assert "\n" not in str(caught.value)


def test_statistics_of_a_dict_are_over_dicts_like_it() -> None:
    class Normed(Two):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))

    model, data = seeded(Normed), {"values": X[:90], "mask": MASK[:90]}
    loss = NetworkLoss(model, data, Y[:90], statistics={"values": X[:128], "mask": MASK[:128]})
    point = nn.utils.parameters_to_vector(model.parameters()).detach()[None]
    plain = copy.deepcopy(model)
    plain.head[0].momentum = None  # pyright: ignore
    plain(X[:128], MASK[:128])
    value = cross_entropy(plain.eval()(X[:90], MASK[:90]), Y[:90]).item()
    # running variances are of samples in torch
    assert loss(point).item() == pytest.approx(value, rel=1e-2)
    with pytest.raises(DataError, match=r"each of shape \{'values': \(6,\), 'mask': \(6,\)\}"):
        NetworkLoss(model, data, Y[:90], statistics=X)
