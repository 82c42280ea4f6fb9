"""The command line: what it writes, that it repeats itself, and every input that it refuses."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import matplotlib.image
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from tqdm import tqdm

from nets import LeNet, NetworkLoss, load_digits, load_fashion_mnist
from nets.cli import main
from nets.models import MLP
from reduction import Barcode
from simplicial import LossComplex
from simplicial.landscapes import by_name
from tests.nets.test_data import Tiny, plain, write

PICTURES = {"barcode.png", "diagram.png", "edges.png", "tree.png", "triangle.png"}
FILES = {"barcodes.json", "complex.npz", "run.json"}
DIGITS = ["--subset", "200", "--minima", "4", "--resolution", "4", "--epochs", "2"]
SMALL = [
    "--subset",
    "40",
    "--minima",
    "3",
    "--resolution",
    "3",
    "--epochs",
    "1",
    "--hidden",
    "3",
    "--quiet",
]
QUICK = ["--epochs", "3", "--samples", "2", "--segments", "3", "--resolution", "4", "--quiet"]


def invoke(*arguments: object) -> Result:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*arguments: object) -> Result:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


def record_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text(encoding="utf-8"))


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_same_complex(one: Path, other: Path) -> None:
    assert (one / "barcodes.json").read_bytes() == (other / "barcodes.json").read_bytes()
    with np.load(one / "complex.npz") as a, np.load(other / "complex.npz") as b:
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than these runs, and are looked at in one test."""
    monkeypatch.setattr("simplicial.report._figures", lambda *_: {})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """Tetrahedra on four networks of the digits."""
    folder = tmp_path_factory.mktemp("runs") / "deep" / "digits"
    return folder, succeed("run", *DIGITS, "--max-dim", 3, "--out", folder)


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Forty images of 28x28 in FashionMNIST's files."""
    rng = np.random.default_rng(4)
    images = [rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (40, 5)]
    labels = [rng.integers(0, 10, n, dtype=np.uint8) for n in (40, 5)]
    write(tmp_path / "fashion", Tiny(images[0], labels[0], images[1], labels[1]), plain)
    return tmp_path / "fashion"


# What a run writes


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
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
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
def test_options_of_the_recipe_change_the_recipe(tmp_path: Path):
    given = {"batch_size": 7, "learning_rate": 0.3, "momentum": 0.5, "weight_decay": 0.25}
    options = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", v)]
    succeed("run", *SMALL, *options, "--out", tmp_path / "out")
    recipe = record_of(tmp_path / "out")["recipe"]
    assert recipe == given | {"epochs": 1, "schedule": "garipov"}


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

    monkeypatch.setattr("nets.train.tqdm", at_once)
    monkeypatch.setattr("simplicial.build.tqdm", at_once)
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
    lines = result.stdout.splitlines()
    wells = len(landscape.minima)
    assert lines[0].startswith(f"{landscape.name} in {landscape.dim} variables: {wells} minima")
    table = lines[lines.index("index   bars  exact  bottleneck distance") + 1 :]
    rows = [row.split() for row in table[: table.index("")]]
    max_dim = min(int(str(options.get("--max-dim", landscape.dim))), wells - 1)
    assert [int(row[0]) for row in rows] == list(range(max_dim))
    assert [int(row[2]) for row in rows] == [len(b) for b in landscape.barcode[:max_dim]]
    assert counts is None or [int(row[2]) for row in rows] == counts
    assert int(rows[0][1]) == wells
    assert result.stderr == ""


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
    assert isinstance(main, click.Group)
    for name, command in main.commands.items():
        shown = succeed(name, "-h").stdout
        assert len(options_of(command)) > 10
        assert all(option in shown for option in options_of(command))
    assert "0.1.0" in succeed("--version").stdout


# Refusals


def forbidden(*_arguments: object, **_options: object) -> NoReturn:
    raise AssertionError("nothing may be trained or built before all settings are checked")


