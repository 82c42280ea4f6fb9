"""Evaluation of torchvision's ResNet-18 against plain torch that does the same work.

Few images of two sizes and more of one; the exact loss at points near an initialisation:

- recomputed: running statistics of the same images in one batch, then the loss with them; plain
  torch does one forward in training mode with momentum 1, and one in evaluation mode
- stored: the loss with the model's own statistics; plain torch does one forward in evaluation mode

Plain torch loads each point into one network, in the layout that is given. By turns; the best
repeat of each, and how many times as long plain torch takes.

    python tests/benchmarks/networks/resnet18_evaluation.py [--repeats 5] [--points 2]
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18

from nets import NetworkLoss
from nets.names import BATCH_NORMS, BatchNorm
from simplicial import configure_process
from simplicial.evaluation import evaluate

CASES = (24, 32), (128, 32), (24, 64)  # images, and their size
PART = 128  # images of a forward in evaluation mode


class Plain:
    """A plain loop over networks."""

    def __init__(self, model: nn.Module, x: Tensor, y: Tensor, batch_norm: BatchNorm) -> None:
        self.network, self.x, self.y, self.batch_norm = model, x, y, batch_norm
        self.norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in self.norms:
            norm.momentum = 1.0

    @torch.no_grad()
    def values(self, points: Tensor) -> list[float]:
        """Mean losses at points (batch, d)."""
        found = list[float]()
        for point in points:
            nn.utils.vector_to_parameters(point, self.network.parameters())
            if self.batch_norm == "recomputed":
                self.network.train()(self.x)
            self.network.eval()
            parts = zip(self.x.split(PART), self.y.split(PART), strict=True)
            losses = [cross_entropy(self.network(x), y) * len(y) for x, y in parts]
            found.append(float(torch.stack(losses).sum()) / len(self.y))
        return found


def seconds(ways: list[Callable[[], object]], repeats: int) -> list[float]:
    """Seconds of the best repeat of each way, by turns; the first turn is not counted."""
    best = [float("inf")] * len(ways)
    for turn in range(repeats + 1):
        for i, way in enumerate(ways):
            began = time.perf_counter()
            way()
            if turn:
                best[i] = min(best[i], time.perf_counter() - began)
    return best


def row(images: int, size: int, batch_norm: BatchNorm, repeats: int, count: int) -> str:
    """The line of the table for a case."""
    torch.manual_seed(0)
    x, y = torch.randn(images, 3, size, size), torch.arange(images) % 10
    model = resnet18(num_classes=10)
    loss = NetworkLoss(model, x, y, batch_norm=batch_norm)
    own = nn.utils.parameters_to_vector(model.parameters()).detach()
    points = own * (1 + 0.02 * torch.randn(count, len(own)))
    plain = Plain(model, x, y, batch_norm)
    off = abs(torch.as_tensor(evaluate(loss, points).loss) - torch.tensor(plain.values(points)))
    ways: list[Callable[[], object]] = [
        lambda: evaluate(loss, points),
        lambda: plain.values(points),
    ]
    ours, theirs = seconds(ways, repeats)
    cells = f"{images} x {size}²", batch_norm, f"{1000 * ours / count:.1f}"
    times = f"{1000 * theirs / count:.1f}", f"{theirs / ours:.2f}", f"{float(off.max()):.1e}"
    return f"| {' | '.join([*cells, *times])} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--points", type=int, default=2)
    options = parser.parse_args()
    configure_process()
    print("| images | statistics | here, ms a point | plain torch | ratio | off by |")
    print("|---|---|---|---|---|---|")
    for images, size in CASES:
        for batch_norm in BATCH_NORMS:
            line = row(images, size, batch_norm, options.repeats, options.points)
            print(line, flush=True)


if __name__ == "__main__":
    main()
