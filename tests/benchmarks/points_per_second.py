"""How many points of simplices are trained and evaluated in a second, against a plain loop.

Sixteen points of triangles, as many as a step of Algorithm 1 takes for sixteen triangles, or
`--points` of them. Training is a gradient on a mini-batch of 128 examples; evaluation the exact
loss on all examples, with batch norm's statistics computed anew at every point. The plain loop
loads a state dict into one float32 network for each point, as the tools of mode connectivity do; it
reads the same examples, in batches of 128, with all of torch's threads, and without TF32. "Here" is
this library in the same process, with the same threads; "workers" as many processes as there are
threads, with one thread and a share of the points each, as `build_complex(executor=...)` and `run
--workers` do simplices; on a CPU only. By turns; the best of the repeats. "Off by": losses, the
largest difference; gradients in bfloat16, the median of the relative differences from those in
full.

    python tests/benchmarks/points_per_second.py [--repeats 5] [--device cpu] [--points 16]
"""

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from itertools import islice, pairwise, starmap
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nets import LeNet, NetworkLoss, ResNet
from nets.execution import PRECISIONS, Precision
from simplicial.evaluation import evaluate, gradient

BATCH = 128
STEPS = 4  # of training in a row, as workers do them
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


def best(ways: Sequence[Callable[[], object]], repeats: int, device: str) -> list[float]:
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


class Networks(NamedTuple):
    """What is the same in every process: a case's examples, losses and points."""

    x: Tensor
    y: Tensor
    losses: dict[Precision, NetworkLoss]
    points: Tensor

    @classmethod
    def of(cls, case: Case, device: str, points: int) -> Self:
        """Drawn from one seed."""
        torch.manual_seed(0)
        x = torch.randn(case.examples, case.channels, case.size, case.size, device=device)
        y = torch.randint(10, (case.examples,), device=device)
        model = case.make()
        losses: dict[Precision, NetworkLoss] = {
            p: NetworkLoss(model, x, y, device=device, precision=p) for p in PRECISIONS
        }
        start = losses["full"].flatten(model.state_dict())
        near = 1 + NEAR * torch.randn(points, len(start), device=device)
        return cls(x, y, losses, start * near)

    def gradients(self, precision: Precision, share: slice = slice(None)) -> Tensor:
        """On the first mini-batch."""
        estimate = next(self.losses[precision].estimates(BATCH, np.random.default_rng(0)))
        return gradient(estimate, self.points[share])

    def values(self, share: slice = slice(None)) -> NDArray[np.float64]:
        """On all examples."""
        return evaluate(self.losses["full"], self.points[share]).loss

    def train(self, precision: Precision, share: slice = slice(None)) -> None:
        """Some steps."""
        estimates = self.losses[precision].estimates(BATCH, np.random.default_rng(0))
        for estimate in islice(estimates, STEPS):
            gradient(estimate, self.points[share])


_networks: Networks


def prepare(case: int, points: int) -> None:
    """Make a worker ready for a case."""
    global _networks
    torch.set_num_threads(1)
    _networks = Networks.of(CASES[case], "cpu", points)


def train(precision: Precision, share: slice) -> None:
    """What a worker trains."""
    _networks.train(precision, share)


def values(share: slice) -> None:
    """What a worker evaluates."""
    _networks.values(share)


def workers(case: int, points: int) -> ProcessPoolExecutor:
    """As many as torch has threads."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(torch.get_num_threads(), context, prepare, (case, points))


def together(
    pool: Executor, points: int, function: Callable[..., None], *arguments: object
) -> None:
    """A function in all workers, for a share of the points each."""
    count = torch.get_num_threads()
    shares = starmap(slice, pairwise(points * k // count for k in range(count + 1)))
    for done in [pool.submit(function, *arguments, share) for share in shares]:
        done.result()


def rows(number: int, repeats: int, device: str, points: int) -> list[str]:
    """The lines of the table for a case."""
    case = CASES[number]
    here = Networks.of(case, device, points)
    loss = here.losses["full"]
    network, x, y = loss.model(), here.x, here.y
    states = [loss.state_dict(point) for point in here.points]

    def plain_training() -> None:
        for _ in range(STEPS):
            plain_gradients(network, states, x[:BATCH], y[:BATCH])

    with workers(number, points) as pool:
        on_cpu, all_of = device == "cpu", partial(partial, together, pool, points)
        shared = [all_of(train, p) for p in PRECISIONS] if on_cpu else []
        trained = best(
            [plain_training, *(partial(here.train, p) for p in PRECISIONS), *shared],
            repeats,
            device,
        )
        shared = [all_of(values)] if on_cpu else []
        evaluated = best(
            [partial(plain_values, network, states, x, y), here.values, *shared], repeats, device
        )
    off = np.abs(plain_values(network, states, x, y).cpu().numpy() - here.values()).max()
    whole, narrow = map(here.gradients, PRECISIONS)
    apart = float(((narrow - whole).norm(dim=1) / whole.norm(dim=1)).median())
    full, narrow = trained[1::2], trained[2::2]
    found = [
        ("training, full", STEPS * points, trained[0], full, ""),
        ("training, bfloat16", STEPS * points, trained[0], narrow, f"{apart:.2g}"),
        ("evaluation", points, evaluated[0], evaluated[1:], f"{off:.1e}"),
    ]
    lines = list[str]()
    for what, count, plain, ours, note in found:
        speeds = [f"{count / seconds:.1f} | {plain / seconds:.2f}" for seconds in ours]
        speeds += ["| "] * (2 - len(speeds))
        lines.append(
            f"| {case.name} | {what} | {count / plain:.1f} | {' | '.join(speeds)} | {note} |"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--points", type=int, default=16)
    options = parser.parse_args()
    if options.device != "cpu":
        backends: Any = torch.backends
        backends.cudnn.conv.fp32_precision = "ieee"  # else torch rounds convolutions
    print(
        "| network | what | plain loop, points/s | here | ratio | workers | ratio | off by |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for number in range(len(CASES)):
        print("\n".join(rows(number, options.repeats, options.device, options.points)), flush=True)


if __name__ == "__main__":
    main()
