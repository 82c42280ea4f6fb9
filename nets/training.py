"""Training minima: n networks from n random initialisations, all in one batch.

A minimum is a simplex of dimension 0 with one free control point, so it is trained by the lines
that train edges and triangles (`simplicial.optimizers.algorithm1.descend`), with the same recipe: section 5 of
the paper.
"""

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from nets import symmetry
from nets.execution.rng import global_generators, undisturbed
from nets.loss import NetworkLoss
from reduction import DataError, OptionError
from reduction.memory import require
from reduction.validation import as_bool, as_integer, short_repr
from simplicial import Barycentric, Evaluation, Minima, Recipe
from simplicial.construction.executors import by_workers, check_workers, cut
from simplicial.construction.scheduler import record_name
from simplicial.display import progress_bar
from simplicial.evaluation import MEMORY, evaluate
from simplicial.maps.control_points import Simplices
from simplicial.optimizers.algorithm1 import Stage, descend
from simplicial.optimizers.recipe import check_recipe
from simplicial.options import byte_count, described
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.folder import RunFolder
from simplicial.run_folder.records import Record

NAME = record_name(0)  # of trained networks in a run folder


class Trained(NamedTuple):
    """Networks (k, d), and the loss there."""

    points: Tensor
    seen: Evaluation


def train_minima(
    loss: NetworkLoss,
    n: int,
    *,
    recipe: Recipe | None = None,
    init: Callable[[], nn.Module] | None = None,
    align: bool = False,
    seed: int = 0,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    batch: int | None = None,
    progress: bool = True,
) -> Minima:
    """Train n networks by SGD on mini-batches, and take them as the vertices of a complex.

    recipe    None: `Recipe()`, the paper's for the LeNet-like network
    init      makes a freshly initialised network of the loss's architecture; None: the loss's
              model, each module initialised anew by its own `reset_parameters`
    align     whether their hidden units are then permuted so that they come near the first one; see
              `nets.symmetry.align`
    seed      non-negative; network i depends on the seed and i alone
    memory    bytes, or "4GB", for a batch of networks
    store     a run folder, as `build_complex` takes; networks are stored before they are aligned
    executor  whose workers train the networks, as `build_complex` takes
    batch     networks that are trained together, never the result; None: all, or up to 16 with a
              store or an executor
    progress  a bar on stderr, for what takes over two seconds
    Raises OptionError for arguments out of range, CapacityError for networks that do not fit into
    memory, DataError for networks that cannot be initialised anew or begin at the same point,
    LossError where training does not stay finite, and what `build_complex` raises for a store and
    for workers.
    """
    if not isinstance(loss, NetworkLoss):
        raise DataError(
            f"networks are trained on a NetworkLoss, got {type(loss).__name__}: build one, or look "
            "for the minima of a function with find_minima"
        )
    as_integer("n", n, 1)
    as_integer("seed", seed, 0)
    memory = byte_count(memory)
    progress = as_bool("progress", progress)
    check_recipe(recipe)
    if as_bool("align", align):
        symmetry.permutation_groups(loss.model())  # refused before anything is trained
    check_workers(executor, batch)
    recipe = Recipe() if recipe is None else recipe
    points = initial_points(loss, n, init, seed)
    loss.point_bytes()  # its first use, which refuses what no training could end well with
    work = partial(
        train_batch, recipe=recipe, seed=seed, memory=memory, threads=torch.get_num_threads()
    )
    with RunFolder.opened(store) as folder:
        trained = {}
        if folder is not None:
            folder.match_settings("minima", _settings(loss, points, recipe, seed), NAME)
            trained = _stored(folder, loss, n)
        alone = folder is None and executor is None
        parts = cut(np.arange(n), batch, alone=alone, executor=executor, done=trained)
        keys = [f"{NAME}: {part.tolist()}" for part in parts]
        checkpoints = [None if folder is None else folder.checkpoint(key) for key in keys]
        calls = [
            (loss, points[torch.as_tensor(which)], which, checkpoint)
            for which, checkpoint in zip(parts, checkpoints, strict=True)
        ]
        with progress_bar("minima: training", recipe.epochs * len(parts), progress) as bar:
            for row, (found, seen) in _trained(executor, work, calls, recipe.epochs, bar):
                for i, number in enumerate(parts[row].tolist()):
                    trained[number] = (found[i], _alone(seen, i))
                    if folder is not None:
                        folder.put(NAME, number, _record(number, *trained[number]))
                if (checkpoint := checkpoints[row]) is not None:
                    checkpoint.clear()
    points = torch.stack([trained[i][0].to(points) for i in range(n)])
    minima = Minima(points, loss, seen=Evaluation.joined([trained[i][1] for i in range(n)]))
    return symmetry.align(minima, seed=seed, memory=memory) if align else minima


