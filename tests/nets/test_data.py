"""Data sets: what the digits and FashionMNIST hold, and every way in which a file may be wrong."""

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nets import data
from nets.data import NAMES, ImageData, load, load_digits, load_fashion_mnist
from reduction.errors import DataError

Packing = Callable[[bytes], bytes]
FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


class Tiny(NamedTuple):
    """A FashionMNIST of 12 + 5 images."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]


def idx(entries: NDArray[np.uint8]) -> bytes:
    """IDX file, written with struct alone: shares nothing with the reader."""
    sizes = b"".join(struct.pack(">I", length) for length in entries.shape)
    return b"\x00\x00\x08" + bytes([entries.ndim]) + sizes + entries.tobytes()


def plain(content: bytes) -> bytes:
    return content


def write(folder: Path, tiny: Tiny, pack: Packing) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    suffix = ".gz" if pack is gzip.compress else ""
    for key, name in FILES.items():
        (folder / f"{name}{suffix}").write_bytes(pack(idx(getattr(tiny, key))))


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


@pytest.fixture
def tiny() -> Tiny:
    rng = np.random.default_rng(7)
    return Tiny(
        rng.integers(0, 256, (12, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 12, dtype=np.uint8),
        rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        rng.integers(0, 10, 5, dtype=np.uint8),
    )


@pytest.fixture
def folder(tmp_path: Path, tiny: Tiny) -> Path:
    """A folder of the tiny data set in Debian's layout, unpacked."""
    write(tmp_path / "fashion", tiny, plain)
    return tmp_path / "fashion"


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, on a machine without Debian's package."""
    monkeypatch.setattr(data, "DEBIAN_FOLDER", tmp_path / "usr" / "share" / "fashion-mnist")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="module")
def digits() -> ImageData:
    return load_digits()


@pytest.fixture(scope="module")
def debian_fashion_mnist() -> ImageData:
    if not data.DEBIAN_FOLDER.is_dir():
        pytest.skip("needs FashionMNIST itself: apt-get install dataset-fashion-mnist")
    return load_fashion_mnist(data.DEBIAN_FOLDER)


# ImageData


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


@pytest.mark.parametrize("n", [0, -1, 1438, 2.0, True])
def test_subset_refuses_a_size_out_of_range(digits: ImageData, n: int):
    with pytest.raises(DataError, match=r"which has 1437; give a whole number from 1 to 1437"):
        digits.subset(n)


# The digits


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


# FashionMNIST


@pytest.mark.parametrize("pack", [plain, gzip.compress])
@pytest.mark.parametrize("inside", [".", "FashionMNIST/raw"])
def test_fashion_mnist_reads_both_layouts_plain_and_gzipped(
    tmp_path: Path, tiny: Tiny, pack: Packing, inside: str
):
    write(tmp_path / inside, tiny, pack)
    read = load("fashion-mnist", folder=tmp_path)
    assert (read.name, read.classes, read.shape) == ("fashion-mnist", 10, (1, 28, 28))
    assert read.train_targets.tolist() == tiny.train_labels.tolist()
    assert read.test_targets.tolist() == tiny.test_labels.tolist()
    for inputs, pixels in (
        (read.train_inputs, tiny.train_images),
        (read.test_inputs, tiny.test_images),
    ):
        expected = (pixels.astype(np.float64) / 255 - 0.2860) / 0.3530
        assert inputs.shape == (len(pixels), 1, 28, 28)
        # three float32 operations and two rounded constants: at most 5 roundings, the numbers below
        # 1 before the division by 0.3530, so below 5 (eps / 2) / 0.3530 < 7.1 eps
        bound = 7.1 * float(np.finfo(np.float32).eps)
        np.testing.assert_allclose(inputs[:, 0].numpy(), expected, rtol=0, atol=bound)


def test_fashion_mnist_reads_files_named_gz_that_a_browser_has_unpacked(
    folder: Path, tiny: Tiny, tmp_path: Path
):
    for path in folder.iterdir():
        path.rename(path.with_name(f"{path.name}.gz"))
    write(tmp_path / "other", tiny, gzip.compress)
    assert load_fashion_mnist(folder).digest == load_fashion_mnist(tmp_path / "other").digest


def test_fashion_mnist_is_looked_for_in_debians_folder_then_in_torchvisions(
    nothing_installed: Path, tiny: Tiny
):
    with pytest.raises(DataError, match=r"no FashionMNIST in .* or data/FashionMNIST/raw"):
        load_fashion_mnist()
    write(nothing_installed / "data" / "FashionMNIST" / "raw", tiny, plain)
    assert load_fashion_mnist().train_targets.tolist() == tiny.train_labels.tolist()
    reversed_tiny = tiny._replace(train_labels=tiny.train_labels[::-1].copy())
    write(data.DEBIAN_FOLDER, reversed_tiny, gzip.compress)
    assert load_fashion_mnist().train_targets.tolist() == tiny.train_labels[::-1].tolist()


