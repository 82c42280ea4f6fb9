"""Barriers on straight lines between networks, plain and with aligned hidden units, as a table.

Three MLPs of each kind and three two-layer transformers of torch, trained by the recipe of the
digits on all training images, and two of torchvision's ResNet-18 on 1,000 digits at 32 x 32. A
barrier is the largest loss at points of the straight line, less the larger loss of its ends; the
mean over the pairs, and the mean distance of the pairs. Alignment is weight matching and activation
matching (`nets.align`).

    python tests/benchmarks/alignment.py [--only digits-resnet18] [--networks FOLDER] [--points 25]
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from nets import (
    DIGITS_MLP,
    MLP,
    ImageData,
    NetworkLoss,
    align,
    load_digits,
    load_fashion_mnist,
    train_minima,
)
from simplicial import Minima, Recipe
from simplicial.evaluation import evaluate


class Encoder(nn.Module):
    """Two layers of torch's transformer on the eight rows of a digit, 17,898 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.position = nn.Parameter(torch.zeros(8, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, 10) of images (batch, 1, 8, 8)."""
        rows = self.embed(images.squeeze(1)) + self.position
        return self.head(self.encoder(rows).mean(dim=1))


class Case(NamedTuple):
    """Networks on a data set; init None: each layer's own initialisation."""

    name: str
    images: ImageData
    model: nn.Module
    number: int
    recipe: Recipe
    init: Callable[[], nn.Module] | None = None


def mlp(images: ImageData, hidden: tuple[int, ...], epochs: int) -> Case:
    """Three MLPs."""
    name = f"{images.name}-mlp-{'-'.join(map(str, hidden))}"
    model = MLP(int(np.prod(images.shape)), hidden)
    return Case(name, images, model, 3, DIGITS_MLP.changed(epochs=epochs))


def transformer() -> Case:
    """Three transformers on the digits."""
    recipe = Recipe(epochs=60, batch_size=48, learning_rate=0.05, weight_decay=1e-4)
    return Case("digits-transformer", load_digits(), Encoder(), 3, recipe, lambda: Encoder())


def resnet18() -> Case:
    """Two of torchvision's ResNet-18 on the first 1,000 digits, in three equal channels."""
    images = load_digits().resized(32).subset(1000)
    images = replace(
        images,
        train_inputs=images.train_inputs.repeat(1, 3, 1, 1),
        test_inputs=images.test_inputs.repeat(1, 3, 1, 1),
    )
    recipe = Recipe(epochs=12, batch_size=50, learning_rate=0.05, weight_decay=5e-4)

    def make() -> nn.Module:
        return torchvision.models.resnet18(num_classes=10)

    return Case("digits-resnet18", images, make(), 2, recipe, make)


def cases() -> Iterator[Case]:
    """All of them."""
    digits, fashion = load_digits(), load_fashion_mnist()
    for hidden in ((32,), (512,), (64, 64)):
        yield mlp(digits, hidden, 50)
    for hidden in ((64,), (512,), (512, 512)):
        yield mlp(fashion, hidden, 10)
    yield transformer()
    yield resnet18()


ALONE = {"digits-transformer": transformer, "digits-resnet18": resnet18}


def trained(case: Case, folder: Path | None) -> Minima:
    """The networks, of a folder if they are there."""
    loss = NetworkLoss(case.model, case.images.train_inputs, case.images.train_targets)
    file = None if folder is None else folder / f"{case.name}.safetensors"
    if file is not None and file.exists():
        return Minima(load_file(file)["points"], loss)
    minima = train_minima(loss, case.number, recipe=case.recipe, init=case.init, progress=False)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({"points": minima.points.contiguous()}, file)
    return minima


def straight(minima: Minima, points: int) -> tuple[float, float]:
    """Mean barrier and mean distance of all pairs."""
    barriers, distances = [], []
    share = torch.linspace(0, 1, points)[1:-1, None].to(minima.points)
    for i, j in combinations(range(len(minima)), 2):
        a, b = minima.points[i], minima.points[j]
        losses = evaluate(minima.loss, (1 - share) * a + share * b).loss
        ends = max(minima.values[i], minima.values[j])
        barriers.append(max(losses.max() - ends, 0.0))
        distances.append(float((a - b).norm()))
    return float(np.mean(barriers)), float(np.mean(distances))


def outputs(minima: Minima, images: Tensor) -> Tensor:
    """Of all networks on images, by plain torch with running statistics of their own."""
    found, loss = [], minima.loss
    assert isinstance(loss, NetworkLoss), "as trained"
    for point in minima.points:
        network = loss.model().eval()
        network.load_state_dict(loss.state_dict(point))
        with torch.no_grad():
            found.append(network(images))
    return torch.stack(found)


def row(case: Case, folder: Path | None, points: int) -> str:
    """A line of the table."""
    plain = trained(case, folder)
    methods = [align(plain), align(plain, method="activations")]
    few = case.images.train_inputs[:100]
    before = outputs(plain, few)
    changed = [(outputs(m, few) - before).abs().max() / before.abs().max() for m in methods]
    found = [straight(m, points) for m in (plain, *methods)]
    barriers, distances = zip(*found, strict=True)
    numbers = " | ".join(f"{x:.3g}" for x in (plain.values.max(), *barriers, *distances))
    return f"| {case.name} | {numbers} | {max(changed):.1e} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", choices=sorted(ALONE), help="one kind")
    parser.add_argument("--networks", type=Path, help="where trained networks are kept")
    parser.add_argument("--points", type=int, default=25, help="on a line, its ends counted")
    options = parser.parse_args()
    print(
        "| networks | largest loss | barrier, plain | by weights | by activations "
        "| distance, plain | by weights | by activations | change of the outputs |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    chosen = [ALONE[options.only]()] if options.only else cases()
    for case in tqdm(chosen):
        print(row(case, options.networks, options.points), flush=True)


if __name__ == "__main__":
    main()