def train_batch(
    loss: NetworkLoss,
    points: Tensor,
    which: NDArray[np.int64],
    checkpoint: Checkpoint | None,
    on_round: Callable[[], object] = lambda: None,
    *,
    recipe: Recipe,
    seed: int,
    memory: int,
    threads: int,
) -> Trained:
    """Networks (k, d) trained from `points`, those with the numbers `which` (k,), and the loss.

    checkpoint  of these networks; None: none is saved
    threads  that torch takes. Raises LossError where training does not stay finite.
    """
    torch.set_num_threads(threads)
    points = points.clone()
    rows = np.arange(len(which))[:, None]
    simplices = Simplices(which[:, None], rows, Barycentric())
    stage = Stage(simplices, slice(0, len(which)), slice(0, 0), seed, memory, checkpoint=checkpoint)
    descend(loss, points, stage, stage.inside, recipe, on_round=on_round)
    return Trained(points, evaluate(loss, points, memory))


def _trained(
    executor: Executor | None,
    work: Callable[..., Trained],
    calls: list[tuple[Any, ...]],
    epochs: int,
    bar: "tqdm[NoReturn]",
) -> Iterator[tuple[int, Trained]]:
    """Batches by their place, as they end."""
    if executor is None:
        for row, call in enumerate(calls):
            yield row, work(*call, bar.update)
        return
    for row, found in by_workers(executor, work, calls):
        bar.update(epochs)
        yield row, found


def _alone(seen: Evaluation, i: int) -> Evaluation:
    accuracy = None if seen.accuracy is None else seen.accuracy[i : i + 1]
    return Evaluation(seen.loss[i : i + 1], accuracy)


def _settings(loss: NetworkLoss, starts: Tensor, recipe: Recipe, seed: int) -> dict[str, Any]:
    """What the bits of minima depend on, as JSON values."""
    return {
        "n": len(starts),
        "loss": repr(loss),
        "loss at the first start": float(evaluate(loss, starts[:1]).loss[0]),
        "starts": sha256(starts.cpu().numpy().tobytes()).hexdigest(),
        "recipe": described(recipe),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _record(number: int, point: Tensor, seen: Evaluation) -> Record:
    accuracy = None if seen.accuracy is None else float(seen.accuracy[0])
    numbers = {"number": number, "loss": float(seen.loss[0]), "accuracy": accuracy}
    return Record({"points": point.cpu()}, numbers)


def _stored(store: RunFolder, loss: NetworkLoss, n: int) -> dict[int, tuple[Tensor, Evaluation]]:
    """Trained networks by their number. Raises DataError for records of others."""
    found = {}
    for number in store.numbers(NAME):
        record = store.get(NAME, number)
        assert record is not None, "its file was just listed"
        point, numbers = record.tensors.get("points"), record.values
        right = (
            number < n and numbers.get("number") == number and {"loss", "accuracy"} <= {*numbers}
        )
        if point is None or point.shape != (loss.dim,) or not right:
            raise DataError(
                f"records of {store.folder} must be those of these networks, number {number} is "
                "not: choose another folder"
            )
        score = None if numbers["accuracy"] is None else np.array([numbers["accuracy"]])
        found[number] = (point, Evaluation(np.array([numbers["loss"]]), score))
    return found


def initial_points(
    loss: NetworkLoss, n: int, init: Callable[[], nn.Module] | None, seed: int
) -> Tensor:
    """Parameter vectors (n, d) of freshly initialised networks; see `train_minima`."""
    if init is not None and (not callable(init) or isinstance(init, type | nn.Module)):
        got = f"the class {init.__name__}" if isinstance(init, type) else type(init).__name__
        raise OptionError(
            f"init must be a function that makes a new network, got {got}: pass lambda: MLP(64), "
            "say, or None"
        )
    size = torch.finfo(loss.coordinates.dtype).bits // 8
    require(size * n * loss.dim, f"{n} networks of {loss.dim} parameters")
    make = init or _reinitialised(loss.model())
    points: list[Tensor] = []
    generators = global_generators(loss.device)
    for i in range(n):
        with undisturbed(generators):
            for generator in generators:
                generator.manual_seed(_initial_seed(seed, i))
            network = make()
            if not isinstance(network, nn.Module):
                raise DataError(
                    f"init must make a torch.nn.Module, it gives {short_repr(network)}: return a new "
                    "network of the loss's architecture"
                )
            points.append(loss.flatten(network.state_dict()))
    for i in range(1, n):
        if torch.equal(points[i], points[0]):
            raise DataError(
                f"minima need different initialisations, networks 0 and {i} begin at the same "
                "point: let init draw from torch's global generator, which is seeded for each"
            )
    return torch.stack(points)


def _initial_seed(seed: int, i: int) -> int:
    return int(np.random.SeedSequence([seed, i]).generate_state(1, np.uint64)[0])


def _reinitialised(model: nn.Module) -> Callable[[], nn.Module]:
    model = copy.deepcopy(model).cpu()
    resets = []
    for name, module in model.named_modules():
        reset = getattr(module, "reset_parameters", getattr(module, "_reset_parameters", None))
        if reset is not None:
            resets.append(reset)
        elif any(p.requires_grad for p in module.parameters(recurse=False)):
            raise DataError(
                f"minima need random initialisations, module {name or 'model'!r} "
                f"({type(module).__name__}) has parameters but no reset_parameters: pass "
                "init=, a function that makes a new network"
            )

    frozen = {k: p.detach().clone() for k, p in model.named_parameters() if not p.requires_grad}

    def make() -> nn.Module:
        for reset in resets:
            reset()
        model.load_state_dict(frozen, strict=False)  # a module may have both kinds of parameters
        return model

    return make