def test_fashion_mnist_is_looked_for_only_in_the_folder_given(
    nothing_installed: Path, tiny: Tiny, tmp_path: Path
):
    write(nothing_installed / "data" / "FashionMNIST" / "raw", tiny, plain)
    absent = tmp_path / "absent"
    with pytest.raises(DataError, match=r"absent.*apt-get install dataset-fashion-mnist") as caught:
        load_fashion_mnist(str(absent))
    assert "--data-dir" in str(caught.value)
    assert "--download" in str(caught.value)
    assert str(data.DEBIAN_FOLDER) not in str(caught.value)


def test_fashion_mnist_takes_the_plain_file_where_both_are(folder: Path, tiny: Tiny):
    for name in FILES.values():
        (folder / f"{name}.gz").write_bytes(b"left half-way by an old download")
    assert load_fashion_mnist(folder).train_targets.tolist() == tiny.train_labels.tolist()


def test_fashion_mnist_passes_over_a_place_that_lacks_a_file(folder: Path, tiny: Tiny):
    (folder / FILES["test_labels"]).unlink()
    complete = tiny._replace(train_labels=9 - tiny.train_labels)
    write(folder / "FashionMNIST" / "raw", complete, gzip.compress)
    assert load_fashion_mnist(folder).train_targets.tolist() == complete.train_labels.tolist()


def test_fashion_mnist_names_the_file_that_is_missing(folder: Path):
    (folder / FILES["test_labels"]).unlink()
    with pytest.raises(DataError, match=f"fashion lacks {FILES['test_labels']} .*apt-get install"):
        load_fashion_mnist(folder)


def changed(content: bytes, start: int, piece: bytes) -> bytes:
    return content[:start] + piece + content[start + len(piece) :]


@pytest.mark.parametrize(
    ("key", "spoil", "sentence"),
    [
        ("train_images", lambda c: gzip.compress(c)[:-20], "cannot be read .*end-of-stream"),
        ("train_images", lambda c: gzip.compress(c) + b"\x01", "cannot be read"),
        ("test_labels", lambda c: changed(gzip.compress(c), 10, b"\xff"), "cannot be read .*block"),
        ("train_images", lambda c: changed(c, 2, b"\x0d"), "begins with bytes 00 00 0d 03"),
        (
            "train_labels",
            lambda c: changed(c, 3, b"\x03"),
            "bytes 00 00 08 03, .* 00 00 08 01",
        ),
        ("train_labels", lambda _: b"", "begins with bytes none"),
        ("test_images", lambda c: c[:10], "truncated within its header: 10 bytes of 16"),
        (
            "test_images",
            lambda c: c[:-1],
            "is truncated: .* 5 x 28 x 28 .* 3936 .* 3935",
        ),
        (
            "train_labels",
            lambda c: c + b"\x00",
            "trailing bytes: .* 12 entries, so 20 .* 21",
        ),
        ("train_images", lambda c: changed(c, 4, b"\xff" * 12), "is truncated"),
        (
            "train_images",
            lambda _: idx(np.zeros((11, 28, 28), np.uint8)),
            "11 images but .*train-labels-idx1-ubyte has 12 labels",
        ),
        ("test_labels", lambda _: idx(np.zeros(6, np.uint8)), "5 images but .* has 6 labels"),
        ("test_labels", lambda _: idx(np.zeros(4, np.uint8)), "5 images but .* has 4 labels"),
        ("test_labels", lambda c: changed(c, 8 + 3, b"\x0a"), "label 10 at image 3.* are 0 to 9"),
        ("test_images", lambda _: idx(np.zeros((5, 28, 27), np.uint8)), "28 x 27 pixels"),
    ],
)
def test_fashion_mnist_refuses_a_spoilt_file_in_one_sentence_with_its_name_and_a_cure(
    folder: Path, key: str, spoil: Packing, sentence: str
):
    path = folder / FILES[key]
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=sentence) as caught:
        load_fashion_mnist(folder)
    message = str(caught.value)
    assert str(path) in message
    assert "apt-get install --reinstall dataset-fashion-mnist" in message
    assert "\n" not in message


