"""CIFAR-10's binary version: its content and folders, and every way a file may be wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nets.data import load, load_cifar10
from nets.data.cifar10 import MD5
from reduction.errors import DataError

NAMES = [*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]


def write(folder: Path, seed: int = 8) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Six files of three images each, byte by byte; labels (18,) and pixels (18, 3, 32, 32)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 18, dtype=np.uint8)
    pixels = rng.integers(0, 256, (18, 3, 32, 32), dtype=np.uint8)
    for k, name in enumerate(NAMES):
        content = b""
        for i in range(3 * k, 3 * k + 3):
            content += bytes([labels[i]])
            content += b"".join(bytes(row) for channel in pixels[i].tolist() for row in channel)
        (folder / name).write_bytes(content)
    return labels, pixels


@pytest.mark.parametrize("inside", [".", "cifar-10-batches-bin"])
def test_all_six_files_are_read_in_their_order(tmp_path: Path, inside: str) -> None:
    labels, pixels = write(tmp_path / inside)
    read = load("cifar-10", tmp_path)
    assert (read.name, read.classes, read.shape) == ("cifar-10", 10, (3, 32, 32))
    assert read.train_targets.tolist() == labels[:15].tolist()
    assert read.test_targets.tolist() == labels[15:].tolist()
    for inputs, part in ((read.train_inputs, pixels[:15]), (read.test_inputs, pixels[15:])):
        expected = part.astype(np.float64) / 255
        for c, (mean, deviation) in enumerate(
            zip((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), strict=True)
        ):
            np.testing.assert_allclose(
                inputs[:, c].numpy(), (expected[:, c] - mean) / deviation, rtol=0, atol=2e-6
            )


def test_it_is_looked_for_below_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=r"no CIFAR-10 in data or data/cifar-10-batches-bin; unpack"
    ):
        load_cifar10()
    labels, _ = write(tmp_path / "data" / "cifar-10-batches-bin")
    assert load_cifar10().train_targets.tolist() == labels[:15].tolist()


@pytest.mark.parametrize("inside", [".", "cifar-10-batches-bin"])
def test_a_missing_file_is_named(tmp_path: Path, inside: str) -> None:
    write(tmp_path / inside)
    (tmp_path / inside / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"CIFAR-10 in .* lacks data_batch_3.bin; unpack"):
        load_cifar10(tmp_path)


def test_the_pickled_version_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(b"\x80\x04.")
    for folder in (tmp_path, tmp_path / "cifar-10-batches-py"):
        with pytest.raises(DataError, match=r"Python version, which is pickled and never loaded"):
            load_cifar10(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c: c[:-1], r"data_batch_2.bin must be records of 3073 bytes, .* has 9218 bytes"),
        (lambda _: b"", "must be records of 3073 bytes, one or more, it has 0 bytes"),
        (lambda c: c[:3073] + b"\x0a" + c[3074:], "has label 10 at image 1, CIFAR-10's are 0 to 9"),
    ],
)
def test_a_spoilt_file_is_refused_in_one_sentence(
    tmp_path: Path, spoil: Callable[[bytes], bytes], message: str
) -> None:
    write(tmp_path)
    path = tmp_path / "data_batch_2.bin"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=message) as caught:
        load_cifar10(tmp_path)
    assert str(path) in str(caught.value)
    assert "fetch cifar-10-binary.tar.gz anew" in str(caught.value)


class Downloader:
    """Stands in for torchvision's function: writes, or fails, as that would."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, str]] = []

    def __call__(self, url: str, root: str, *, md5: str) -> None:
        self.calls.append((url.rpartition("/")[2], md5))
        if self.error is not None:
            raise self.error
        write(Path(root) / "cifar-10-batches-bin")


def test_download_calls_torchvision_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloader = Downloader()
    monkeypatch.setattr("torchvision.datasets.utils.download_and_extract_archive", downloader)
    for _ in range(2):
        assert len(load("cifar-10", tmp_path, download=True).train_targets) == 15
    assert downloader.calls == [("cifar-10-binary.tar.gz", MD5)]


@pytest.mark.parametrize("error", [RuntimeError("Error\ndownloading"), OSError("no route")])
def test_download_that_fails_says_so_in_one_sentence(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "torchvision.datasets.utils.download_and_extract_archive", Downloader(error)
    )
    with pytest.raises(DataError, match=r"could not download CIFAR-10 into .*unpack") as caught:
        load_cifar10(tmp_path, download=True)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error
