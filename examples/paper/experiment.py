"""The paper's networks (section 5), the complexes on their minima, and the scales at which they are
computed.

A complex is trained once and kept in a folder; the table and the figures read it there, and train
the others.

    smoke  digits, 64 images, networks of 8, 14 and 20 layers, one epoch: whether everything runs
    small  FashionMNIST, the first 2,000 images at 8 x 8 pixels, 8 epochs, three seeds: an hour or
           so on two cores
    paper  CIFAR-10, all images, 300 epochs: for a GPU
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from tqdm import tqdm

from examples.paper.scale import Scale
from nets import RESNET, ImageData, NetworkLoss, ResNet, train_minima
from nets.execution import Precision
from simplicial import Algorithm1, LossComplex, Recipe, build_complex
from simplicial.loss import evaluate

AS_PRINTED = {20: 20, 56: 56, 110: 110}


@dataclass(frozen=True, kw_only=True)
class TableScale(Scale):
    """Size of an experiment with residual networks.

    layers  of the networks that stand for ResNet-20, -56 and -110
    seeds   number of complexes on each network
    """

    layers: Mapping[int, int] = field(default_factory=lambda: AS_PRINTED)
    seeds: int = 1


SCALES = {
    "smoke": TableScale(
        data="digits", subset=64, layers={20: 8, 56: 14, 110: 20}, epochs=1, resolution=4
    ),
    "small": TableScale(
        data="fashion-mnist", subset=2000, image_size=8, epochs=8, resolution=6, seeds=3
    ),
    "paper": TableScale(data="cifar-10", resolution=24),
}


class Network(NamedTuple):
    """A cell of table 1a."""

    depth: int
    width: int
    shortcuts: bool

    def __str__(self) -> str:
        wide = f"WideResNet-{self.depth}-{self.width}" if self.width > 1 else f"ResNet-{self.depth}"
        return wide if self.shortcuts else f"{wide}-NS"


DEPTHS = [Network(depth, 1, shortcuts) for shortcuts in (True, False) for depth in (20, 56, 110)]
WIDTHS = [Network(56, width, shortcuts) for shortcuts in (True, False) for width in (1, 2)]
NETWORKS = [*DEPTHS[:3], WIDTHS[1], *DEPTHS[3:], WIDTHS[3]]  # table 1a


@dataclass(frozen=True)
class Experiment:
    """Settings of the scripts."""

    name: str
    folder: Path
    data_dir: Path | None
    download: bool
    precision: Precision
    minima: int

    @classmethod
    def asked_for(cls, given: argparse.Namespace) -> Self:
        """Settings by the options of `options`."""
        return cls(
            given.scale,
            given.folder,
            given.data_dir,
            given.download,
            given.precision,
            given.minima,
        )

    @property
    def scale(self) -> TableScale:
        """Size of the experiment."""
        return SCALES[self.name]

    @cached_property
    def images(self) -> ImageData:
        """The data set at this scale."""
        return self.scale.images(self.data_dir, self.download)

    @property
    def recipe(self) -> Recipe:
        """The recipe of minima, edges and triangles alike."""
        return self.scale.recipe(RESNET)

    def model(self, network: Network) -> ResNet:
        """The network, untrained."""
        channels, classes = self.images.shape[0], self.images.classes
        layers = self.scale.layers[network.depth]
        return ResNet(channels, layers, network.width, network.shortcuts, classes)

    def complex(self, network: Network, seed: int) -> LossComplex:
        """The complex on the minima of a network, up to its one top simplex; kept in the folder."""
        inputs, targets = self.images.train_inputs, self.images.train_targets
        loss = NetworkLoss(self.model(network), inputs, targets, precision=self.precision)
        folder = self.folder / f"{self.name}-{self.precision}"
        path = folder / f"{network}-{self.minima}-minima-seed-{seed}.npz"
        if path.exists():
            return LossComplex.load(path, loss)
        folder.mkdir(parents=True, exist_ok=True)  # refused before anything is trained
        minima = train_minima(loss, self.minima, recipe=self.recipe, seed=seed)
        built = build_complex(
            minima,
            self.minima - 1,
            optimizer=Algorithm1(recipe=self.recipe),
            resolution=self.scale.resolution,
            tolerance=None,
            seed=seed,
        )
        keep(built, path)
        return built

    def complexes(self, networks: list[Network], seeds: int) -> list[list[LossComplex]]:
        """Complexes on each network, of the first seeds."""
        with tqdm(total=len(networks) * seeds, desc="complexes") as bar:
            found: list[list[LossComplex]] = []
            for network in networks:
                found.append([])
                for seed in range(seeds):
                    found[-1].append(self.complex(network, seed))
                    bar.update()
            return found

    def test_error(self, network: Network, built: LossComplex) -> float:
        """Share of the test images that are classified wrongly, a mean over the minima."""
        test = NetworkLoss(
            self.model(network),
            self.images.test_inputs,
            self.images.test_targets,
            statistics=self.images.train_inputs,
        )
        accuracy = evaluate(test, built.minima.points).accuracy
        assert accuracy is not None
        return 1 - float(np.mean(accuracy))


def keep(built: LossComplex, path: Path) -> None:
    """Save a complex, whole or not at all."""
    partial = path.with_name(f"{path.stem}.partial.npz")
    built.save(partial)
    partial.rename(path)
