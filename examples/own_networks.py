"""Barcodes of networks that you trained yourself, whatever their architecture.

The networks here are small and are trained in place of yours: three state dicts of one
architecture are all that is needed, for example from
`torch.load("checkpoint.pt", weights_only=True)`.

    python examples/own_networks.py [--out triangle.png]
"""

import argparse

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn

from nets import NetworkLoss, load_digits
from simplicial import Algorithm1, Minima, Recipe, build_complex, plot_triangle

EPOCHS = 20


def network() -> nn.Module:
    """A network with batch norm; its running statistics are no coordinates."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10)
    )


def trained(seed: int, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """A state dict, by a training loop that knows nothing of this library."""
    torch.manual_seed(seed)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(targets)).split(128):
            loss = nn.functional.cross_entropy(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.state_dict()


def main() -> None:
    """Three networks, their edges and their triangle."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--out", default="triangle.png", help="picture of the triangle (triangle.png)"
    )
    arguments = parser.parse_args()

    digits = load_digits()
    inputs, targets = digits.train_inputs, digits.train_targets
    checkpoints = [trained(seed, inputs, targets) for seed in range(3)]

    loss = NetworkLoss(network(), inputs, targets)
    minima = Minima.from_state_dicts(checkpoints, loss)
    recipe = Recipe(epochs=EPOCHS, learning_rate=0.05, weight_decay=0.0)
    optimizer = Algorithm1(recipe=recipe)
    loss_complex = build_complex(minima, max_dim=2, optimizer=optimizer, resolution=12)
    print(loss_complex.barcode().table())
    figure, ax = plt.subplots()
    plot_triangle(loss_complex[(0, 1, 2)], ax=ax)
    figure.savefig(arguments.out)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
