"""The notebooks of the docs run from top to bottom and print what they show.

`jupyter execute --inplace docs/notebooks/*.ipynb` renews what they show.
"""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.test_readme import assert_alike

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NOTEBOOKS = ("first_barcodes", "your_network", "energy_landscape")
BYTES, SECONDS = 300_000, 60


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def texts(notebook: Any) -> list[str]:
    """What each cell of code prints, and the text of its results but pictures."""
    return [
        "".join(
            output["text"]
            if output["output_type"] == "stream"
            else output.get("data", {}).get("text/plain", output["output_type"])
            for output in cell["outputs"]
        )
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def kinds(notebook: Any) -> list[set[str]]:
    """Media types of each cell's results."""
    cells = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    return [
        {kind for output in cell["outputs"] for kind in output.get("data", {})} for cell in cells
    ]


def test_all_are_here_and_shown_in_the_docs() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {*NOTEBOOKS}
    page = (FOLDER.parent / "index.md").read_text("utf-8")
    assert [name for name in NOTEBOOKS if f"\nnotebooks/{name}\n" not in page] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_small_and_was_run_in_order(name: str) -> None:
    path, notebook = FOLDER / f"{name}.ipynb", read(name)
    assert path.stat().st_size < BYTES
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == [*range(1, len(counts) + 1)]
    content = path.read_text("utf-8")
    assert str(Path.home()) not in content
    assert '"error"' not in content
    assert '"stderr"' not in content
    assert "image/png" in content


@pytest.mark.long
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_prints_what_it_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(FOLDER.parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    shown, notebook = read(name), read(name)
    client = NotebookClient(notebook, timeout=4 * SECONDS, kernel_name="python3", resources={})
    client.execute()
    assert kinds(notebook) == kinds(shown)
    for printed, text in zip(texts(notebook), texts(shown), strict=True):
        assert_alike(printed, text)
