"""Names of saved networks, brought to those of a model: prefixes, wrappers, entries, averages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nets import MLP, NetworkLoss, read_checkpoint
from nets.models.checkpoints import find_checkpoint
from reduction import DataError
from tests.nets.networks import Tied, numbers, seeded

State = dict[str, Any]


def small() -> nn.Module:
    return seeded(lambda: MLP(6, (4,), 3), 1)


def another() -> nn.Module:
    return seeded(lambda: MLP(6, (4,), 3), 2)


def prefixed(prefix: str, network: nn.Module | None = None) -> State:
    return {prefix + name: value for name, value in (network or small()).state_dict().items()}


def saved(folder: Path, content: Any) -> Path:
    torch.save(content, folder / "a.pt")
    return folder / "a.pt"


def assert_same(state: State, network: nn.Module) -> None:
    own = network.state_dict()
    assert state.keys() == own.keys()
    assert all(torch.equal(state[name], own[name]) for name in own)


def lightning(**more: Any) -> State:
    """The entries of a Lightning checkpoint."""
    return {
        "epoch": 3,
        "state_dict": {**prefixed("net."), **more},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.zeros(())}},
    }


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        (prefixed(""), None),
        ({"state_dict": prefixed("")}, None),
        ({"model": {"state_dict": prefixed("")}}, "read at 'model.state_dict'"),
        (prefixed("module."), "read at 'module'"),
        (prefixed("_orig_mod."), "names fitted to the model's"),
        (prefixed("module._orig_mod."), "read at 'module', names fitted to the model's"),
        (prefixed("model."), None),  # also the name of an entry that every reader knows
        (prefixed("net."), "read at 'net'"),
        (prefixed("any.attribute."), "read at 'any.attribute'"),
        ({"ema": prefixed("")}, "read at 'ema'"),
        ({"ema_state_dict": prefixed("module.")}, "read at 'ema_state_dict.module'"),
        ({"weights": prefixed("")}, "read at 'weights'"),
        (lightning(), "read at 'state_dict.net'"),
        (
            lightning(**{"criterion.weight": torch.ones(3)}),
            "read at 'state_dict.net', criterion.weight left out",
        ),
        (
            AveragedModel(small()).state_dict(),
            "read at 'module', n_averaged left out",
        ),
        (
            {k.replace("layers.1", "layers.1._orig_mod"): v for k, v in prefixed("").items()},
            "names fitted to the model's",
        ),
    ],
)
def test_names_are_fitted_to_the_models(content: Any, remark: str | None, tmp_path: Path):
    path = saved(tmp_path, content)
    found = find_checkpoint(path, another(), None)
    assert_same(found.state, small())
    assert found.remark == remark
    assert_same(read_checkpoint(str(path), another()), small())


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "network."])
def test_prefixes_of_the_model_are_added(prefix: str, tmp_path: Path):
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(prefix[:-1], another())

    state = read_checkpoint(saved(tmp_path, prefixed("")), Wrapped())
    assert_same({name.removeprefix(prefix): value for name, value in state.items()}, small())


@pytest.mark.parametrize(
    ("key", "network"),
    [("state_dict", small), ("state_dict_ema", another), ("state_dict_ema.module", another)],
)
@pytest.mark.parametrize("fitted", [True, False])
def test_one_of_several_networks_is_chosen_by_key(
    key: str, network: Callable[[], nn.Module], fitted: bool, tmp_path: Path
):
    path = saved(
        tmp_path,
        {"state_dict": prefixed(""), "state_dict_ema": prefixed("module.", another())},
    )
    model = small() if fitted else None
    with pytest.raises(DataError, match=r"several networks, at 'state_dict', 'state_dict_ema.*key"):
        read_checkpoint(path, model)
    assert_same(read_checkpoint(path, model, key=key), network())
    with pytest.raises(DataError, match="at 'teacher': choose key among 'state_dict'"):
        read_checkpoint(path, model, key="teacher")


def test_a_key_is_left_out_where_a_file_holds_one_network(tmp_path: Path):
    path = saved(tmp_path, prefixed(""))
    with pytest.raises(DataError, match="at 'teacher': leave key out, it holds one alone"):
        read_checkpoint(path, small(), key="teacher")


def test_a_network_that_is_not_finite_is_one_network(tmp_path: Path):
    state = {name: torch.full_like(value, torch.nan) for name, value in prefixed("").items()}
    read = read_checkpoint(saved(tmp_path, state), small())
    assert read.keys() == state.keys()
    assert all(value.isnan().all() for value in read.values())


def test_one_of_several_prefixes_is_chosen_by_key(tmp_path: Path):
    path = saved(tmp_path, {"state_dict": {**prefixed("net."), **prefixed("mean.", another())}})
    with pytest.raises(DataError, match=r"at 'state_dict\.mean', 'state_dict\.net': choose one"):
        read_checkpoint(path, small())
    assert_same(read_checkpoint(path, small(), key="state_dict.mean"), another())
    assert_same(read_checkpoint(path, key="state_dict.mean"), another())


def test_equal_networks_are_one(tmp_path: Path):
    path = saved(tmp_path, {"state_dict": prefixed(""), "ema": prefixed("module.")})
    assert_same(read_checkpoint(path, another()), small())


def test_a_part_of_a_larger_network_is_taken_when_it_is_asked_for(tmp_path: Path):
    larger = {**prefixed("head."), **prefixed("body.", seeded(lambda: MLP(9, (9,), 9)))}
    path = saved(tmp_path, larger)
    with pytest.raises(DataError, match=r"names at 'head', beside 4 other .*pass key='head'"):
        read_checkpoint(path, small())
    assert_same(read_checkpoint(path, small(), key="head"), small())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (prefixed("") | {"extra": torch.ones(1)}, "'extra', which the model has not"),
        ({"layers.1.weight": torch.ones(4, 6)}, "'layers.1.bias' is missing"),
        (
            prefixed("") | {"layers.1.bias": torch.ones(5)},
            r"'layers.1.bias' has shape \(5,\), the model's has \(4,\)",
        ),
        ({"state_dict": {}}, "must hold"),
    ],
)
def test_a_network_of_other_names_or_shapes_is_refused(content: Any, sentence: str, tmp_path: Path):
    with pytest.raises(DataError, match=rf"checkpoint .*a\.pt.*{sentence}"):
        read_checkpoint(saved(tmp_path, content), small())


def test_wrong_models_and_keys_are_refused(tmp_path: Path):
    path = saved(tmp_path, prefixed(""))
    wrong: Any = MLP
    with pytest.raises(DataError, match=r"compared with a torch\.nn\.Module's, got"):
        read_checkpoint(path, wrong)
    for key in ("", 5):
        wrong = key
        with pytest.raises(DataError, match="key is the dotted path to a state dict, got"):
            read_checkpoint(path, key=wrong)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_model_without_shapes_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="'weight' of LazyLinear is lazy: call the model on"):
        read_checkpoint(saved(tmp_path, prefixed("")), nn.LazyLinear(3))


@pytest.mark.parametrize("kept", ["first.weight", "second.weight"])
def test_safetensors_may_hold_a_tied_weight_under_one_of_its_names(kept: str, tmp_path: Path):
    """As safetensors saves models: shared tensors once, under a name of its choice."""
    network = seeded(Tied, 1)
    state = {k: v.contiguous() for k, v in network.state_dict().items()}
    for name in {"first.weight", "second.weight"} - {kept}:
        del state[name]
    save_file(state, tmp_path / "a.safetensors")
    model = seeded(Tied, 2)
    loss = NetworkLoss(model, numbers(20, 6), torch.arange(20) % 3)
    point = loss.flatten(read_checkpoint(tmp_path / "a.safetensors", model))
    assert torch.equal(point, loss.flatten(network.state_dict()))
    assert read_checkpoint(tmp_path / "a.safetensors").keys() == state.keys()


def test_spoilt_safetensors_are_refused(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match=r"a\.safetensors cannot be read as weights \(Safetensor"):
        read_checkpoint(tmp_path / "a.safetensors")


class Config:
    """What only pickle could load."""


def test_a_file_with_pickled_objects_is_refused_by_their_names(tmp_path: Path):
    path = saved(tmp_path, {"state_dict": prefixed(""), "hyper_parameters": Config()})
    with pytest.raises(DataError, match=r"holds tests.*test_naming\.Config, which only pickle"):
        read_checkpoint(path, small())


def test_coordinates_alone_are_enough(tmp_path: Path):
    model = another()
    model.get_parameter("layers.1.weight").requires_grad_(False)
    model.get_parameter("layers.1.bias").requires_grad_(False)
    head: dict[str, Tensor] = {k: v for k, v in prefixed("net.").items() if "layers.1" not in k}
    state = read_checkpoint(saved(tmp_path, head), model)
    assert state.keys() == {"layers.3.weight", "layers.3.bias"}
    assert torch.equal(state["layers.3.bias"], small().get_parameter("layers.3.bias"))
