"""An argument of `build_complex` is followed to the barcode in a sitting."""

import pytest

from tests.structure.walk import FOLLOWED, files_and_returns


@pytest.mark.parametrize("name", ["max_dim", "the loss", "max_dim and the loss"])
def test_ten_files_and_ten_returns_are_enough(name: str) -> None:
    files, returns = files_and_returns(FOLLOWED[name])
    assert 5 <= len(files) <= 10
    assert returns <= 10
