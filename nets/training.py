"""Training minima: n networks from n random initialisations, all in one batch.

A minimum is a simplex of dimension 0 with one free control point, so it is trained, stored and
evaluated by the lines that do this for edges and triangles (`simplicial.construction`), with the
same recipe: section 5 of the paper.
"""

import copy
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nets.execution.rng import global_generators, undisturbed
from nets.loss import NetworkLoss
from nets.symmetry import alignment
from reduction import DataError, OptionError
from reduction.files import digest
from reduction.memory import require
from reduction.validation import as_bool, as_integer, short_repr
from simplicial import Algorithm1, Barycentric, Evaluation, Minima, Recipe
from simplicial.construction.executors import check_workers
from simplicial.construction.polishing import Polish, as_polish
from simplicial.construction.polishing import polish as polished
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.serialization import record_name
from simplicial.construction.state import ConstructionState
from simplicial.evaluation import evaluate
from simplicial.maps.control_points import lay_out
from simplicial.optimizers.recipe import check_recipe, recipe_beside
from simplicial.options import MEMORY, BuildOptions, byte_count, described
from simplicial.run_folder.folder import RunFolder


def train_minima(
    loss: NetworkLoss,
    n: int,
    *,
    recipe: Recipe | None = None,
    init: Callable[[], nn.Module] | None = None,
    polish: bool | Polish = False,
    align: bool = False,
    seed: int = 0,
    memory: int | str = MEMORY,
    store: str | Path | RunFolder | None = None,
    executor: Executor | None = None,
    batch: int | None = None,
    progress: bool = True,
) -> Minima:
    """Train n networks by SGD on mini-batches, and take them as the vertices of a complex.

    recipe    None: `Recipe()`, the paper's for the LeNet-like network. A penalty counts once: of a
              loss that was given weight_decay it is the loss's, the recipe's is 0 where it is left
              to this default, and refused otherwise; what is trained then is what is reported. On
              a loss without weight_decay that of the recipe is in training only
    init      makes a freshly initialised network of the loss's architecture, with the buffers and
              frozen parameters of its model; None: that model, each module initialised anew by its
              own `reset_parameters`
    polish    whether each is then lowered on the exact loss until its gradient is small, see
              `simplicial.polish`; or its options
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
    progress, polishing = as_bool("progress", progress), as_polish(polish)
    check_recipe(recipe)
    if as_bool("align", align):
        alignment.check_alignable(loss)  # refused before anything is trained
    check_workers(executor, batch)
    recipe = recipe_beside(loss.weight_decay, recipe, Recipe())
    options = BuildOptions(resolution=1, tolerance=None, seed=seed, memory=memory)
    points = initial_points(loss, n, init, seed)
    loss.point_bytes()  # its first use, which refuses what no training could end well with
    state = ConstructionState.of_points(loss, points, lay_out(n, 0, Barycentric()), options)
    with RunFolder.opened(store) as folder:
        if folder is not None:
            settings = _settings(loss, points, recipe, options)
            folder.match_settings("minima", settings, record_name(0))
        scheduler = Scheduler(Algorithm1(recipe=recipe), folder, executor, batch, progress)
        minima = _minima(scheduler.run(state))
        if polishing is not None:
            work: dict[str, Any] = {"store": folder, "executor": executor, "progress": progress}
            minima = polished(minima, polishing, memory=memory, **work)
    return alignment.align(minima, seed=seed, memory=memory) if align else minima


def _minima(state: ConstructionState) -> Minima:
    """The minima of a state whose vertices are trained, with the loss found there."""
    samples = state.interiors[0].samples
    assert samples is not None, "those of vertices are kept"
    accuracy = None if samples.accuracy is None else samples.accuracy[:, 0]
    evaluation = Evaluation(samples.loss[:, 0], accuracy)
    return Minima(state.control_points, state.loss, seen=evaluation)


def _settings(
    loss: NetworkLoss, starts: Tensor, recipe: Recipe, options: BuildOptions
) -> dict[str, Any]:
    """All that the bits of minima depend on, as JSON values."""
    return {
        "n": len(starts),
        "loss": repr(loss),
        "loss at the first start": float(evaluate(loss, starts[:1]).loss[0]),
        "starts": digest(starts.cpu().numpy().tobytes()),
        "recipe": described(recipe),
        "seed": options.seed,
        "threads": options.threads,
        "torch": torch.__version__,
    }


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
    networks = f"{n} networks of {loss.dim} parameters"
    require(size * n * loss.dim, networks, "train fewer, or smaller networks")
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
                    f"init must make a torch.nn.Module, it gives {short_repr(network)}: return a "
                    "new network of the loss's architecture"
                )
            points.append(_point(loss, network, own=init is None))
    for i in range(1, n):
        if torch.equal(points[i], points[0]):
            raise DataError(
                f"minima need different initialisations, networks 0 and {i} begin at the same "
                "point: let init draw from torch's global generator, which is seeded for each"
            )
    return torch.stack(points)


def _point(loss: NetworkLoss, network: nn.Module, *, own: bool) -> Tensor:
    """The point (d,) of a new network, made of the loss's own model or by init."""
    if own:
        return loss.flatten(network.state_dict())
    try:
        return loss.point_of(network)
    except DataError as error:
        name = type(network).__name__
        raise DataError(
            f"init must make networks of the loss's own architecture, for its {name} {error}"
        ) from error


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
    buffers = {k: b.clone() for k, b in model.named_buffers(remove_duplicate=False)}

    def make() -> nn.Module:
        for reset in resets:
            reset()
        model.load_state_dict(frozen, strict=False)  # a module may have both kinds of parameters
        # buffers belong to the function, and a reset may write in them
        for name, value in buffers.items():
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, value.clone())
        return model

    return make
