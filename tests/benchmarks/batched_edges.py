"""How much faster one batch trains all edges of the digits run than one after another.

Fifteen edges between six minima of the 64-32-10 network, the recipe of `loss-barcodes run --data
digits`. Three ways, in one process, same steps:

- one batch: `build_complex`, as the command does;
- one after another: the same code, on two minima at a time;
- a plain loop: one `torch.optim.SGD` step after another on the centre of one edge, with the network
  called through `torch.func.functional_call`, as the tools of mode connectivity do.

    python tests/benchmarks/batched_edges.py [--epochs 50] [--repeats 3]
"""

import argparse
import time
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from nets import DIGITS_MLP, MLP, NetworkLoss, load_digits, train_minima
from simplicial import Algorithm1, Minima, Recipe, build_complex


def one_batch(minima: Minima, recipe: Recipe) -> None:
    """All edges together; resolution 2 leaves one lattice point inside an edge."""
    build_complex(minima, 1, optimizer=Algorithm1(recipe=recipe), resolution=2, progress=False)


def one_after_another(minima: Minima, recipe: Recipe) -> None:
    """The same code on one edge at a time."""
    for pair in combinations(range(len(minima)), 2):
        one_batch(Minima(minima.points[list(pair)], minima.loss), recipe)


def plain_loop(minima: Minima, recipe: Recipe) -> None:
    """Algorithm 1 on one edge at a time, in plain PyTorch."""
    torch.manual_seed(0)
    model, images = MLP(64), load_digits()
    shapes = [(name, p.shape) for name, p in model.named_parameters()]
    sizes = [shape.numel() for _, shape in shapes]
    for a, b in combinations(minima.points, 2):
        centre = ((a + b) / 2).requires_grad_()
        optimizer = torch.optim.SGD([centre], recipe.learning_rate, recipe.momentum)
        for epoch in range(recipe.epochs):
            rate = recipe.learning_rate * recipe.schedule(epoch / recipe.epochs)
            optimizer.param_groups[0]["lr"] = rate
            for batch in torch.randperm(len(images.train_targets)).split(recipe.batch_size):
                t = float(torch.rand(()))
                theta = _on_edge(a, b, centre, t)
                parts = theta.split(sizes)
                weights = {n: p.view(s) for (n, s), p in zip(shapes, parts, strict=True)}
                outputs = functional_call(model, weights, (images.train_inputs[batch],))
                loss = cross_entropy(outputs, images.train_targets[batch])
                loss = loss + 0.5 * recipe.weight_decay * theta.square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def _on_edge(a: Tensor, b: Tensor, centre: Tensor, t: float) -> Tensor:
    """Eq. 5."""
    if t <= 0.5:
        return 2 * (t * centre + (0.5 - t) * a)
    return 2 * ((t - 0.5) * b + (1 - t) * centre)


def _seconds(way: Callable[[Minima, Recipe], None], minima: Minima, recipe: Recipe) -> float:
    began = time.perf_counter()
    way(minima, recipe)
    return time.perf_counter() - began


def main() -> None:
    """Print the best time of each way, and the ratios to the batch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    images, recipe = load_digits(), DIGITS_MLP.changed(epochs=arguments.epochs)
    loss = NetworkLoss(MLP(64), images.train_inputs, images.train_targets)
    minima = train_minima(loss, 6, recipe=recipe, progress=False)
    ways = (one_batch, one_after_another, plain_loop)
    for way in ways:
        way(minima, recipe.changed(epochs=1))
    times = {
        way.__name__: min(_seconds(way, minima, recipe) for _ in range(arguments.repeats))
        for way in ways
    }
    print(f"15 edges, {recipe.epochs} epochs, best of {arguments.repeats}")
    for name, seconds in times.items():
        print(f"{name:18} {seconds:8.2f} s  {seconds / times['one_batch']:6.2f} x one batch")


if __name__ == "__main__":
    main()
