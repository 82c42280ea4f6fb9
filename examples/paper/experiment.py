"""The paper's networks (section 5), the complexes on their minima, and the scales at which they are
computed.

A complex is trained once: its networks stand in a run folder, in which a run that was stopped goes
on, and its numbers beside it (`examples.paper.cell`). The table and the figures read the numbers,
and train what is missing.

    smoke   digits, 64 images, networks of 8, 14 and 20 layers, one epoch: whether everything runs
    small   FashionMNIST, the first 2,000 images at 8 x 8 pixels, 8 epochs, three seeds: an hour or
            so on two cores
    medium  FashionMNIST, the first 10,000 images at 12 x 12 pixels, for a day of two cores
    paper   CIFAR-10, all images, 300 epochs: for a GPU
"""

import argparse
import json
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from examples.paper.cell import Cell, Way
from examples.paper.scale import Scale
from nets import RESNET, ImageData, NetworkLoss, ResNet, align, train_minima
from nets.execution import Precision
from simplicial import (
    Algorithm1,
    LossComplex,
    Minima,
    Optimizer,
    Recipe,
    StochasticMinimax,
    build_complex,
    with_loss,
)
from simplicial.evaluation import evaluate
from simplicial.options import described

AS_PRINTED = {20: 20, 56: 56, 110: 110}
PRINTED = Way("algorithm-1")
BOTH = tuple(
    Way(optimizer, objective)
    for objective in ("plain", "penalised")
    for optimizer in ("algorithm-1", "minimax")
)
SEGMENTS = 8  # to an edge, of the minimax optimizer


class Network(NamedTuple):
    """A row of table 1a."""

    depth: int
    width: int
    shortcuts: bool

    def __str__(self) -> str:
        wide = f"WideResNet-{self.depth}-{self.width}" if self.width > 1 else f"ResNet-{self.depth}"
        return wide if self.shortcuts else f"{wide}-NS"


DEPTHS = [Network(depth, 1, shortcuts) for shortcuts in (True, False) for depth in (20, 56, 110)]
WIDTHS = [Network(56, width, shortcuts) for shortcuts in (True, False) for width in (1, 2)]
NETWORKS = [*DEPTHS[:3], WIDTHS[1], *DEPTHS[3:], WIDTHS[3]]  # table 1a


@dataclass(frozen=True, kw_only=True)
class TableScale(Scale):
    """Size of an experiment with residual networks.

    layers        of the networks that stand for ResNet-20, -56 and -110
    seeds         number of complexes on each network
    seeds_large   likewise, on those of 110 layers or of twice the width
    ways          of finding simplices on the minima
    aligned       depths of which the minima are aligned, too
    four          names of the networks with a fourth minimum in the first seed
    """

    layers: Mapping[int, int] = field(default_factory=lambda: AS_PRINTED)
    seeds: int = 1
    seeds_large: int = 1
    ways: tuple[Way, ...] = (PRINTED,)
    aligned: tuple[int, ...] = ()
    four: tuple[str, ...] = ()

    def seeds_of(self, network: Network) -> int:
        """The number of seeds of a network."""
        is_large = network.depth > 56 or network.width > 1
        return self.seeds_large if is_large else self.seeds

    def ways_of(self, network: Network) -> tuple[Way, ...]:
        """The ways in which a network's simplices are found."""
        if network.depth not in self.aligned or network.width > 1:
            return self.ways
        return (*self.ways, *(way._replace(aligned=True) for way in self.ways))

    def minima_of(self, network: Network, seed: int) -> int:
        """The number of minima of a network."""
        return 4 if str(network) in self.four and seed == 0 else 3


SCALES = {
    "smoke": TableScale(
        data="digits",
        subset=64,
        layers={20: 8, 56: 14, 110: 20},
        epochs=1,
        resolution=4,
        ways=BOTH,
        aligned=(20,),
        four=("ResNet-20-NS",),
    ),
    "small": TableScale(
        data="fashion-mnist", subset=2000, image_size=8, epochs=8, resolution=6, seeds=3,
        seeds_large=3,
    ),
    "medium": TableScale(
        data="fashion-mnist",
        subset=10_000,
        image_size=12,
        epochs=20,
        batch_size=64,
        resolution=12,
        seeds=3,
        ways=BOTH,
        aligned=(20,),
        four=("ResNet-20-NS", "ResNet-110-NS"),
    ),
    "paper": TableScale(data="cifar-10", resolution=24),
}  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """Settings of the scripts."""

    scale_name: str
    folder: Path
    data_dir: Path | None
    download: bool
    precision: Precision

    @classmethod
    def asked_for(cls, given: argparse.Namespace) -> Self:
        """Settings by the options of `options`."""
        return cls(given.scale, given.folder, given.data_dir, given.download, given.precision)

    @property
    def scale(self) -> TableScale:
        """Size of the experiment."""
        return SCALES[self.scale_name]

    @cached_property
    def images(self) -> ImageData:
        """The data set at this scale."""
        return self.scale.images(self.data_dir, self.download)

    @property
    def recipe(self) -> Recipe:
        """The recipe of minima, edges and triangles alike."""
        return self.scale.recipe(RESNET)

    @property
    def numbers(self) -> Path:
        """The folder of the cells."""
        return self.folder / f"{self.scale_name}-{self.precision}"

    def settings(self, network: Network) -> dict[str, Any]:
        """All that the numbers of a network's cells depend on, but for its seed, as JSON values."""
        scale = self.scale
        return {
            "data": scale.data,
            "images": scale.subset,
            "pixels of a side": scale.image_size,
            "layers": scale.layers[network.depth],
            "recipe": described(self.recipe),
            "precision": self.precision,
            "resolution": scale.resolution,
        }

    def model(self, network: Network) -> ResNet:
        """The network, untrained."""
        channels, classes = self.images.shape[0], self.images.classes
        layers = self.scale.layers[network.depth]
        return ResNet(channels, layers, network.width, network.shortcuts, classes)

    def cells(self, networks: list[Network], way: Way) -> list[list[Cell]]:
        """Cells of each network, of all its seeds."""
        seeds = [range(self.scale.seeds_of(network)) for network in networks]
        with tqdm(total=sum(map(len, seeds)), desc=f"complexes, {way}") as bar:
            found: list[list[Cell]] = []
            for network, each in zip(networks, seeds, strict=True):
                found.append([])
                for seed in each:
                    found[-1].append(self.cell(network, seed, way))
                    bar.update()
            return found

    def cell(self, network: Network, seed: int, way: Way) -> Cell:
        """The numbers of a complex, up to its one top simplex: those that are kept, or it is
        trained. Raises DataError for a file of other content.
        """
        name = f"{network}-{way}-seed-{seed}"
        path = self.numbers / f"{name}.json"
        if path.exists():
            return Cell.read(path, name, self.settings(network))
        training = _Training(self, self.images, network, seed)
        self.numbers.mkdir(parents=True, exist_ok=True)  # refused before anything is trained
        return training.cell(name, way, path)


