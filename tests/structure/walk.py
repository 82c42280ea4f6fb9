"""The walk of `max_dim` and of the loss, from `build_complex` to the barcode: files and returns.

`python -m tests.structure.walk` builds the complex of a double well, in two epochs, and notes
every function of the three packages when it is first called. A reader who follows an argument opens
the file of each function that takes it, in that order; a return is a file that is opened again.
`max_dim` is followed under the names that it goes by: max_dim, and in a reduction max_index; then
as each dimension r up to it. Times of calls do not count, so the walk is the same every time.
"""

import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import FrameType

from torch import Tensor

import simplicial
from simplicial import Algorithm1, Recipe, build_complex, find_minima

ROOT = Path(str(simplicial.__file__)).parents[1]
PACKAGES = ("reduction", "simplicial", "nets")
FOLLOWED = {
    "max_dim": ("max_dim", "max_index"),
    "the loss": ("loss",),
    "max_dim and the loss": ("max_dim", "max_index", "loss"),
    "these and each dimension r": ("max_dim", "max_index", "loss", "r", "dim"),
}


def double_well(x: Tensor) -> Tensor:
    """(x² - 1)² + (y² - 1)²: four minima, one bar of index 1."""
    return ((x**2 - 1) ** 2).sum(dim=1)


@cache
def first_calls() -> dict[tuple[str, str], set[str]]:
    """Arguments of the functions called, by file and name, in the order of first calls."""
    minima, called = find_minima(double_well, n=8, dim=2, seed=0), dict[tuple[str, str], set[str]]()

    def note(frame: FrameType, event: str, _: object) -> None:
        path, code = Path(frame.f_code.co_filename), frame.f_code
        if event == "call" and path.is_relative_to(ROOT):
            file = path.relative_to(ROOT)
            if file.parts[0] in PACKAGES:
                arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
                called.setdefault((str(file), code.co_qualname), set(arguments))

    def walk() -> None:
        optimizer = Algorithm1(recipe=Recipe(epochs=2))
        build_complex(minima, max_dim=2, optimizer=optimizer, progress=False).barcode()

    walk()  # what is compiled or loaded once is no part of the walk
    sys.setprofile(note)
    try:
        walk()
    finally:
        sys.setprofile(None)
    return called


def files_and_returns(names: Iterable[str]) -> tuple[list[str], int]:
    """Files of functions that take one of these arguments, as opened, and how many returns."""
    opened, returns, last = list[str](), 0, ""
    for (file, _), arguments in first_calls().items():
        if arguments & set(names):
            returns += file != last and file in opened
            last = file
            if file not in opened:
                opened.append(file)
    return opened, returns


if __name__ == "__main__":
    for title, names in FOLLOWED.items():
        files, returns = files_and_returns(names)
        print(f"{title}: {len(files)} files, {returns} returns")
        print("   ", "  ".join(files))
