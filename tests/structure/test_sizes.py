"""Files, folders and functions are small enough to be read at once."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["reduction", "simplicial", "nets"]
FILES = [
    path
    for folder in (*PACKAGES, "examples", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


TORCHS = {"unfolded_convolution"}  # takes the arguments of torch.conv2d, as they are passed on


def free(path: Path, name: str) -> bool:
    """Whether a function may take more than five parameters by position."""
    return "kernels" in path.relative_to(ROOT).parts or name in TORCHS


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, its docstring aside."""
    first = node.body[0]
    docstring = first if ast.get_docstring(node) is not None else None
    return _length(node) - (_length(docstring) if docstring else 0)


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def positional(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Parameters that may be given by position, an object's own place aside."""
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_file_is_above_400_lines() -> None:
    assert len(FILES) > 150
    long = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {str(path.relative_to(ROOT)): n for path, n in long.items() if n > 400} == {}


def test_no_folder_holds_more_than_16_files() -> None:
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in FILES)
    assert {folder: n for folder, n in counts.items() if n > 16} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_above_60_lines_or_takes_more_than_5_by_position(package: str) -> None:
    """But kernels, which Numba compiles without keyword-only parameters, and TORCHS."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines(node)} lines, "
        f"{positional(node)} parameters by position"
        for path in FILES
        if path.is_relative_to(ROOT / package)
        for node in functions(path)
        if lines(node) > 60 or (positional(node) > 5 and not free(path, node.name))
    ]
    assert found == []
