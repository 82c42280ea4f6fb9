"""What the README, the docs and the examples tell a reader to type works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from matplotlib.pyplot import imread

import nets
import reduction
import simplicial

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


def test_the_readmes_python_runs_from_top_to_bottom(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert [language for language, _ in blocks] == ["python"] * 4
    printed = typed("python", "\n".join(code for _, code in blocks), tmp_path)
    assert "coefficients Z/2" in printed
    assert (tmp_path / "triangle.png").stat().st_size > 5_000


@pytest.mark.parametrize(("page", "outputs"), [("first_run", 4), ("your_network", 2)])
def test_what_a_page_tells_to_type_prints_what_the_page_shows(
    page: str, outputs: int, tmp_path: Path
) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text("utf-8"))
    assert [language for language, _ in blocks].count("text") == outputs
    printed = ""
    for language, content in blocks:
        if language == "text":
            assert_alike(printed, content)
        else:
            printed = typed(language, content, tmp_path)


def typed(language: str, content: str, folder: Path) -> str:
    """What a block prints, run in a folder; Python that begins with a file's name is only saved."""
    named = re.match(r"# (\w+\.py)\n", content)
    if named:
        (folder / named[1]).write_text(content, encoding="utf-8")
        return ""
    (folder / "block").write_text(content, encoding="utf-8")
    commands = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "block"] if language == "python" else ["sh", "-e", "block"],
        cwd=folder,
        env=os.environ | {"PATH": commands},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_alike(printed: str, shown: str) -> None:
    """The same words, and the same numbers but for last digits, which machines round otherwise."""
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split(), printed
    numbers = [[float(x) for x in NUMBER.findall(text)] for text in (printed, shown)]
    np.testing.assert_allclose(*numbers, rtol=0.02, atol=1e-9)


@pytest.mark.parametrize("package", [simplicial, nets, reduction], ids=lambda p: p.__name__)
def test_the_reference_has_every_public_name_once(package: ModuleType) -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    names = [name.split(".")[-1] for name in re.findall(r"^\.\. \S+:: (\S+)$", page, re.MULTILINE)]
    assert {name: names.count(name) for name in package.__all__} == dict.fromkeys(
        package.__all__, 1
    )


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.stem)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    assert_draws([str(example)], tmp_path / "picture.png")


@pytest.mark.parametrize("picture", ["voids", "barriers", "sampled"])
def test_other_pictures_of_what_barcodes_mean_are_drawn(picture: str, tmp_path: Path) -> None:
    assert_draws([str(ROOT / "examples" / "meaning.py"), picture], tmp_path / "picture.png")


def assert_draws(script: list[str], picture: Path) -> None:
    """The script draws a picture where it is told to."""
    command = [sys.executable, *script, "--out", str(picture)]
    done = subprocess.run(command, cwd=picture.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"picture: {picture}" in done.stdout
    assert picture.stat().st_size > 5_000


@pytest.mark.parametrize("name", ["figure_1", "figure_2", "figure_3", "figure_4"])
def test_the_papers_figures_are_drawn_at_the_smallest_scale(name: str, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    done = run_paper(name, "--folder", str(tmp_path / "runs"), "--out", str(picture))
    assert f"picture: {picture}" in done
    assert picture.stat().st_size > 20_000
    if name != "figure_4":
        again, kept = tmp_path / "again.png", picture.with_suffix(".json")
        run_paper(name, "--drawn", str(kept), "--out", str(again))
        assert np.abs(imread(again) - imread(picture)).mean() < 1e-3


def test_the_papers_table_is_printed_at_the_smallest_scale(tmp_path: Path) -> None:
    options = ["--folder", str(tmp_path / "runs"), "--minima", "4"]
    lines = run_paper("table_1a", *options).splitlines()
    assert len(lines) == 2 + 8
    assert "W_inf, index 2" in lines[0]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    kept = sorted((tmp_path / "runs" / "smoke-full").iterdir())
    assert len(kept) == 8
    before = [path.stat().st_mtime_ns for path in kept]
    assert run_paper("table_1a", *options).splitlines() == lines
    assert [path.stat().st_mtime_ns for path in kept] == before


def run_paper(name: str, *options: str) -> str:
    """What a script of examples/paper prints."""
    command = [sys.executable, "-m", f"examples.paper.{name}", *options]
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