def test_fashion_mnist_refuses_a_data_set_of_no_images(tmp_path: Path, tiny: Tiny):
    empty = tiny._replace(test_images=tiny.test_images[:0], test_labels=tiny.test_labels[:0])
    write(tmp_path, empty, plain)
    with pytest.raises(DataError, match=r"test_inputs of fashion-mnist .* shape \(0, 1, 28, 28\)"):
        load_fashion_mnist(tmp_path)


def test_fashion_mnist_of_debian_is_the_original(debian_fashion_mnist: ImageData):
    assert debian_fashion_mnist.train_inputs.shape == (60_000, 1, 28, 28)
    assert debian_fashion_mnist.test_inputs.shape == (10_000, 1, 28, 28)
    assert torch.bincount(debian_fashion_mnist.train_targets).tolist() == [6_000] * 10
    assert torch.bincount(debian_fashion_mnist.test_targets).tolist() == [1_000] * 10
    # labels of the first ten images, as printed in the documentation of other readers
    assert debian_fashion_mnist.train_targets[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]


def test_fashion_mnist_is_normalised_by_its_training_mean_and_deviation(
    debian_fashion_mnist: ImageData,
):
    inputs = debian_fashion_mnist.train_inputs
    deviation, mean = torch.std_mean(inputs.double())  # of what the constants have made of them
    assert round(float(mean) * 0.3530 + 0.2860, 4) == 0.2860
    assert round(float(deviation) * 0.3530, 4) == 0.3530
    ends = torch.stack([inputs.min(), inputs.max()]).double() * 0.3530 + 0.2860
    # the bound on the inputs, above, times 0.3530
    assert ((ends - torch.tensor([0.0, 1.0])).abs() < 2.5 * torch.finfo(torch.float32).eps).all()


# Downloading


class Downloader:
    """Stands in for torchvision.datasets.FashionMNIST: writes, or fails, as that would."""

    def __init__(self, tiny: Tiny, error: Exception | None = None) -> None:
        self.tiny = tiny
        self.error = error
        self.calls: list[tuple[Path, bool]] = []

    def __call__(self, root: Path, download: bool) -> None:
        self.calls.append((root, download))
        if self.error is not None:
            raise self.error
        write(root / "FashionMNIST" / "raw", self.tiny, plain)


@pytest.mark.parametrize("given", [None, "elsewhere"])
def test_download_calls_torchvisions_downloader_once_and_reads_what_it_left(
    nothing_installed: Path, tiny: Tiny, given: str | None, monkeypatch: pytest.MonkeyPatch
):
    downloader = Downloader(tiny)
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", downloader)
    # Debian's copy holds something else: what was asked for is the download
    write(data.DEBIAN_FOLDER, tiny._replace(train_labels=9 - tiny.train_labels), plain)
    for _ in range(2):
        read = load("fashion-mnist", given, download=True)
        assert read.train_targets.tolist() == tiny.train_labels.tolist()
    assert downloader.calls == [(Path(given or "data"), True)]


@pytest.mark.parametrize("error", [RuntimeError("Error downloading\nTried x"), OSError("no route")])
def test_download_that_fails_says_so_in_one_sentence(
    nothing_installed: Path, tiny: Tiny, error: Exception, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", Downloader(tiny, error))
    with pytest.raises(DataError, match=r"could not download .* into data .*apt-get") as caught:
        load_fashion_mnist(download=True)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_download_follows_the_real_torchvisions_layout_and_signature(tmp_path: Path, tiny: Tiny):
    from torchvision.datasets import FashionMNIST

    write(tmp_path / "FashionMNIST" / "raw", tiny, plain)
    theirs = FashionMNIST(root=tmp_path, download=True)  # complete, so it asks for no network
    ours = load_fashion_mnist(tmp_path, download=True)
    assert torch.equal(theirs.targets, ours.train_targets)
    pixels = (ours.train_inputs[:, 0] * 0.3530 + 0.2860) * 255
    assert torch.equal(theirs.data, pixels.round().to(torch.uint8))


# Names


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("digit", "digits"), ("DIGITS", "digits"), ("fashionmnist", "fashion-mnist")],
)
def test_load_suggests_the_nearest_name(name: str, nearest: str):
    with pytest.raises(DataError, match=f"no data set '{name}'.*did you mean {nearest}"):
        load(name)


def test_load_lists_the_names_where_none_is_near():
    with pytest.raises(DataError, match=f"choose from {', '.join(NAMES)}$"):
        load("cifar-10")


@pytest.mark.parametrize("option", [{"folder": "here"}, {"download": True}])
def test_digits_refuse_the_options_that_they_cannot_honour(option: dict[str, object]):
    with pytest.raises(DataError, match=r"given for digits.*leave out"):
        load("digits", **option)  # pyright: ignore[reportArgumentType]
