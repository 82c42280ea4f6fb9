"""What the README, the docs and the examples tell a reader to type works as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from types import ModuleType

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.image import imread

import nets
import reduction
import simplicial

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(python|sh|text)\n(.*?)^```", re.DOTALL | re.MULTILINE)
BENCHMARKS = "tests/benchmarks/"  # whose commands run in a clone
NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?")


def test_the_readmes_python_runs_from_top_to_bottom(tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert [language for language, _ in blocks] == ["python", "text", *["python"] * 3]
    front, shown = blocks[0][1], blocks[1][1]
    assert_alike(typed("python", front, tmp_path), shown)
    assert (tmp_path / "triangle.png").stat().st_size > 5_000
    others = "\n".join(code for language, code in blocks[2:] if language == "python")
    assert "coefficients Z/2" in typed("python", others, tmp_path)


def test_the_front_page_begins_as_the_readme() -> None:
    pages = (ROOT / path for path in ("README.md", "docs/index.md"))
    readme, page = (BLOCK.findall(path.read_text("utf-8"))[:2] for path in pages)
    assert readme == page


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "outputs"),
    [
        ("first_run", 4),
        ("your_network", 3),
        ("networks/data", 1),
        ("exact/sparse", 1),
        ("exact/atoms", 1),
        ("exact/domains", 1),
        ("engine/other_libraries", 2),
        ("functions/numpy", 2),
        ("functions/jax", 1),
        ("functions/ase", 1),
    ],
)
def test_what_a_page_tells_to_type_prints_what_the_page_shows(
    page: str, outputs: int, tmp_path: Path
) -> None:
    blocks = BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text("utf-8"))
    assert [language for language, _ in blocks].count("text") == outputs
    blocks = [(language, content) for language, content in blocks if BENCHMARKS not in content]
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


Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script of examples/ in a folder of its own; returns the text that it prints."""

    def run(script: str, *options: object) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, options)])
        run_path(str(ROOT / "examples" / f"{script}.py"), run_name="__main__")
        pyplot.close("all")
        return capsys.readouterr().out

    return run


EXAMPLES = [(path.stem,) for path in sorted((ROOT / "examples").glob("*.py"))]
PICTURES = [("meaning", picture) for picture in ("voids", "barriers", "sampled")]
LONG = (("own_networks",), ("meaning", "voids"))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, marks=[pytest.mark.long] if script in LONG else [])
        for script in (*EXAMPLES, *PICTURES)
    ],
    ids="-".join,
)
def test_examples_draw_a_picture(script: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    assert f"picture: {picture}" in run(*script, "--out", picture)
    assert picture.stat().st_size > 5_000


# One epoch makes a network or a triangle worse now and then, and a run says so.
WORSENED = pytest.mark.filterwarnings("ignore:.*choose smaller steps:simplicial.errors.LossWarning")


@WORSENED
@pytest.mark.parametrize(
    "name", ["figure_1", *(pytest.param(f"figure_{i}", marks=pytest.mark.long) for i in (2, 3, 4))]
)
def test_the_papers_figures_are_drawn_at_the_smallest_scale(
    name: str, run: Run, tmp_path: Path
) -> None:
    picture = tmp_path / "picture.png"
    printed = run(f"paper/{name}", "--folder", "runs", "--out", picture)
    assert f"picture: {picture}" in printed
    assert picture.stat().st_size > 20_000
    again, read = tmp_path / "again.png", ["--folder", "runs", "--data-dir", "nowhere"]
    if name == "figure_1":
        read = ["--drawn", picture.with_suffix(".json")]
    run(f"paper/{name}", *read, "--out", again)
    assert np.abs(imread(again) - imread(picture)).mean() < 1e-3


@WORSENED
@pytest.mark.long
def test_the_papers_table_is_printed_at_the_smallest_scale(run: Run, tmp_path: Path) -> None:
    script = ["paper/table_1a", "--folder", "runs", "--networks", "ResNet-20", "ResNet-20-NS"]
    lines = run(*script).splitlines()
    titles = [line for line in lines if line.endswith(":")]
    assert len(titles) == 8 + 8  # each way, aligned and not, and its network of four minima
    assert sum(line.startswith("| ResNet-20 |") for line in lines) == 8
    assert sum(line.startswith("| ResNet-20-NS |") for line in lines) == 16
    kept = sorted((tmp_path / "runs" / "smoke-full").glob("*.json"))
    assert len(kept) == 16
    before = [path.stat().st_mtime_ns for path in kept]
    assert run(*script).splitlines() == lines
    assert [path.stat().st_mtime_ns for path in kept] == before


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
