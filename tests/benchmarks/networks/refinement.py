"""Refined maxima on rough surfaces: straight edges between ResNet-20s, beside a dense scan.

Two networks on images of FashionMNIST, padded to 32 x 32 and repeated to three channels (CIFAR-10's
shape): as they are initialised, and after an epoch on more of these images. `build_complex` takes
its defaults, but that nothing is trained between the networks. Then the loss is evaluated at
`--scan` points of the same edge. Found maximum, error bound and the scan's maximum are losses, and
`higher` is the scan's over the found: at most the error bound, if that is right.

Seconds are those of the refined maximum with its lattice and control points, cpu those of all cores
together; peak is the memory of the process until then, torch and the data included.

    python tests/benchmarks/networks/refinement.py [--cases untrained,epoch] [--scan 2000]
"""

import argparse
import resource
import time
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nets import NetworkLoss, ResNet, train_minima
from nets.data import load
from nets.models.recipes import RESNET
from simplicial import Algorithm1, Minima, build_complex
from simplicial.errors import LossWarning
from simplicial.evaluation import evaluate
from simplicial.loss import Evaluation

BATCH = 20  # points of the scan that are evaluated together
HEADER = "case        images  seconds    cpu  values  gradients    peak     found  error bound  "
HEADER += "    scan    higher"


class Counting(NetworkLoss):
    """A loss that counts its values and its gradients."""

    values = gradients = 0

    def evaluate(self, points: Tensor) -> Evaluation:
        self.values += len(points)
        return super().evaluate(points)

    def values_and_gradients(self, points: Tensor) -> tuple[Tensor, Tensor]:
        self.gradients += len(points)
        return super().values_and_gradients(points)


def images(size: int, first: int, last: int) -> tuple[Tensor, Tensor]:
    """Images first .. last - 1 of FashionMNIST, of shape (3, size, size), and their classes."""
    data = load("fashion-mnist")
    padded = pad(data.train_inputs[first:last], (2, 2, 2, 2)).repeat(1, 3, 1, 1)
    inputs = padded if size == 32 else interpolate(padded, size=size, mode="area")
    return inputs, data.train_targets[first:last]


def networks(case: str, loss: NetworkLoss, size: int, examples: int) -> Minima:
    """Two networks, untrained or trained for an epoch on so many images."""
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        states.append(ResNet(3, 20).state_dict())
    if case == "untrained":
        return Minima.from_state_dicts(states, loss)
    more = NetworkLoss(ResNet(3, 20), *images(size, 0, examples))
    recipe = RESNET.changed(epochs=1)
    points = train_minima(more, 2, recipe=recipe, seed=0, progress=False).points
    return Minima(points, loss)


def measured(case: str, options: argparse.Namespace) -> str:
    """A line of the table."""
    loss = Counting(
        ResNet(3, 20), *images(options.size, 0, options.images), batch_norm=options.batch_norm
    )
    minima = networks(case, loss, options.size, options.epoch_images)
    loss.values = loss.gradients = 0
    given: dict[str, Any] = {"refinement_budget": options.budget} if options.budget else {}
    began, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LossWarning)  # the table says it
        straight = Algorithm1(recipe=RESNET.changed(epochs=0))
        built = build_complex(minima, 1, optimizer=straight, progress=False, **given)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    values, gradients = loss.values, loss.gradients
    found, bound = float(built.maxima[1][0]), float(built.error_bounds[1][0])
    edge, largest = built[(0, 1)], -np.inf
    for some in np.array_split(np.linspace(0, 1, options.scan), -(-options.scan // BATCH)):
        largest = max(largest, evaluate(loss, edge(np.stack([1 - some, some], axis=1))).loss.max())
    return (
        f"{case:10} {options.images:7} {seconds:8.0f} {cpu:6.0f} {values:7} {gradients:10} "
        f"{peak:5.2f} GB {found:9.6g} {bound:12.3g} {largest:9.6g} {largest - found:9.2g}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default="untrained,epoch")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--epoch-images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--scan", type=int, default=2000)
    parser.add_argument("--budget", type=int)
    parser.add_argument("--batch-norm", default="recomputed", choices=("recomputed", "stored"))
    options = parser.parse_args()
    print(HEADER, flush=True)
    for case in options.cases.split(","):
        print(measured(case, options), flush=True)


if __name__ == "__main__":
    main()
