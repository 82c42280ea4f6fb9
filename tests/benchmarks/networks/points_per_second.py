"""Points of simplices that are trained and evaluated in a second, against plain loops over torch.

Sixteen points of triangles, as many as a step of Algorithm 1 takes for sixteen triangles, or
`--points` of them. Training is a gradient on a mini-batch of 128 examples, in float32 or in
bfloat16 (torch's autocast, in all columns of the row); evaluation is the exact float32 loss on all
examples, with batch norm's statistics computed anew at every point. The columns:

- a plain loop: a state dict is loaded into one network for each point, as the tools of mode
  connectivity do; the same examples, in batches of 128, with all of torch's threads; no TF32
- a plain loop, channels last: the same with network and images in torch.channels_last
- one process: this library, with the same threads
- workers: this library in as many processes as there are threads, with one thread and a share of
  the points each, as `build_complex(executor=...)` and `run --workers` do simplices; on a CPU only

By turns; points per second of the best repeat, and how many times as fast that is as the plain
loop. "Off by": losses, the largest difference from the plain loop's; gradients in bfloat16, the
median of the relative differences from those in float32.

    python tests/benchmarks/networks/points_per_second.py [--repeats 3] [--points 16]
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
from simplicial import configure_process
from simplicial.evaluation import evaluate, gradient

BATCH = 128
NEAR = 0.05  # distance of points from the initial network, a share of its own size
MODES = "training", "training, bfloat16", "evaluation"


class Case(NamedTuple):
    """A network, on images that are drawn at random: what is in them costs nothing."""

    name: str
    make: Callable[[], nn.Module]
    channels: int
    size: int
    examples: int
    steps: int  # of training in a row, as workers do them


CASES = {
    "lenet": Case("LeNet, 28 x 28 x 1", lambda: LeNet(1, 28), 1, 28, 4096, 4),
    "resnet": Case("ResNet-20, 32 x 32 x 3", lambda: ResNet(3, 20), 3, 32, 512, 1),
    "resnet-ns": Case(
        "ResNet-20-NS, 32 x 32 x 3", lambda: ResNet(3, 20, shortcuts=False), 3, 32, 512, 1
    ),
}


class Plain:
    """A plain loop over networks, with a state dict for each point."""

    def __init__(self, ours: "Ours", memory_format: torch.memory_format) -> None:
        loss = ours.losses["full"]
        self.network = loss.model().to(memory_format=memory_format)
        self.states = [loss.state_dict(point) for point in ours.points]
        self.x, self.y, self.steps = ours.x, ours.y, ours.steps
        self.x = self.x.contiguous(memory_format=memory_format)

    def train(self, precision: Precision) -> None:
        """Gradients on the first mini-batch, as many times as there are steps."""
        self.network.train()
        x, y, device = self.x[:BATCH], self.y[:BATCH], self.x.device.type
        for state in self.states * self.steps:
            self.network.load_state_dict(state)
            self.network.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                outputs = self.network(x)
            cross_entropy(outputs.float(), y).backward()
            torch.cat([p.grad.flatten() for p in self.network.parameters() if p.grad is not None])

    @torch.no_grad()
    def values(self) -> NDArray[np.float64]:
        """Mean losses (points,) over all examples."""
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        values = list[float]()
        for state in self.states:
            self.network.load_state_dict(state)
            self.network.train()
            for i, part in enumerate(self.x.split(BATCH) if norms else ()):
                for norm in norms:
                    norm.momentum = 1 / (i + 1)
                self.network(part)
            self.network.eval()
            parts = zip(self.x.split(BATCH), self.y.split(BATCH), strict=True)
            losses = [cross_entropy(self.network(x), y) * len(y) for x, y in parts]
            values.append(float(torch.stack(losses).double().sum()) / len(self.y))
        return np.array(values)


class Ours(NamedTuple):
    """This library: a case's examples, losses and points, the same in every process."""

    x: Tensor
    y: Tensor
    losses: dict[Precision, NetworkLoss]
    points: Tensor
    steps: int

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
        return cls(x, y, losses, start * near, case.steps)

    def train(self, precision: Precision, share: slice = slice(None)) -> Tensor:
        """Gradients (points, d) on some mini-batches; those on the last are returned."""
        estimates = self.losses[precision].estimates(BATCH, np.random.default_rng(0))
        return [gradient(each, self.points[share]) for each in islice(estimates, self.steps)][-1]

    def values(self, share: slice = slice(None)) -> NDArray[np.float64]:
        """Mean losses (points,) over all examples."""
        return evaluate(self.losses["full"], self.points[share]).loss


