"""How many points of simplices are trained and evaluated in a second, against a plain loop.

Sixteen points of triangles, as many as a step of Algorithm 1 takes for sixteen triangles. Training
is a gradient on a mini-batch of 128 examples; evaluation the exact loss on all examples, with batch
norm's statistics computed anew at every point. The plain loop loads a state dict into one float32
network for each point, as the tools of mode connectivity do; it reads the same examples, in batches
of 128. Both in one process, by turns; the best of the repeats. "Off by": losses, the largest
difference; gradients in bfloat16, the median of the relative differences from those in full.

    python tests/benchmarks/points_per_second.py [--repeats 5] [--device cpu]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import LeNet, NetworkLoss, ResNet
from nets.execution import PRECISIONS, Batching
from simplicial.loss import evaluate, gradient

POINTS, BATCH = 16, 128
NEAR = 0.05  # points lie as near to the initial network, a share of its own size


class Case(NamedTuple):
    """A network, on images that are drawn at random: what is in them costs nothing."""

    name: str
    make: Callable[[], nn.Module]
    channels: int
    size: int
    examples: int


CASES = [
    Case("LeNet, 28 x 28 x 1", lambda: LeNet(1, 28), 1, 28, 4096),
    Case("ResNet-20, 32 x 32 x 3", lambda: ResNet(3, 20), 3, 32, 512),
    Case("ResNet-20-NS, 32 x 32 x 3", lambda: ResNet(3, 20, shortcuts=False), 3, 32, 512),
]


def plain_gradients(
    network: nn.Module, states: list[dict[str, Tensor]], x: Tensor, y: Tensor
) -> Tensor:
    """Gradients (points, d) on one mini-batch."""
    network.train()
    rows = []
    for state in states:
        network.load_state_dict(state)
        network.zero_grad()
        cross_entropy(network(x), y).backward()
        rows.append(torch.cat([p.grad.flatten() for p in network.parameters()]))  # pyright: ignore
    return torch.stack(rows)


@torch.no_grad()
def plain_values(
    network: nn.Module, states: list[dict[str, Tensor]], x: Tensor, y: Tensor
) -> Tensor:
    """Mean losses (points,) over all examples."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    values = []
    for state in states:
        network.load_state_dict(state)
        network.train()
        for i, part in enumerate(x.split(BATCH) if norms else ()):
            for norm in norms:
                norm.momentum = 1 / (i + 1)
            network(part)
        network.eval()
        losses = [
            cross_entropy(network(part), labels) * len(labels)
            for part, labels in zip(x.split(BATCH), y.split(BATCH), strict=True)
        ]
        values.append(torch.stack(losses).double().sum() / len(y))
    return torch.stack(values)


def best(ways: list[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """The best time of each way, taken by turns."""
    times: list[list[float]] = [[] for _ in ways]
    for _ in range(repeats + 1):  # the first is not counted
        for way, seconds in zip(ways, times, strict=True):
            began = time.perf_counter()
            way()
            if device != "cpu":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - began)
    return [min(seconds[1:]) for seconds in times]


def rows(case: Case, repeats: int, device: str) -> list[str]:
    """The case's lines of the table."""
    torch.manual_seed(0)
    x = torch.randn(case.examples, case.channels, case.size, case.size, device=device)
    y = torch.randint(10, (case.examples,), device=device)
    model = case.make()
    batchings: list[Batching | None] = [None, "loop"]  # bfloat16 needs the loop
    losses = [
        NetworkLoss(model, x, y, device=device, batching=batching, precision=precision)
        for batching, precision in zip(batchings, PRECISIONS, strict=True)
    ]
    network, loss = losses[0].model(), losses[0]
    start = loss.flatten(network.state_dict())
    points = start * (1 + NEAR * torch.randn(POINTS, loss.dim, device=device))
    states = [loss.state_dict(point) for point in points]

    def train(loss: NetworkLoss) -> Tensor:
        return gradient(next(loss.estimates(BATCH, np.random.default_rng(0))), points)

    training = best(
        [
            lambda: plain_gradients(network, states, x[:BATCH], y[:BATCH]),
            *(partial(train, loss) for loss in losses),
        ],
        repeats,
        device,
    )
    evaluation = best(
        [lambda: plain_values(network, states, x, y), lambda: evaluate(loss, points)],
        repeats,
        device,
    )
    off = np.abs(plain_values(network, states, x, y).cpu().numpy() - evaluate(loss, points).loss)
    full, narrow = map(train, losses)
    apart = (narrow - full).norm(dim=1) / full.norm(dim=1)
    found = [
        ("training", training[0], training[1], loss, ""),
        ("training", training[0], training[2], losses[1], f"{float(apart.median()):.2g}"),
        ("evaluation", *evaluation, loss, f"{off.max():.1e}"),
    ]
    return [
        f"| {case.name} | {what} | {how.execution} | {POINTS / plain:.1f} | {POINTS / ours:.1f} "
        f"| {plain / ours:.2f} | {note} |"
        for what, plain, ours, how, note in found
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print("| network | what | how | plain loop, points/s | here, points/s | ratio | off by |")
    print("|---|---|---|---|---|---|---|")
    for case in CASES:
        print("\n".join(rows(case, options.repeats, options.device)), flush=True)


if __name__ == "__main__":
    main()
