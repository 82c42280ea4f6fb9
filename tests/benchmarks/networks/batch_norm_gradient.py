"""The time of a gradient of a network with batch norm: through statistics, and with stored ones.

python -m tests.benchmarks.networks.batch_norm_gradient [images]
"""

import sys
import time

import torch

from nets import NetworkLoss, ResNet


def main(images: int) -> None:
    """Print seconds of one processor for a value, a gradient, and both with stored statistics."""
    torch.manual_seed(0)
    x, y = torch.randn(images, 3, 32, 32), torch.arange(images) % 10
    model = ResNet(3, 20)
    for batch_norm in ("recomputed", "stored"):
        loss = NetworkLoss(model, x, y, batch_norm=batch_norm)
        point = loss.flatten(model.state_dict())[None]
        for work in (loss.evaluate, loss.values_and_gradients):
            work(point)  # the first use
            before = time.process_time()
            for _ in range(3):
                work(point)
            seconds = (time.process_time() - before) / 3
            print(f"{batch_norm:12} {work.__name__:22} {seconds:6.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
