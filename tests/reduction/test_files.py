"""Files that are there whole or not at all."""

import os
from pathlib import Path

import pytest

from reduction import Barcode, DataError, FilteredComplex, OptionError
from reduction.files import digest, json_digest, replacing, sealed, unsealed, write, write_arrays


def test_checksums_are_sha256_of_bytes_and_of_json_with_sorted_keys() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert digest(b"") == empty
    assert json_digest({"b": [1, None], "a": "é"}) == digest(b'{"a": "\\u00e9", "b": [1, null]}')


def test_a_seal_is_taken_off_where_it_fits() -> None:
    assert unsealed(sealed({"a": 1})) == {"a": 1}
    assert unsealed({"a": 1}, required=False) == {"a": 1}
    for document in ({"a": 1}, {**sealed({"a": 1}), "a": 2}):
        with pytest.raises(DataError, match="checksum"):
            unsealed(document)


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(TypeError):  # not of bytes
        write(path, "text")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="inhomogeneous"):
        write_arrays(path, {"a": [[1], [2, 3]]})
    with pytest.raises(OptionError, match="named by"):
        write(7, b"")  # pyright: ignore[reportArgumentType]
    with pytest.raises(IsADirectoryError):
        write(tmp_path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["old"]


def test_complexes_and_barcodes_replace_the_file_that_a_link_names(tmp_path: Path) -> None:
    complex = FilteredComplex.complete(3, [[0, 0, 0], [1, 2, 3]])
    for name, value, load in (
        ("complex.npz", complex, FilteredComplex.load),
        ("barcode.json", complex.barcode(), Barcode.load),
    ):
        path, link = tmp_path / name, tmp_path / f"link to {name}"
        path.write_bytes(b"old")
        path.chmod(0o640)
        link.symlink_to(path)
        value.save(link)
        assert link.is_symlink()
        assert path.stat().st_mode & 0o777 == 0o640
        assert repr(load(path)) == repr(value)


COMPLEX = FilteredComplex.complete(3, [[0, 1, 2], [3, 4, 5], [6]])


@pytest.mark.parametrize(
    ("value", "kind", "step"),
    [(COMPLEX, "filtered complex of version 1", 7), (COMPLEX.barcode(), "barcode of version 1", 1)],
    ids=["complex", "barcode"],
)
def test_cut_off_and_foreign_files_are_refused(
    tmp_path: Path, value: FilteredComplex | Barcode, kind: str, step: int
) -> None:
    path = tmp_path / "foreign"
    value.save(path)
    whole = path.read_bytes()
    # without its last newline a text is still whole
    parts = [whole[:size] for size in range(0, len(whole) - 2, step)]
    others = (b"[]", b"{}", b"null", b"\xff\xfe", b"[" * 100_000, b'{"format": NaN}', b"PK\x03\x04")
    for content in (*parts, *others, b"\x93NUMPY", b"not a complex at all\n" * 9):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"foreign is no {kind}.*, or was altered or cut off"):
            type(value).load(path)


def test_a_device_is_written_to_and_stays_one() -> None:
    write(os.devnull, b"nothing")
    assert not Path(os.devnull).is_file()
