"""FashionMNIST: its content and folders, and every way in which a file may be wrong."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nets.data import ImageData, fashion_mnist, load, load_fashion_mnist
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
    monkeypatch.setattr(
        fashion_mnist, "DEBIAN_FOLDER", tmp_path / "usr" / "share" / "fashion-mnist"
    )
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture(scope="module")
def debian_fashion_mnist() -> ImageData:
    if not fashion_mnist.DEBIAN_FOLDER.is_dir():
        pytest.skip("needs FashionMNIST itself: apt-get install dataset-fashion-mnist")
    return load_fashion_mnist(fashion_mnist.DEBIAN_FOLDER)


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
    write(fashion_mnist.DEBIAN_FOLDER, reversed_tiny, gzip.compress)
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
    assert str(fashion_mnist.DEBIAN_FOLDER) not in str(caught.value)


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
        ("train_labels", lambda c: changed(c, 3, b"\x03"), "bytes 00 00 08 03, .* 00 00 08 01"),
        ("train_labels", lambda _: b"", "begins with bytes none"),
        ("test_images", lambda c: c[:10], "truncated within its header: 10 bytes of 16"),
        ("test_images", lambda c: c[:-1], "is truncated: .* 5 x 28 x 28 .* 3936 .* 3935"),
        ("train_labels", lambda c: c + b"\x00", "trailing bytes: .* 12 entries, so 20 .* 21"),
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
def test_fashion_mnist_refuses_a_spoilt_file_in_one_sentence_with_its_name_and_a_remedy(
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
    # Debian's copy holds something else: the download was asked for
    write(fashion_mnist.DEBIAN_FOLDER, tiny._replace(train_labels=9 - tiny.train_labels), plain)
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
