"""Training minima: n networks from n random initialisations, all in one batch.

A minimum is a simplex of dimension 0 with one free control point, so it is trained by the lines
that train edges and triangles (`simplicial.optimise.descend`), with the same recipe: section 5 of
the paper.
"""

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nets import symmetry
from nets.generators import global_generators, undisturbed
from nets.loss import NetworkLoss
from reduction import DataError
from simplicial import Barycentric, Minima, Recipe
from simplicial.loss import MEMORY
from simplicial.optimise import Simplices, Stage, descend
from simplicial.options import switch, whole


def train_minima(
    loss: NetworkLoss,
    n: int,
    *,
    recipe: Recipe | None = None,
    init: Callable[[], nn.Module] | None = None,
    align: bool = False,
    seed: int = 0,
    memory: int = MEMORY,
    progress: bool = True,
) -> Minima:
    """Train n networks by SGD on mini-batches, and take them as the vertices of a complex.

    recipe    None: `Recipe()`, the paper's for the LeNet-like network
    init      makes a freshly initialised network of the loss's architecture; None: the loss's
              model, each module initialised anew by its own `reset_parameters`
    align     whether their hidden units are then permuted so that they come near the first one; see
              `nets.symmetry.align`
    seed      non-negative; network i depends on the seed and i alone, up to rounding
    memory    bytes for a batch of networks
    progress  a bar on stderr, for what takes over two seconds
    Raises OptionError for n < 1 or a negative seed, DataError for networks that cannot be
    initialised anew or begin at the same point, LossError where training does not stay finite.
    """
    if not isinstance(loss, NetworkLoss):
        raise DataError(
            f"networks are trained on a NetworkLoss, got {type(loss).__name__}: build one, or look "
            "for the minima of a function with find_minima"
        )
    whole("n", n, 1)
    whole("seed", seed, 0)
    if switch("align", align):
        symmetry.units_of(loss.model())  # refused before anything is trained
    recipe = Recipe() if recipe is None else recipe
    points = initial_points(loss, n, init, seed)
    each = np.arange(n)[:, None]
    with tqdm(
        desc="minima: training", total=recipe.epochs, delay=2, disable=not progress, leave=False
    ) as bar:
        simplices = Simplices(each, each, Barycentric())
        stage = Stage(simplices, slice(0, n), slice(0, 0), seed, memory)
        descend(loss, points, stage, stage.inside, recipe, on_round=bar.update)
    minima = Minima(points, loss, memory=memory)
    return symmetry.align(minima, seed=seed, memory=memory) if align else minima


def initial_points(
    loss: NetworkLoss, n: int, init: Callable[[], nn.Module] | None, seed: int
) -> Tensor:
    """Parameter vectors (n, d) of freshly initialised networks; see `train_minima`."""
    make = init or _reinitialised(loss.model())
    points: list[Tensor] = []
    generators = global_generators(loss.device)
    for i in range(n):
        with undisturbed(generators):
            for generator in generators:
                generator.manual_seed(_initial_seed(seed, i))
            points.append(loss.flatten(make().state_dict()))
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
