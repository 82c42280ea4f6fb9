"""Data sets by name."""

import pytest

from nets.data import NAMES, load
from reduction.errors import DataError, OptionError


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("digit", "digits"),
        ("DIGITS", "digits"),
        ("fashionmnist", "fashion-mnist"),
        ("cifar10", "cifar-10"),
    ],
)
def test_load_suggests_the_nearest_name(name: str, nearest: str):
    with pytest.raises(DataError, match=f"no data set '{name}'.*did you mean {nearest}"):
        load(name)


def test_load_lists_the_names_where_none_is_near():
    with pytest.raises(DataError, match=f"choose from {', '.join(NAMES)}$"):
        load("imagenet")


def test_images_are_cut_before_they_are_resized():
    images = load("digits", subset=5, image_size=12)
    assert images.digest == load("digits").subset(5).resized(12).digest
    with pytest.raises(DataError, match=r"subset of 0 .* from 1 to 1437"):
        load("digits", subset=0, image_size=0)
    with pytest.raises(OptionError, match="image_size must be a whole number"):
        load("digits", subset=1, image_size=0)