_ours: Ours


def prepare(case: str, points: int) -> None:
    """Make a worker ready for a case."""
    global _ours
    configure_process()
    torch.set_num_threads(1)
    _ours = Ours.of(CASES[case], "cpu", points)


def train(precision: Precision, share: slice) -> None:
    """A worker's share of training."""
    _ours.train(precision, share)


def values(share: slice) -> None:
    """A worker's share of evaluation."""
    _ours.values(share)


def together(
    pool: Executor, points: int, function: Callable[..., None], *arguments: object
) -> None:
    """A function in all workers, for a share of the points each."""
    count = torch.get_num_threads()
    shares = starmap(slice, pairwise(points * k // count for k in range(count + 1)))
    for done in [pool.submit(function, *arguments, share) for share in shares]:
        done.result()


def best(ways: Sequence[Callable[[], object]], repeats: int, device: str) -> list[float]:
    """Seconds of the best repeat of each way, taken by turns; the first turn is not counted."""
    seconds = np.empty((repeats + 1, len(ways)))
    for turn in seconds:
        for i, way in enumerate(ways):
            began = time.perf_counter()
            way()
            if device != "cpu":
                torch.cuda.synchronize()
            turn[i] = time.perf_counter() - began
    return seconds[1:].min(axis=0).tolist()


def rows(name: str, repeats: int, device: str, points: int) -> list[str]:
    """The lines of the table for a case."""
    case, context = CASES[name], multiprocessing.get_context("spawn")
    ours = Ours.of(case, device, points)
    loops = [Plain(ours, layout) for layout in (torch.contiguous_format, torch.channels_last)]
    full, narrow = map(ours.train, PRECISIONS)
    off = np.abs(loops[0].values() - ours.values()).max()
    apart = float(((narrow - full).norm(dim=1) / full.norm(dim=1)).median())
    notes = "", f"{apart:.2g}", f"{off:.1e}"
    lines = list[str]()
    with ProcessPoolExecutor(torch.get_num_threads(), context, prepare, (name, points)) as pool:
        for mode, note in zip(MODES, notes, strict=True):
            if mode == "evaluation":
                ways: list[Callable[[], object]] = [*(loop.values for loop in loops), ours.values]
                shared, count = partial(together, pool, points, values), points
            else:
                precision: Precision = "bfloat16" if "bfloat16" in mode else "full"
                ways = [partial(each.train, precision) for each in (*loops, ours)]
                shared, count = (
                    partial(together, pool, points, train, precision),
                    points * case.steps,
                )
            seconds = best([*ways, shared] if device == "cpu" else ways, repeats, device)
            speeds = [f"{count / s:.1f} ({seconds[0] / s:.2f})" for s in seconds[1:]]
            cells = [case.name, mode, f"{count / seconds[0]:.1f}", *speeds]
            lines.append(f"| {' | '.join([*cells, *[''] * (6 - len(cells)), note])} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--models", nargs="+", choices=CASES, default=["lenet", "resnet"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--points", type=int, default=16)
    options = parser.parse_args()
    configure_process()
    if options.device != "cpu":
        backends: Any = torch.backends
        backends.cudnn.conv.fp32_precision = "ieee"  # else torch rounds convolutions
    print(
        "| network | what | plain loop, points/s | plain loop, channels last | one process "
        "| workers | off by |\n|---|---|---|---|---|---|---|"
    )
    for name in options.models:
        print("\n".join(rows(name, options.repeats, options.device, options.points)), flush=True)


if __name__ == "__main__":
    main()
