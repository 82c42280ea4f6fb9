"""Networks with convolutions along rows of images against the same with torch's, by their channels.

Two convolutions, the first with c filters and the second, which reads them, with 2 c, each with
ReLU and 2 x 2 max pooling behind, and a linear layer; 28 x 28 x 1 images drawn at random. torch's
images lie with their channels last, where it is fastest. Sixteen points; training is a gradient on
a mini-batch of 128 examples, evaluation the loss on 1,024. By turns, the best of the repeats.

    python tests/benchmarks/small_convolutions.py [--repeats 5] [--threads 1]
"""

import argparse
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from nets import NetworkLoss, convolution
from simplicial.loss import evaluate, gradient
from tests.benchmarks.points_per_second import best

POINTS, EXAMPLES, BATCH, SIZE = 16, 1024, 128, 28
CHANNELS = (2, 4, 6, 8, 10, 12, 16, 24, 32)


def network(channels: int, size: int) -> nn.Module:
    """With weights of size x size."""
    left = ((SIZE - size + 1) // 2 - size + 1) // 2
    return nn.Sequential(
        nn.Conv2d(1, channels, size),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, size),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * left**2, 10),
    )


def ratios(channels: int, size: int, repeats: int) -> tuple[float, float]:
    """torch's times of training and evaluation in those of ours."""
    torch.manual_seed(0)
    x, y = torch.randn(EXAMPLES, 1, SIZE, SIZE), torch.randint(10, (EXAMPLES,))
    model = network(channels, size)
    with patch.object(convolution, "FEW", max(CHANNELS) + 1):
        ours = NetworkLoss(model, x, y)
    torchs = NetworkLoss(model, x, y)
    assert ours.execution.layout == "examples_last"
    torchs.networks.execution = replace(
        torchs.execution,
        layout="channels_last",
        in_training="channels_last",
        without_gradients="channels_last",
    )
    points = ours.flatten(model.state_dict()).repeat(POINTS, 1)

    def train(loss: NetworkLoss) -> None:
        gradient(next(loss.estimates(BATCH, np.random.default_rng(0))), points)

    trained = best([partial(train, torchs), partial(train, ours)], repeats, "cpu")
    evaluated = best([partial(evaluate, loss, points) for loss in (torchs, ours)], repeats, "cpu")
    return trained[0] / trained[1], evaluated[0] / evaluated[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| channels read | " + " | ".join(map(str, CHANNELS)) + " |")
    print("|---|" + "---|" * len(CHANNELS))
    for size in (3, 5):
        found = [ratios(channels, size, options.repeats) for channels in CHANNELS]
        for what, column in zip(("training", "evaluation"), zip(*found, strict=True), strict=True):
            cells = " | ".join(f"{ratio:.2f}" for ratio in column)
            print(f"| {what}, {size} x {size} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
