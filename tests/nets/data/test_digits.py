"""The digits: all 1,797, split the same way every time."""

import numpy as np
import pytest
import torch

from nets.data import ImageData, load, load_digits


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_digits()


def test_digits_are_1437_and_360_images_of_8x8_between_0_and_1(digits: ImageData):
    assert digits.train_inputs.shape == (1437, 1, 8, 8)
    assert digits.test_inputs.shape == (360, 1, 8, 8)
    assert digits.classes == 10
    both = torch.cat([digits.train_inputs, digits.test_inputs])
    assert (both.min(), both.max()) == (0.0, 1.0)
    assert torch.equal(both * 16, (both * 16).round())  # sixteenths are exact in binary
    assert set(digits.train_targets.tolist()) == set(digits.test_targets.tolist()) == set(range(10))


def test_digits_split_covers_all_1797_once_and_keeps_images_with_labels(digits: ImageData):
    from sklearn import datasets

    pixels, targets = datasets.load_digits(return_X_y=True)
    rows = np.column_stack([pixels, targets]).astype(int).tolist()
    split: list[list[int]] = []
    for inputs, labels in (
        (digits.train_inputs, digits.train_targets),
        (digits.test_inputs, digits.test_targets),
    ):
        flat = (inputs.reshape(-1, 64) * 16).long()
        split += torch.cat([flat, labels.unsqueeze(1)], dim=1).tolist()
    assert len(rows) == 1797
    assert len({tuple(row) for row in rows}) == 1797
    # no two images are alike, so this is disjointness too
    assert sorted(split) == sorted(rows)


def test_digits_split_gives_a_fifth_of_each_digit_to_the_test(digits: ImageData):
    tests = torch.bincount(digits.test_targets)
    totals = tests + torch.bincount(digits.train_targets)
    assert totals.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert ((tests - totals / 5).abs() < 1).all()


def test_digits_are_the_same_every_time(digits: ImageData):
    torch.manual_seed(1)
    assert load("digits").digest == digits.digest
    # a run's record names its data by this: if it changes, old records name other data
    assert digits.digest == "bc82fa5c55651a04c6d7ca0211be4392d75fb2651659f0fe9eb3106dacba5578"
