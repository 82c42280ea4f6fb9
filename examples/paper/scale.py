"""How large an experiment is."""

from dataclasses import dataclass
from pathlib import Path

from nets import ImageData
from nets.data import load
from simplicial import Recipe


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Size of an experiment.

    data        name of the data set
    subset      number of training images; None: all
    image_size  pixels of a side; None: the data set's own
    epochs      of training; None: the recipe's own
    batch_size  images in a mini-batch; None: the recipe's own
    resolution  of the lattice on a simplex
    """

    data: str
    subset: int | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    resolution: int

    def images(self, folder: Path | None, download: bool) -> ImageData:
        """The data set at this scale. Raises DataError."""
        return load(self.data, folder, download, subset=self.subset, image_size=self.image_size)

    def recipe(self, recipe: Recipe) -> Recipe:
        """A recipe at this scale."""
        own = {"epochs": self.epochs, "batch_size": self.batch_size}
        return recipe.changed(**{k: v for k, v in own.items() if v is not None})
