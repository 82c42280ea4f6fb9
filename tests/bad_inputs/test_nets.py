"""Every bad input of `nets`, in one table."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nets
from nets import (
    MLP,
    ImageData,
    LeNet,
    NetworkLoss,
    ResNet,
    align,
    load_cifar10,
    load_fashion_mnist,
    read_checkpoint,
    train_minima,
)
from nets.symmetry import Axis, PermutationGroup
from reduction import CapacityError, DataError, OptionError, ShapeError
from simplicial import LossError, Minima, Recipe, RunError
from tests.bad_inputs.table import (
    INF,
    NAN,
    NO_COUNT,
    NO_SEED,
    UNSURE,
    Row,
    assert_complete,
    assert_refused,
    rows,
)

IMAGES, CLASSES = torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.int64)
X = torch.linspace(-1, 1, 48).reshape(12, 4)
Y = torch.arange(12) % 3


class Good(NamedTuple):
    folder: Path
    model: MLP
    loss: NetworkLoss
    point: Tensor
    minima: Minima


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    folder = tmp_path_factory.mktemp("files")
    (folder / "folder").mkdir()
    (folder / "file").write_text("no data")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MLP(4, (3,), 3)
    loss = NetworkLoss(model, X, Y)
    point = loss.flatten(model.state_dict())
    return Good(folder, model, loss, point, Minima(torch.stack([point, point + 0.1]), loss))


def images(**changed: Any) -> ImageData:
    """Three images, but for what is changed."""
    parts: dict[str, Any] = {
        "name": "d",
        "train_inputs": IMAGES,
        "train_targets": CLASSES,
        "test_inputs": IMAGES,
        "test_targets": CLASSES,
        "classes": 2,
    }
    return ImageData(**{**parts, **changed})


def resnet(**changed: Any) -> ResNet:
    """ResNet-8, but for what is changed."""
    options: dict[str, Any] = {"depth": 8, **changed}
    return ResNet(**options)


def loss(good: Good, *data: Any, **changed: Any) -> NetworkLoss:
    """The loss of the model, on X and Y if nothing else is given."""
    return NetworkLoss(good.model, *(data or (X, Y)), **changed)


def trained(good: Good, n: Any = 2, **changed: Any) -> Minima:
    """Two networks after one epoch, but for what is changed."""
    options: dict[str, Any] = {"progress": False, "recipe": Recipe(epochs=1), **changed}
    return train_minima(good.loss, n, **options)


def entries(good: Good, change: Any) -> dict[Any, Any]:
    return {name: change(value) for name, value in good.model.state_dict().items()}


def estimate(good: Good, batch_size: Any = 2, rng: Any = None) -> Any:
    return next(good.loss.estimates(batch_size, np.random.default_rng(0) if rng is None else rng))


NETWORKS_AND_DATA = (
    Row("MLP", lambda _, v: MLP(v), OptionError, "inputs must", NO_COUNT),
    Row("MLP", lambda _, v: MLP(4, v), DataError, "hidden is", (5, None)),
    Row("MLP", lambda _, v: MLP(4, v), OptionError, "hidden must",
        ("ab", (0,), (32, 0), (-1,), (1.5,), (True,))),
    Row("MLP", lambda _, v: MLP(4, (3,), v), OptionError, "classes must", NO_COUNT),
    Row("MLP", lambda _, v: MLP(v), CapacityError, "GB of memory", (10**12, 10**30)),
    Row("LeNet", lambda _, v: LeNet(v), OptionError, "channels must", NO_COUNT),
    Row("LeNet", lambda _, v: LeNet(1, v), OptionError, "size must", NO_COUNT),
    Row("LeNet", lambda _, v: LeNet(1, v), DataError, "use mlp", (4, 11)),
    Row("LeNet", lambda _, v: LeNet(1, 28, v), OptionError, "classes must", NO_COUNT),
    *(Row("ResNet", lambda _, v, name=name: resnet(**{name: v}), OptionError, name, bad)
      for name, bad in {"channels": NO_COUNT, "depth": (*NO_COUNT, 2), "width": NO_COUNT,
                        "classes": NO_COUNT, "shortcuts": UNSURE}.items()),
    Row("ResNet", lambda _, v: ResNet(3, v), DataError, "6 n + 2 layers", (9, 21)),
    Row("ImageData", lambda _, v: images(name=v), DataError, "a data set has a name", (5, None)),
    Row("ImageData", lambda _, v: images(train_inputs=v), DataError, "train_inputs of d",
        (5, None, IMAGES.numpy(), IMAGES.double(), IMAGES[0], IMAGES[:0], IMAGES + NAN,
         IMAGES + INF)),
    Row("ImageData", lambda _, v: images(test_inputs=v), DataError, "test",
        (5, IMAGES.long(), IMAGES[:, :, :1])),
    Row("ImageData", lambda _, v: images(train_targets=v), DataError, "train_targets of d",
        (5, None, CLASSES.numpy(), CLASSES.int(), CLASSES[:2], CLASSES + 2, CLASSES - 1)),
    Row("ImageData", lambda _, v: images(test_targets=v), DataError, "test_targets of d",
        (5, CLASSES.float(), CLASSES + 5)),
    Row("ImageData", lambda _, v: images(classes=v), DataError, "classes is", NO_COUNT),
    Row("ImageData.subset", lambda _, v: images().subset(v), DataError, "subset of",
        (*NO_COUNT, 4, 1.0)),
    Row("ImageData.resized", lambda _, v: images().resized(v), OptionError, "image_size must",
        NO_COUNT),
    Row("ImageData.resized", lambda _, v: images().resized(v), CapacityError, "GB of memory",
        (10**9,)),
    *(Row(load.__name__, call, error, piece, bad)
      for load, name in ((load_fashion_mnist, "FashionMNIST"), (load_cifar10, "CIFAR-10"))
      for call, error, piece, bad in (
          (lambda g, v, load=load: load(g.folder / v), DataError, f"no {name} in",
           ("nowhere", "folder", "file")),
          (lambda _, v, load=load: load(v), OptionError, "a Path", (5, True, "a\0b")),
          (lambda g, v, load=load: load(g.folder / "folder", v), OptionError, "download", UNSURE),
      )),
)  # fmt: skip

LOSSES = (
    Row("NetworkLoss", lambda _, v: NetworkLoss(v, X, Y), DataError, "a loss needs",
        (5, None, MLP, len, nn.ReLU())),
    Row("NetworkLoss", lambda _, v: NetworkLoss(v, X, Y), DataError, "fit together",
        (MLP(5), LeNet(1, 12))),
    Row("NetworkLoss", lambda g, v: loss(g, v), DataError, "inputs need targets", (X,)),
    Row("NetworkLoss", lambda g, v: loss(g, v), DataError, "data must",
        (None, 5, "ab", [], [5], [(1, 2, 3)], [("a", "b")], X.numpy(), images(), {})),
    Row("NetworkLoss", lambda g, v: loss(g, v, Y), DataError, "input",
        (None, 5, X.numpy(), X[:0], X[:3], X[0, 0], X + NAN, X + INF, X[:, :3], X.double(),
         X.long())),
    Row("NetworkLoss", lambda g, v: loss(g, X, v), DataError, "target",
        (5, Y.numpy(), Y[:0], Y[:3], Y[0], Y + 1, Y - 1, Y * NAN, Y.bool(), "classes")),
    Row("NetworkLoss", lambda g, v: loss(g, loss_fn=v), DataError, "loss_fn",
        (5, None, "cross_entropy", nn.CrossEntropyLoss, nn.CrossEntropyLoss(reduction="sum"),
         nn.CrossEntropyLoss(reduction="none"), lambda _o, _t: 1.0, lambda _o, _t: None,
         lambda o: o.mean(), lambda o, _: o.mean().detach(), lambda o, _: o.mean().long())),
    Row("NetworkLoss", lambda g, v: loss(g, device=v), OptionError, "cannot be used",
        ("gpu", "meta", -5, [1])),
    Row("NetworkLoss", lambda g, v: loss(g, batching=v), OptionError,
        "batching is 'vmap', 'loop' or None, got", ("all", 5, ["loop"], True)),
    Row("NetworkLoss", lambda g, v: loss(g, statistics=v), DataError, "statistics",
        (5, "ab", X.numpy(), X[:0], X[0], X[:, :3], X.double(), X + NAN)),
    Row("NetworkLoss", lambda g, v: loss(g, precision=v), OptionError,
        "precision is 'full' or 'bfloat16', got", ("half", None, 16)),
    *(Row(f"NetworkLoss.{method}", lambda g, v, method=method: getattr(g.loss, method)(v),
          ShapeError, f"takes points {piece}", bad)
      for method in ("__call__", "evaluate", "values_and_gradients")
      for piece, bad in {
          "as a tensor of floats, got":
              (5, None, "a", [[0.0]], np.zeros((1, 27)), torch.zeros(1, 27, dtype=torch.int64),
               torch.zeros(1, 27, dtype=torch.complex64)),
          "(batch, 27), got shape":
              (torch.zeros(()), torch.zeros(27), torch.zeros(1, 26), torch.zeros(2, 26),
               torch.zeros(0, 27), torch.zeros(1, 2, 27)),
      }.items()),
    Row("NetworkLoss.point_bytes", lambda g, v: g.loss.point_bytes(gradients=v), OptionError,
        "gradients must be", UNSURE),
    Row("NetworkLoss.estimates", estimate, OptionError, "batch_size must be", NO_COUNT),
    Row("NetworkLoss.estimates", lambda g, v: estimate(g, rng=v), OptionError, "rng must be",
        (5, "0", np.random)),
    Row("NetworkLoss.estimates", lambda g, v: estimate(g)(v), ShapeError, "takes points",
        (5, torch.zeros(27))),
    Row("NetworkLoss.mismatched", lambda g, v: next(g.loss.mismatched(v, np.random.default_rng(0))),
        OptionError, "batch_size must be", NO_COUNT),
    Row("NetworkLoss.flatten", lambda g, v: g.loss.flatten(v), DataError, "state",
        (5, None, nn.ReLU(), {}, {"a": 1}, {5: 1, "a": 2})),
    Row("NetworkLoss.flatten", lambda g, v: g.loss.flatten(entries(g, v)), DataError,
        "a state dict must", (Tensor.numpy, lambda _: 5, lambda w: w[:1])),
    Row("NetworkLoss.point_of", lambda g, v: g.loss.point_of(v), DataError, "must be a torch.nn.M",
        (5, None, MLP, {}, "a")),
    Row("NetworkLoss.point_of", lambda g, v: g.loss.point_of(v), DataError, "a state dict must",
        (nn.ReLU(), MLP(4, (2,), 3))),
    Row("NetworkLoss.state_dict", lambda g, v: g.loss.state_dict(v), ShapeError, "points",
        (torch.zeros(26), torch.zeros(27, dtype=torch.int64), torch.zeros(0))),
    Row("NetworkLoss.state_dict", lambda g, v: g.loss.state_dict(v), ShapeError, "of one point",
        (5, None, "a", np.zeros(27), torch.zeros(1, 27), torch.zeros(()))),
)  # fmt: skip

MINIMA = (
    Row("align", lambda _, v: align(v), OptionError, "must be a Minima", (5, None, Minima, X)),
    Row("align", lambda _, v: align(Minima(torch.eye(2), v)), DataError, "networks can be aligned",
        (lambda points: points.sum(dim=1),)),
    Row("align", lambda g, v: align(g.minima, units=v), DataError, "mend the PermutationGroup",
        (5, "ab", [5], [PermutationGroup(3, 5)], [PermutationGroup("3", ())],  # pyright: ignore
         [PermutationGroup(0, ())], [PermutationGroup(3, (5,))],  # pyright: ignore
         [PermutationGroup(3, (Axis("layers.1.weight", 5),))],
         [PermutationGroup(-3, (Axis("layers.1.weight", 0, -1),))])),
    Row("align", lambda g, v: align(g.minima, method=v), OptionError, "method must be one of",
        (None, 1, "weight", ["weights"])),
    Row("align", lambda g, v: align(g.minima, seed=v), OptionError, "seed must be", NO_SEED),
    Row("align", lambda g, v: align(g.minima, memory=v), OptionError, "memory must be", NO_COUNT),
    Row("read_checkpoint", lambda _, v: read_checkpoint(v), OptionError, "path",
        (5, None, b"a", "a\0b")),
    Row("read_checkpoint", lambda g, v: read_checkpoint(g.folder / v), DataError, "checkpoint",
        ("absent.pt", "absent.safetensors", "file", "folder")),
    Row("read_checkpoint", lambda _, v: read_checkpoint("a.pt", v), DataError, "names are compared",
        (5, "MLP", MLP, {})),
    Row("read_checkpoint", lambda _, v: read_checkpoint("a.pt", key=v), DataError, "key is the",
        (5, "", ["a"])),
    Row("train_minima", lambda _, v: train_minima(v, 2), DataError, "trained on a NetworkLoss",
        (5, None, len, NetworkLoss)),
    Row("train_minima", trained, OptionError, "n must be", NO_COUNT),
    Row("train_minima", trained, CapacityError, "GB of memory", (10**15, 2**70)),
    *(Row("train_minima", lambda g, v, name=name: trained(g, **{name: v}), OptionError,
          f"{name} must be", bad)
      for name, bad in {
          "recipe": (5, "exact", Recipe),
          "init": (5, "MLP", MLP, nn.Linear(4, 3)),
          "align": UNSURE, "progress": UNSURE,
          "seed": NO_SEED,
          "memory": NO_COUNT,
          "store": (5, "", "a\0b"),
          "executor": (5, "processes"),
          "batch": (0.5, "1", True, 0, -2),
          "polish": (1, 1e-6, None, "yes"),
      }.items()),
    Row("train_minima", lambda g, _: trained(g, executor=ThreadPoolExecutor(1)), OptionError,
        "must be processes"),
    Row("train_minima", lambda g, v: trained(g, init=lambda: v), DataError, "init ",
        (5, None, MLP, MLP(4, (3,), 3))),
    Row("train_minima", lambda g, v: trained(g, init=lambda: v), DataError, "own architecture",
        (MLP(5),)),
    Row("train_minima", lambda g, v: trained(g, store=g.folder / v), RunError, "choose another",
        ("file", "file/run")),
    Row("train_minima", lambda g, v: trained(g, recipe=Recipe(epochs=2, learning_rate=v)),
        OptionError, "learning_rate must be", (1e300,)),
    Row("train_minima", lambda g, v: trained(g, recipe=Recipe(epochs=9, learning_rate=v)),
        LossError, "at learning rate 1e+30: choose a smaller", (1e30,)),
)  # fmt: skip

TABLE = (*NETWORKS_AND_DATA, *LOSSES, *MINIMA)

HANDED = {"load_digits", *(f"{name}.forward" for name in ("MLP", "LeNet", "ResNet"))}
"""What takes no argument, and what torch calls."""


@rows(*TABLE)
def test_bad_input_is_refused(row: Row, bad: Any, good: Good):
    assert_refused(row, bad, good, good.folder)


@pytest.mark.parametrize(
    ("networks", "error"),
    [(5, OptionError), (None, OptionError), ([], ShapeError), ([nn.ReLU()], DataError)],
)
def test_minima_from_what_are_no_state_dicts_are_refused(
    networks: Any, error: type[Exception], good: Good
):
    row = Row("", lambda g, v: Minima.from_state_dicts(v, g.loss), error, "state dict")
    assert_refused(row, networks, good, good.folder)


def test_everything_that_can_be_called_has_a_row():
    assert_complete(nets, TABLE, HANDED)
