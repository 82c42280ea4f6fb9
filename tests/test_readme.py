"""What the README and the examples tell a reader to type works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_the_readmes_python_runs_from_top_to_bottom(tmp_path: Path) -> None:
    assert len(BLOCKS) == 4
    script = tmp_path / "readme.py"
    script.write_text("\n".join(BLOCKS), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "coefficients Z/2" in done.stdout
    assert (tmp_path / "triangle.png").stat().st_size > 5_000


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(example), "--out", str(picture)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"picture: {picture}" in done.stdout
    assert picture.stat().st_size > 5_000


@pytest.mark.parametrize("name", ["figure_1", "figure_2", "figure_3", "figure_4"])
def test_the_papers_figures_are_drawn_at_the_smallest_scale(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    done = run_paper(name, tmp_path / "runs", "--out", str(picture))
    assert f"picture: {picture}" in done
    assert picture.stat().st_size > 20_000


def test_the_papers_table_is_printed_at_the_smallest_scale(tmp_path: Path) -> None:
    lines = run_paper("table_1a", tmp_path / "runs", "--minima", "4").splitlines()
    assert len(lines) == 2 + 8
    assert "W_inf, index 2" in lines[0]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    kept = sorted((tmp_path / "runs" / "smoke").iterdir())
    assert len(kept) == 8
    before = [path.stat().st_mtime_ns for path in kept]
    assert run_paper("table_1a", tmp_path / "runs", "--minima", "4").splitlines() == lines
    assert [path.stat().st_mtime_ns for path in kept] == before


def run_paper(name: str, folder: Path, *options: str) -> str:
    """What a script of examples/paper prints."""
    command = [sys.executable, "-m", f"examples.paper.{name}", "--folder", str(folder), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_links_of_the_readme_and_the_docs_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (page, link)
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8"))
        if not link.startswith("http")
    ]
    assert len(links) >= 4
    for page, link in links:
        assert (page.parent / link).exists(), f"{page.name}: {link}"
