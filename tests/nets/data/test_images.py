"""Images as a value: shape, digest, parts and sizes of them, and data that are refused."""

import math

import pytest
import torch

from nets.data import ImageData, load_digits
from reduction.errors import DataError


def image_data(**changes: object) -> ImageData:
    """Three training and two test images of 2x2 pixels in two classes, with some fields changed."""
    fields: dict[str, object] = {
        "name": "tiny",
        "train_inputs": torch.arange(12, dtype=torch.float32).reshape(3, 1, 2, 2),
        "train_targets": torch.tensor([0, 1, 0]),
        "test_inputs": torch.ones(2, 1, 2, 2),
        "test_targets": torch.tensor([1, 0]),
        "classes": 2,
    }
    return ImageData(**(fields | changes))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_digits()


def test_image_data_knows_the_shape_of_one_image():
    assert image_data().shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"train_inputs": torch.ones(3, 1, 2, 2, dtype=torch.float64)}, "train_inputs .*float64"),
        ({"test_inputs": torch.ones(2, 2, 2)}, r"test_inputs .* shape \(2, 2, 2\)"),
        (
            {"test_inputs": torch.ones(0, 1, 2, 2), "test_targets": torch.ones(0).long()},
            "test_inputs .* none of them zero",
        ),
        ({"train_targets": torch.tensor([0.0, 1.0, 0.0])}, "train_targets .*float32 .* int64"),
        (
            {"train_targets": torch.tensor([0, 1])},
            r"train_targets .* shape \(2,\); need int64 \(3,\)",
        ),
        ({"train_targets": torch.tensor([0, 2, 0])}, "class 2 at image 1; need 0 <= class < 2"),
        ({"test_targets": torch.tensor([0, -1])}, "test_targets .* class -1 at image 1"),
        ({"test_inputs": torch.ones(2, 1, 2, 3)}, r"\(1, 2, 2\), its test images \(1, 2, 3\)"),
        (
            {"train_inputs": torch.ones(3, 1, 2, 2).index_fill(0, torch.tensor(2), math.nan)},
            "not finite in image 2",
        ),
        (
            {"test_inputs": torch.ones(2, 1, 2, 2).index_fill(0, torch.tensor(1), math.inf)},
            "test_inputs of tiny is not finite in image 1",
        ),
    ],
)
def test_image_data_refuses_what_is_no_data_set(changes: dict[str, object], sentence: str):
    with pytest.raises(DataError, match=sentence):
        image_data(**changes)


INPUTS = ("train_inputs", "test_inputs")


def test_digest_changes_with_a_pixel_a_label_and_a_shape_and_with_nothing_else():
    base = image_data().digest
    assert len(base) == 64
    assert image_data().digest == base
    assert image_data(name="other").digest == base

    pixel = image_data()
    pixel.test_inputs[1, 0, 1, 1] = math.nextafter(1.0, 2.0)  # rounds to 1 in float32: no change
    assert pixel.digest == base
    pixel.test_inputs[1, 0, 1, 1] += torch.finfo(torch.float32).eps
    reshaped = {key: getattr(image_data(), key).reshape(-1, 1, 1, 4) for key in INPUTS}
    variants = [
        pixel,
        image_data(train_targets=torch.tensor([0, 1, 1])),
        image_data(test_targets=torch.tensor([0, 1])),
        image_data(**reshaped),  # the same bytes, another shape
    ]
    assert len({base, *(variant.digest for variant in variants)}) == 1 + len(variants)


def test_digest_reads_values_not_memory_layout():
    inputs = torch.arange(48, dtype=torch.float32).reshape(3, 4, 2, 2)
    tests = torch.ones(2, 4, 2, 2)
    strided = inputs.to(memory_format=torch.channels_last)
    assert strided.stride() != inputs.stride()
    assert (
        image_data(train_inputs=strided, test_inputs=tests).digest
        == image_data(train_inputs=inputs, test_inputs=tests).digest
    )


def test_subset_is_the_first_training_images_and_all_test_images(digits: ImageData):
    small = digits.subset(100)
    assert torch.equal(small.train_inputs, digits.train_inputs[:100])
    assert torch.equal(small.train_targets, digits.train_targets[:100])
    assert small.test_inputs is digits.test_inputs
    assert small.test_targets is digits.test_targets
    assert (small.name, small.classes, small.shape) == ("digits", 10, (1, 8, 8))
    assert small.digest != digits.digest
    assert digits.subset(1437).digest == digits.digest


def test_resized_images_are_averages_where_they_become_smaller() -> None:
    rows = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 8], [4, 4, 2, 2], [4, 4, 2, 2]])
    data = image_data(
        train_inputs=rows.expand(3, 2, 4, 4).contiguous(), test_inputs=torch.ones(2, 2, 4, 4)
    )
    small = data.resized(1)
    assert small.shape == (2, 1, 1)
    torch.testing.assert_close(small.train_inputs, torch.full((3, 2, 1, 1), 3.5))
    torch.testing.assert_close(small.test_inputs, torch.ones(2, 2, 1, 1))
    assert torch.equal(small.train_targets, data.train_targets)
    large = data.resized(7)
    assert large.shape == (2, 7, 7)
    assert large.test_inputs.unique().tolist() == [1.0]
    assert data.resized(4) is data


def test_resizing_does_not_depend_on_the_other_images(digits: ImageData) -> None:
    few = digits.subset(5).resized(12)
    assert torch.equal(few.train_inputs, digits.resized(12).train_inputs[:5])