class _Training(NamedTuple):
    """The complexes on the minima of one network and seed."""

    experiment: Experiment
    images: ImageData
    network: Network
    seed: int

    def cell(self, name: str, way: Way, path: Path) -> Cell:
        """Train what a cell needs, and write it."""
        clocks = [_Clock(self._folder / f"{part}.seconds") for part in ("minima", str(way))]
        with clocks[0].running():
            minima = self._minima()
            if way.aligned:
                minima = align(minima, seed=self.seed)
        with clocks[1].running():
            built = self._complex(minima, way)
            wrong = self._test_errors(minima)
        hours = clocks[0].seconds() / 3600, clocks[1].seconds() / 3600
        cell = Cell.of(name, self.experiment.settings(self.network), built, wrong, hours)
        cell.write(path)
        return cell

    @property
    def _folder(self) -> Path:
        """Of the networks that were trained."""
        return self.experiment.numbers / "trained" / f"{self.network}-seed-{self.seed}"

    def _loss(self, objective: str = "plain") -> NetworkLoss:
        recipe = self.experiment.recipe
        return NetworkLoss(
            self.experiment.model(self.network),
            self.images.train_inputs,
            self.images.train_targets,
            weight_decay=recipe.weight_decay if objective == "penalised" else 0.0,
            precision=self.experiment.precision,
        )

    def _minima(self) -> Minima:
        """Minima by the recipe, whose penalty is in training."""
        n = self.experiment.scale.minima_of(self.network, self.seed)
        self._folder.mkdir(parents=True, exist_ok=True)
        return train_minima(
            self._loss(), n, recipe=self.experiment.recipe, seed=self.seed,
            store=self._folder / "minima", batch=1,
        )  # fmt: skip

    def _complex(self, minima: Minima, way: Way) -> LossComplex:
        """The complex on the minima. Algorithm 1 trains with the penalty of its recipe either way:
        its simplices are those of the plain loss, and the penalised one is taken on them.
        """
        lattice: dict[str, Any] = {"resolution": self.experiment.scale.resolution}
        lattice |= {"tolerance": None}
        trained_by = way
        if way.optimizer == "algorithm-1":
            trained_by = way._replace(objective="plain")
        loss = self._loss(trained_by.objective)
        built = build_complex(
            Minima(minima.points, loss),
            len(minima) - 1,
            optimizer=self._optimizer(way),
            seed=self.seed,
            store=self._folder / str(trained_by),
            batch=1,
            **lattice,
        )
        if trained_by == way:
            return built
        return with_loss(built, self._loss(way.objective), **lattice)

    def _optimizer(self, way: Way) -> Optimizer:
        """With the recipe's gradients. What minimax lowers is the loss that it is filtered by."""
        recipe = self.experiment.recipe
        if way.optimizer == "algorithm-1":
            return Algorithm1(recipe=recipe)
        return StochasticMinimax(
            segments=SEGMENTS,
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            momentum=recipe.momentum,
        )

    def _test_errors(self, minima: Minima) -> NDArray[np.float64]:
        """Shares (n,) of the test images that the minima classify wrongly."""
        test = NetworkLoss(
            self.experiment.model(self.network),
            self.images.test_inputs,
            self.images.test_targets,
            statistics=self.images.train_inputs,
        )
        accuracy = evaluate(test, minima.points).accuracy
        assert accuracy is not None
        return 1 - accuracy


class _Clock(NamedTuple):
    """Seconds that a part of a cell took, in a file: those of runs that were interrupted count."""

    path: Path

    def seconds(self) -> float:
        """All so far."""
        return float(json.loads(self.path.read_text())) if self.path.exists() else 0.0

    @contextmanager
    def running(self) -> Generator[None]:
        """Count while it runs."""
        began, before = time.monotonic(), self.seconds()
        try:
            yield
        finally:
            if self.path.parent.is_dir():
                self.path.write_text(json.dumps(before + time.monotonic() - began))
