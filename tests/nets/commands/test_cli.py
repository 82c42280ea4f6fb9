"""Results of the command line: files, printed text, and the same bits when repeated."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
import matplotlib.image
import numpy as np
import pytest
import torch
from click.testing import Result
from tqdm import tqdm

from nets import MLP, LeNet, NetworkLoss, ResNet, load_digits, load_fashion_mnist
from nets.commands.group import loss_barcodes
from reduction import Barcode, OptionError
from simplicial import LossComplex, Minima
from simplicial.landscapes import by_name
from tests.nets.cli_runner import (
    DIGITS,
    FILES,
    PICTURES,
    QUICK,
    SMALL,
    assert_same_complex,
    content,
    invoke,
    record_of,
    succeed,
)


def test_run_writes_the_documented_files_and_nothing_else(run: tuple[Path, Result]):
    folder, _ = run
    assert set(content(folder)) == PICTURES | FILES
    assert [p.name for p in folder.parent.iterdir()] == ["digits"]  # no half-written twin
    for name in PICTURES:
        height, width, _ = matplotlib.image.imread(folder / name).shape
        assert min(height, width) > 300


def test_run_records_what_repeats_it(run: tuple[Path, Result]):
    folder, _ = run
    record = record_of(folder)
    settings = record["settings"]
    assert record["command"] == "run"
    assert (settings["minima"], settings["max_dim"], settings["subset"]) == (4, 3, 200)
    assert (settings["seed"], settings["data"], settings["model"]) == (0, "digits", "mlp")
    assert record["recipe"]["epochs"] == 2
    assert record["recipe"]["learning_rate"] == 0.1
    assert record["versions"]["torch"] == torch.__version__
    assert record["data_sha256"] == load_digits().subset(200).digest
    assert len(record["w_inf"]) == 3


def test_the_complex_loaded_back_has_the_barcode_that_was_written(run: tuple[Path, Result]):
    folder, _ = run
    settings = record_of(folder)["settings"]
    images = load_digits().subset(settings["subset"])
    loss = NetworkLoss(MLP(64), images.train_inputs, images.train_targets)
    built = LossComplex.load(folder / "complex.npz", loss)
    barcode, written = built.barcode(settings["field"]), Barcode.load(folder / "barcodes.json")
    assert len(barcode) == len(written) == settings["max_dim"] == 3
    assert sum(len(bars) for bars in written) >= 4
    for r in range(3):
        np.testing.assert_array_equal(barcode[r], written[r])
        assert record_of(folder)["w_inf"][r] == written.w_inf(r)
    assert built.minima.accuracy is not None


def test_run_prints_results_on_stdout_only(run: tuple[Path, Result]):
    folder, result = run
    first, losses, accuracies = result.stdout.splitlines()[:3]
    assert first == "4 minima of mlp on 200 images"
    assert losses.startswith("loss ")
    assert accuracies.startswith("accuracy ")
    assert Barcode.load(folder / "barcodes.json").table() in result.stdout
    assert f"{folder}: {', '.join(sorted(PICTURES | FILES))}" in result.stdout
    assert "training" not in result.stdout


def test_the_same_seed_gives_the_same_result_in_another_process(
    run: tuple[Path, Result], tmp_path: Path
):
    folder, result = run
    arguments = [*DIGITS, "--max-dim", "3", "--out", str(tmp_path / "again"), "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "nets.cli", "run", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert_same_complex(folder, tmp_path / "again")
    assert done.stderr == ""
    assert done.stdout.replace(str(tmp_path / "again"), str(folder)) == result.stdout


@pytest.mark.usefixtures("no_pictures")
def test_another_seed_gives_another_result(tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        succeed("run", *SMALL, "--seed", seed, "--out", tmp_path / name)
    assert_same_complex(tmp_path / "a", tmp_path / "b")
    with np.load(tmp_path / "a/complex.npz") as a, np.load(tmp_path / "c/complex.npz") as c:
        assert (a["pool"] != c["pool"]).all(axis=1).all() or (a["values"] != c["values"]).all()
    assert content(tmp_path / "a")["barcodes.json"] != content(tmp_path / "c")["barcodes.json"]


@pytest.mark.usefixtures("no_pictures")
def test_trainable_sides_segments_and_field_are_honoured(tmp_path: Path):
    def pool(name: str, *options: object) -> Any:
        # 20 steps, so that t comes near every side of the triangle
        succeed("run", *SMALL, "--batch-size", 2, *options, "--out", tmp_path / name)
        with np.load(tmp_path / name / "complex.npz") as archive:
            return archive["pool"]

    fixed = pool("fixed")
    trainable = pool("trainable", "--sides", "trainable")
    assert fixed.shape == trainable.shape == (3 + 3 + 1, 65 * 3 + 4 * 10)
    moved = (fixed != trainable).any(axis=1)
    assert moved.tolist() == [False] * 3 + [True] * 4
    assert len(pool("segments", "--segments", 3)) == 3 + 3 * 2 + 1
    np.testing.assert_array_equal(pool("field", "--field", 3), fixed)
    assert Barcode.load(tmp_path / "field" / "barcodes.json").field == 3
    assert Barcode.load(tmp_path / "fixed" / "barcodes.json").field == 2


@pytest.mark.usefixtures("no_pictures")
def test_a_residual_network_has_its_options_and_its_recipe(tmp_path: Path):
    options = ["--subset", 20, "--image-size", 5, "--minima", 3, "--epochs", 1, "--batch-size", 10]
    options += ["--model", "resnet", "--depth", 8, "--width", 2, "--no-shortcuts"]
    result = succeed("run", *options, "--resolution", 3, "--sampled", "--quiet",
                     "--out", tmp_path / "out")  # fmt: skip
    assert result.stdout.startswith("3 minima of resnet on 20 images\n")
    recorded = record_of(tmp_path / "out")
    recipe = {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    recipe |= {"epochs": 1, "batch_size": 10, "schedule": "tenths"}
    assert recorded["recipe"] == recipe
    images = load_digits().subset(20).resized(5)
    assert recorded["data_sha256"] == images.digest
    model = ResNet(channels=1, depth=8, width=2, shortcuts=False)
    loss = NetworkLoss(model, images.train_inputs, images.train_targets)
    assert LossComplex.load(tmp_path / "out" / "complex.npz", loss).minima.points.shape == (
        3,
        sum(p.numel() for p in model.parameters()),
    )


@pytest.mark.usefixtures("no_pictures")
def test_options_of_the_recipe_change_the_recipe(tmp_path: Path):
    given = {"batch_size": 7, "learning_rate": 0.3, "momentum": 0.5, "weight_decay": 0.25}
    options = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", v)]
    succeed("run", *SMALL, *options, "--out", tmp_path / "out")
    recipe = record_of(tmp_path / "out")["recipe"]
    assert recipe == given | {"epochs": 1, "nesterov": False, "schedule": "garipov"}


def test_edges_alone_have_no_picture_of_a_triangle(tmp_path: Path):
    succeed("run", *SMALL, "--max-dim", 1, "--out", tmp_path / "out")
    assert set(content(tmp_path / "out")) == (PICTURES | FILES) - {"triangle.png"}


@pytest.mark.usefixtures("no_pictures")
def test_lenet_on_fashion_mnist_files(fashion: Path, tmp_path: Path):
    out = tmp_path / "out"
    options = [
        "--data",
        "fashion-mnist",
        "--model",
        "lenet",
        "--subset",
        "30",
        "--minima",
        "3",
        "--epochs",
        "1",
    ]
    result = succeed("run", *options, "--resolution", 3, "--data-dir", fashion, "--out", out)
    assert "3 minima of lenet on 30 images" in result.stdout
    images = load_fashion_mnist(fashion).subset(30)
    assert record_of(out)["data_sha256"] == images.digest
    loss = NetworkLoss(LeNet(), images.train_inputs, images.train_targets)
    built = LossComplex.load(out / "complex.npz", loss)
    written = Barcode.load(out / "barcodes.json")
    for r in range(2):
        np.testing.assert_array_equal(built.barcode()[r], written[r])


@pytest.mark.usefixtures("no_pictures")
def test_progress_goes_to_stderr_unless_quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def at_once(**options: Any) -> Any:
        changed: dict[str, Any] = options | {"delay": 0}
        return tqdm(**changed)

    monkeypatch.setattr("simplicial.display.tqdm", at_once)
    loud = [option for option in SMALL if option != "--quiet"]
    shown = succeed("run", *loud, "--out", tmp_path / "loud")
    for bar in ("minima: training", "edges: training", "triangles: training", "edges: maxima"):
        assert bar in shown.stderr
        assert bar not in shown.stdout
    hidden = succeed("run", *SMALL, "--out", tmp_path / "quiet")
    assert hidden.stderr == ""
    assert hidden.stdout.replace("quiet", "loud") == shown.stdout


@pytest.mark.usefixtures("no_pictures")
def test_an_empty_folder_and_a_link_to_one_may_be_filled(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    succeed("run", *SMALL, "--out", tmp_path / "empty")
    assert set(content(tmp_path / "empty")) == FILES
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    succeed("run", *SMALL, "--out", tmp_path / "link")
    assert set(content(tmp_path / "target")) == FILES
    assert (tmp_path / "link").is_symlink()


# Analytic functions


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        (("himmelblau",), [4, 1]),
        (("double-well", "--dim", 2), [4, 1]),
        (("simplex-wells", "--curved", 1), None),
        (("simplex-wells", "--dim", 3, "--curved", 1, "--max-dim", 1), None),
    ],
)
def test_analytic_prints_the_bars_beside_the_exact_ones(
    arguments: tuple[object, ...], counts: list[int] | None
):
    result = succeed("analytic", *arguments, *QUICK)
    name = str(arguments[0])
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    dim, curved = options.get("--dim"), options.get("--curved", 0)
    landscape = by_name(name, dim, curved)  # pyright: ignore
    assert landscape.exact_bars is not None
    lines = result.stdout.splitlines()
    wells = len(landscape.minima)
    assert lines[0].startswith(f"{landscape.name} in {landscape.dim} variables: {wells} minima")
    table = lines[
        lines.index("index   bars  exact  error (bottleneck distance)  share of range") + 1 :
    ]
    rows = [row.split() for row in table[: table.index("")]]
    max_dim = min(int(str(options.get("--max-dim", landscape.dim))), wells - 1)
    assert [int(row[0]) for row in rows] == list(range(max_dim))
    assert [int(row[2]) for row in rows] == [len(b) for b in landscape.exact_bars[:max_dim]]
    assert counts is None or [int(row[2]) for row in rows] == counts
    assert int(rows[0][1]) == wells
    said = result.stderr.splitlines()  # QUICK has few steps, which leave one triangle higher
    assert all("worse after training than where it began" in line for line in said)


def test_an_analytic_complex_has_dimension_3_at_most_unless_asked(monkeypatch: pytest.MonkeyPatch):
    def built(_minima: Minima, max_dim: int, **_options: object) -> NoReturn:
        raise OptionError(f"asked for dimension {max_dim}")

    monkeypatch.setattr("nets.commands.work.analytic_run.build_complex", built)
    for dim, options, max_dim in ((5, (), 3), (2, (), 2), (1, (), 1), (4, ("--max-dim", 4), 4)):
        result = invoke("analytic", "double-well", "--dim", dim, *options)
        assert f"asked for dimension {max_dim}" in result.stderr


@pytest.mark.usefixtures("no_pictures")
def test_analytic_writes_a_folder_only_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    succeed("analytic", "double-well", *QUICK)
    assert not list(tmp_path.iterdir())
    succeed("analytic", "double-well", *QUICK, "--out", tmp_path / "out", "--learning-rate", 0.01)
    record = record_of(tmp_path / "out")
    assert record["command"] == "analytic"
    assert record["settings"]["name"] == "double-well"
    assert record["recipe"]["learning_rate"] == 0.01
    landscape = by_name("double-well")
    built = LossComplex.load(tmp_path / "out" / "complex.npz", landscape)
    written = Barcode.load(tmp_path / "out" / "barcodes.json")
    np.testing.assert_array_equal(built.barcode()[1], written[1])


# Help


def options_of(command: click.Command) -> list[str]:
    return [o for p in command.params if isinstance(p, click.Option) for o in p.opts]


def test_help_names_every_option_and_the_version_is_the_packages():
    assert isinstance(loss_barcodes, click.Group)
    for name, command in loss_barcodes.commands.items():
        shown = succeed(name, "-h").stdout
        assert len(options_of(command)) > (10 if name in ("run", "analytic") else 0)
        assert all(option in shown for option in options_of(command))
    assert "0.1.0" in succeed("--version").stdout


def test_softmax_regression_is_convex_and_has_no_bars_of_index_1(tmp_path: Path) -> None:
    """Its loss is convex: no edge lies above its ends by more than the lattice can miss."""
    done = succeed(
        "run", "--hidden", "none", "--subset", "200", "--minima", "3", "--epochs", "3",
        "--resolution", "4", "--quiet", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "3 minima of mlp on 200 images" in done.stdout
    assert Barcode.load(tmp_path / "run" / "barcodes.json").w_inf(1) == 0.0