def assert_refused(result: Result, sentence: str) -> None:
    """One sentence on stderr, no traceback, nothing on stdout."""
    assert result.exit_code != 0
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert result.stderr.endswith(f"{errors[0]}\n")
    assert re.search(sentence, errors[0]), errors[0]


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train_minima", "build_complex"):
        monkeypatch.setattr(f"nets.cli.{name}", forbidden)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--data cifar", r"'--data': 'cifar' is not one of 'digits', 'fashion-mnist'"),
        ("--model resnet", r"'--model': 'resnet' is not one of 'mlp', 'lenet'"),
        ("--model lenet", r"images of at least 12 x 12 .* 8 x 8.*use mlp"),
        ("--model lenet --hidden 3", r"hidden widths \(3,\) given for lenet"),
        ("--hidden 0", "hidden is 0 in MLP; give"),
        ("--hidden 3,x", "'3,x' are no widths of hidden layers"),
        ("--data fashion-mnist --data-dir NOWHERE", "no FashionMNIST in NOWHERE .*--data-dir"),
        ("--data-dir NOWHERE", "folder NOWHERE given for digits.*leave out --data-dir"),
        ("--download", "download given for digits.*leave out"),
        ("--subset 0", "subset of 0 .* from 1 to 1437"),
        ("--subset -3", "subset of -3 .* from 1 to 1437"),
        ("--subset 1438", "subset of 1438 .* from 1 to 1437"),
        ("--subset ten", r"'--subset': 'ten' is not a valid integer"),
        ("--field 4", "field is 4; give 2, 3 or another prime"),
        ("--field 1", "field is 1;"),
        ("--field -2", "field is -2;"),
        ("--max-dim 6", "max_dim=6 with 6 minima: give more minima, or a max_dim from 1 on"),
        ("--max-dim 0", "max_dim=0 with 6 minima"),
        ("--minima 0", "max_dim=2 with 0 minima"),
        ("--minima -1", "max_dim=2 with -1 minima"),
        ("--resolution 2", "resolution=2 with max_dim=2: raise resolution"),
        ("--resolution -1", "resolution=-1"),
        ("--seed -1", "seed=-1: give a non-negative"),
        ("--learning-rate 0", r"learning_rate must be above 0, got 0\.0: change"),
        ("--learning-rate -1", r"learning_rate must be above 0, got -1"),
        ("--learning-rate nan", "learning_rate must be above 0, got nan"),
        ("--learning-rate inf", "learning_rate must be above 0.*, got inf"),
        ("--epochs -1", "epochs must be 0 or more, got -1: change epochs"),
        ("--batch-size 0", "batch_size must be 1 or more, got 0"),
        ("--momentum 1", r"momentum must be at least 0 and below 1, got 1\.0"),
        ("--momentum nan", "momentum must be .* got nan"),
        ("--weight-decay -1", r"weight_decay must be 0 or more, got -1\.0"),
        ("--weight-decay nan", "weight_decay must be 0 or more, got nan"),
        ("--segments 0", "segments=0: give 1 or more"),
        ("--memory 0", "--memory: 0 gigabytes hold no network: give a positive"),
        ("--memory -1", "--memory: -1 gigabytes"),
        ("--memory nan", "--memory: nan gigabytes"),
        ("--memory inf", "--memory: inf gigabytes"),
        ("--device quantum", r"--device: 'quantum' cannot be used .*: take cpu"),
        ("--device meta", r"--device: 'meta' cannot be used .*: take cpu"),
        ("--sides open", "'--sides': 'open' is not one of 'fixed', 'trainable'"),
    ],
)
def test_run_refuses_bad_input_before_any_training(options: str, sentence: str, tmp_path: Path):
    assert_refused(invoke("run", *options.split(), "--out", tmp_path / "out"), sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untrained")
def test_run_refuses_a_device_that_the_machine_has_not(tmp_path: Path):
    missing = f"cuda:{torch.cuda.device_count()}"
    result = invoke("run", "--device", missing, "--out", tmp_path / "out")
    assert_refused(result, f"--device: '{missing}' cannot be used .*: take cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("untrained")
def test_run_refuses_a_data_folder_without_files(tmp_path: Path):
    (tmp_path / "here").mkdir()
    options = ("--data", "fashion-mnist", "--data-dir", tmp_path / "here")
    result = invoke("run", *options, "--out", tmp_path / "out")
    assert_refused(result, f"no FashionMNIST in {tmp_path}/here .*apt-get install")
    assert [p.name for p in tmp_path.iterdir()] == ["here"]


def test_run_needs_an_output_folder():
    assert_refused(invoke("run"), "Missing option '--out'")


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("bowl", "'bowl' is not one of 'double-well'"),
        ("himmelblau --dim 3", "its dimension is 2, got 3: leave it out"),
        ("double-well --dim 0", "got 0|0 variables|dim=0|dimension 0"),
        ("double-well --curved 1", "curved = 1 for double-well: leave it at 0"),
        ("simplex-wells --dim 2 --curved 2", r"R\^2 .* got 2"),
        ("simplex-wells --curved -1", "got -1"),
        ("double-well --starts 0", "starts=0"),
        ("double-well --seed -1", "seed=-1"),
        ("double-well --field 4", "field is 4; give"),
        ("double-well --epochs -1", "epochs must be 0 or more, got -1"),
        ("double-well --learning-rate 0", r"learning_rate must be above 0, got 0\.0"),
        ("double-well --learning-rate nan", "learning_rate must be above 0, got nan"),
        ("double-well --samples 0", "samples must be 1 or more, got 0"),
        ("double-well --segments 0", "segments=0"),
        ("double-well --sides open", "'--sides': 'open' is not one of"),
    ],
)
def test_analytic_refuses_bad_input_before_any_training(
    options: str, sentence: str, tmp_path: Path
):
    result = invoke("analytic", *options.split(), "--out", tmp_path / "out")
    assert_refused(result, sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--max-dim 0", "max_dim=0 with 4 minima"),
        ("--max-dim 4", "max_dim=4 with 4 minima: give more minima, or a max_dim from 1 on"),
        ("--resolution 2", "resolution=2 with max_dim=2: raise resolution"),
    ],
)
def test_analytic_refuses_what_does_not_fit_the_minima_found(
    options: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("simplicial.optimise.descend", forbidden)
    result = invoke("analytic", "double-well", *options.split(), "--out", tmp_path / "out")
    assert_refused(result, sentence)
    assert not list(tmp_path.iterdir())


def hold_run(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / "run.json").write_text("{}")
    return folder / "out"


def hold_file(folder: Path) -> Path:
    (folder / "out").mkdir()
    (folder / "out" / ".hidden").write_text("mine")
    return folder / "out"


def be_file(folder: Path) -> Path:
    (folder / "out").write_text("mine")
    return folder / "out"


def be_under_file(folder: Path) -> Path:
    (folder / "file").write_text("mine")
    return folder / "file" / "deep" / "out"


def be_here(folder: Path) -> Path:
    (folder / "empty").mkdir()
    os.chdir(folder / "empty")
    return Path()


TAKEN: list[tuple[Callable[[Path], Path], str]] = [
    (hold_run, "must be new or empty, .*/out holds another run: choose another --out"),
    (hold_file, "must be new or empty, .*/out holds other files"),
    (be_file, "must be a folder, .*/out is a file: choose another --out"),
    (be_under_file, "needs a parent that can be written, .*/file cannot: choose another --out"),
    (be_here, "replaced as a whole, .*/empty is the working folder .* choose another --out"),
]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("command", [("run",), ("analytic", "himmelblau")])
@pytest.mark.parametrize(("take", "sentence"), TAKEN)
def test_an_output_folder_that_is_taken_is_refused_and_left_alone(
    take: Callable[[Path], Path],
    sentence: str,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)  # and back, whatever `take` does
    out = take(tmp_path)
    before = content(tmp_path)
    assert_refused(invoke(*command, "--out", out), sentence)
    assert content(tmp_path) == before


@pytest.mark.usefixtures("untrained")
def test_a_parent_that_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.access(locked, os.W_OK):  # root may write anywhere
        allowed = os.access
        monkeypatch.setattr(os, "access", lambda p, mode: p != locked and allowed(p, mode))
    result = invoke("run", "--out", locked / "a" / "out")
    assert_refused(result, "parent that can be written, .*/locked cannot: choose another --out")
    assert not list(locked.iterdir())


@pytest.mark.usefixtures("untrained")
def test_a_mount_point_is_refused_since_it_cannot_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path)
    assert_refused(invoke("run", "--out", tmp_path), "mount point: choose another --out")


def test_training_that_diverges_says_so_and_writes_nothing(tmp_path: Path):
    result = invoke("run", *SMALL, "--learning-rate", 1e30, "--out", tmp_path / "out")
    assert_refused(result, "must be finite .*: train with a smaller learning rate")
    assert not list(tmp_path.iterdir())


def test_a_failure_while_writing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simplicial.report._figures", fail)
    result = invoke("run", *SMALL, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert result.stderr.splitlines()[-1] == "Error: a file: No space left on device"
    assert not list(tmp_path.iterdir())


def test_softmax_regression_is_convex_and_has_no_bars_of_index_1(tmp_path: Path) -> None:
    """Its loss is convex: no edge lies above its ends by more than the lattice can miss."""
    done = succeed(
        "run", "--hidden", "none", "--subset", "200", "--minima", "3", "--epochs", "3",
        "--resolution", "4", "--quiet", "--out", tmp_path / "run",
    )  # fmt: skip
    assert "3 minima of mlp on 200 images" in done.stdout
    assert Barcode.load(tmp_path / "run" / "barcodes.json").w_inf(1) == 0.0
