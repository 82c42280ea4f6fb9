"""`status`, `report` and `run --dry-run`, compared with the run itself."""

import base64
import json
import os
import re
import shutil
from io import BytesIO
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from matplotlib.image import imread
from torch import Tensor

from nets import MLP, NetworkLoss, load_digits, train_minima
from reduction import Barcode, FilteredComplex
from simplicial import Algorithm1, Minima, Recipe, build_complex
from simplicial.reports.html import write_page
from simplicial.reports.status import RunStatus
from simplicial.run_folder.folder import RunFolder
from tests.nets.cli_runner import SMALL, invoke, succeed

RUN = ["run", "--subset", "100", "--minima", "4", "--epochs", "2", "--hidden", "4", "--quiet"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "out"
    succeed(*RUN, "--out", folder)
    return folder


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """The same run without its result, two of its edges and one of its triangles."""
    folder = tmp_path / "out"
    shutil.copytree(whole / "records", folder / "records")
    for name in ("simplices-1/000001", "simplices-1/000004", "simplices-2/000000"):
        (folder / "records" / f"{name}.json").unlink()
    return folder


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in files if p.name != "lock"}


def test_a_finished_run_has_the_barcode_of_its_result(whole: Path) -> None:
    before = everything(whole)
    said = succeed("status", whole).stdout
    assert said.startswith(f"{whole}: finished\n")
    assert everything(whole) == before
    status, barcode = RunStatus.read(whole), Barcode.load(whole / "barcodes.json")
    filtration = status.filtration()
    assert filtration is not None
    for ours, theirs in zip(filtration.barcode(), barcode, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert barcode.table() in said
    assert status.seconds_left() == 0


def test_json_is_one_document_with_what_the_tables_say(whole: Path, stopped: Path) -> None:
    barcode = Barcode.load(whole / "barcodes.json")
    record = json.loads(succeed("status", whole, "--json").stdout)
    assert (record["state"], record["seconds_left"]) == ("finished", 0)
    assert record["barcode"]["w_inf"] == [barcode.w_inf(r) for r in range(2)]
    assert record["barcode"]["error"] == [barcode.error(r) for r in range(2)]
    assert record["barcode"]["field"] == 2
    assert [[d["done"], d["total"]] for d in record["dimensions"]] == [[4, 4], [6, 6], [4, 4]]
    record = json.loads(succeed("status", stopped, "--json", "--field", 3).stdout)
    assert record["state"] == "stopped"
    assert record["barcode"]["field"] == 3
    assert [[d["done"], d["total"]] for d in record["dimensions"]] == [[4, 4], [4, 6], [0, 4]]
    assert record["barcode"]["w_inf"] == [
        None if np.isinf(value) else value
        for value in map(barcode_of(stopped).w_inf, range(len(record["barcode"]["w_inf"])))
    ]


def barcode_of(folder: Path) -> Barcode:
    filtration = RunStatus.read(folder).filtration()
    assert filtration is not None
    return filtration.barcode(3)


def test_a_stopped_run_has_the_barcode_of_what_is_finished(whole: Path, stopped: Path) -> None:
    with np.load(whole / "complex.npz") as archive:
        values, largest = archive["values"], archive["largest_1"]
    kept: dict[tuple[int, ...], float] = {(v,): x for v, x in enumerate(values)}
    for number, edge in enumerate([(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]):
        if number not in (1, 4):  # each of the triangles has one of these two edges
            kept[edge] = max(largest[number], *values[list(edge)])
    expected = FilteredComplex.from_simplices(kept).barcode()
    status = RunStatus.read(stopped)
    assert status.state == "stopped"
    filtration = status.filtration()
    assert filtration is not None
    assert filtration.counts == (4, 4)
    for ours, theirs in zip(filtration.barcode(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [(d.done, d.total) for d in status.dimensions] == [(4, 4), (4, 6), (0, 4)]


def test_a_run_at_work_is_told_from_a_stopped_one(stopped: Path) -> None:
    with RunFolder(stopped / "records"):
        assert "running; time left: unknown" in succeed("status", stopped).stdout
    assert "stopped; time left: unknown" in succeed("status", stopped).stdout


def test_the_pace_is_that_since_the_run_was_taken_up(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole / "records", folder / "records")
    begun = 1_000_000.0
    (folder / "records" / "begun").write_text(f"{begun * 1e9:.0f}\n", encoding="ascii")
    os.utime(folder / "records" / "begun", (begun, begun))
    moments = {"simplices-0": [-5000, -4000, 10, 20], "simplices-1": [30, 40, 50, 60, 70, 80]}
    for name, times in moments.items():
        for number, moment in enumerate(times):
            path = folder / "records" / name / f"{number:06}.json"
            os.utime(path, (begun + moment, begun + moment))
    shutil.rmtree(folder / "records" / "simplices-2")
    status = RunStatus.read(folder)
    assert [dimension.seconds_each for dimension in status.dimensions] == [10.0, 10.0, None]
    assert status.seconds_left() == 40.0  # four triangles, each as long as an edge
    assert status.time_left() == "about 40 s"


def test_a_run_whose_minima_are_not_trained_has_no_barcode_yet(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole / "records", folder / "records")
    for name in ("simplices-1", "simplices-2", "complex.settings.json"):
        path = folder / "records" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "records" / "simplices-0" / "000002.json").unlink()
    said = succeed("status", folder).stdout
    assert "coefficients" not in said
    assert re.search(r"minima +3 +4", said)
    assert re.search(r"triangles +0 +4", said)
    succeed("report", folder)
    assert "There are none before" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_folder_that_holds_no_run_is_refused(command: str, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        result = invoke(command, folder)
        assert result.exit_code == 1
        assert "a run folder holds its settings" in result.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["run.settings.json", "simplices-1/000000.json"])
def test_a_file_that_was_changed_is_refused(whole: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    path = folder / "records" / name
    path.write_text(path.read_text().replace("0", "1"))
    result = invoke("status", folder)
    assert result.exit_code == 1
    assert "must be as a run wrote it" in result.stderr


def pictures(page: str) -> list[bytes]:
    return [
        base64.b64decode(c) for c in re.findall(r'src="data:image/[a-z+]+;base64,([^"]+)"', page)
    ]


def test_the_page_of_a_finished_run_stands_alone(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert succeed("report", whole, "--out", path).stdout == f"{path}\n"
    page = path.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    found = pictures(page)
    assert len(found) == 5
    assert sum(content.startswith(b"<?xml") for content in found) == 3
    for content in found[3:]:
        assert imread(BytesIO(content)).ndim == 3
    barcode = Barcode.load(whole / "barcodes.json")
    assert all(f"{x:.6g}" in page for bars in barcode for x in bars.ravel())
    assert f"is {barcode.w_inf(0):.4g} in index 0 (with perfectly optimised simplices " in page
    accuracy = json.loads((whole / "run.json").read_text("utf-8"))["minima"]["accuracy"]
    for name, value in (
        ("data", "digits"),
        ("network", "mlp"),
        ("minima", "4"),
        ("accuracy", f"{min(accuracy):.3g} to {max(accuracy):.3g}"),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    again = tmp_path / "again.html"
    succeed("report", whole, "--out", again)
    assert again.read_bytes() == path.read_bytes()


def test_the_page_of_a_stopped_run_says_so(stopped: Path) -> None:
    succeed("report", stopped)
    page = (stopped / "report.html").read_text(encoding="utf-8")
    assert "no process works on it" in page
    assert "Barcodes of what is finished" in page
    assert len(pictures(page)) == 3
    succeed(*RUN, "--out", stopped)  # goes on beside the page
    assert RunStatus.read(stopped).state == "finished"


def test_the_page_of_a_store_takes_nothing_from_beside_it(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "records", tmp_path / "mine")
    shutil.copy(whole / "triangle.png", tmp_path)
    for name in ("barcodes.json", "run.json"):
        (tmp_path / name).write_text("of another run")
    status = RunStatus.read(tmp_path / "mine")
    assert status.state == "finished"
    assert status.result is None
    write_page(status, tmp_path / "page.html")
    assert len(pictures((tmp_path / "page.html").read_text(encoding="utf-8"))) == 3


def test_a_run_that_was_killed_before_its_result_is_not_finished(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole / "records", tmp_path / "records")
    assert RunStatus.read(tmp_path).state == "stopped"
    assert RunStatus.read(tmp_path).seconds_left() == 0.0


def test_a_complex_of_some_of_the_networks_is_read(tmp_path: Path) -> None:
    data = load_digits().subset(40)
    loss = NetworkLoss(MLP(64, (3,), 10), data.train_inputs, data.train_targets)
    recipe = Recipe(epochs=1)
    minima = train_minima(loss, 4, recipe=recipe, store=tmp_path, progress=False)
    status = RunStatus.read(tmp_path)
    assert status.state == "finished"
    assert status.barcode() is None
    some = Minima(minima.points[1:], loss)
    complex_ = build_complex(
        some, 2, optimizer=Algorithm1(recipe=recipe), store=tmp_path, tolerance=None, progress=False
    )
    status = RunStatus.read(tmp_path)
    assert status.state == "finished"
    for read, values in zip(status.values, complex_.values, strict=True):
        np.testing.assert_array_equal(read, values)


def test_a_certified_run_has_its_own_barcode(tmp_path: Path) -> None:
    succeed("run", *SMALL, "--certify", "--out", tmp_path / "out")
    written = Barcode.load(tmp_path / "out" / "barcodes.json")
    assert written.ends(0) is not None
    assert written.table() in succeed("status", tmp_path / "out").stdout
    assert "coefficients Z/3" in succeed("status", tmp_path / "out", "--field", "3").stdout


def test_names_are_text_on_the_page(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)<"
    shutil.copytree(whole, folder)
    write_page(RunStatus.read(folder), tmp_path / "page.html")
    assert "<script" not in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("optimizer", ["algorithm1", "elastic", "minimax"])
def test_a_plan_counts_what_the_run_does(
    optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", *SMALL, "--optimizer", optimizer, "--sampled", "--out", tmp_path / "out"]
    table = [line.split() for line in succeed(*command, "--dry-run").stdout.splitlines()]
    assert not (tmp_path / "out").exists()
    planned = {row[0]: [int(x) for x in row[1:5]] for row in table if row and row[0] in NAMES}
    assert planned["minima"][0] == 3
    assert planned["edges"][0] == 3
    assert planned["triangles"][0] == 1
    steps = count_points(monkeypatch, "optimizers.algorithm1", "gradient")
    drawn = count_points(monkeypatch, "optimizers.stochastic_minimax", "values_and_gradients")
    losses = count_points(monkeypatch, "maxima.lattice_maximum", "evaluate")
    users = "optimizers.relaxation", "optimizers.elastic_relaxation", "construction.state"
    gradients = [
        count_points(monkeypatch, module, "values_and_gradients")
        for module in (*users, "construction.finishing")
    ]
    succeed(*command)
    most = sum(row[3] for row in planned.values())
    if optimizer == "elastic":
        assert 0 < sum(gradients[0]) + sum(gradients[2]) + sum(gradients[3]) <= most
    else:
        assert not any(map(sum, gradients))
        assert not most
    assert (sum(drawn) > 0) == (optimizer == "minimax")
    assert sum(steps) + sum(drawn) == sum(row[1] for row in planned.values())
    assert sum(losses) == sum(row[2] for row in planned.values())


NAMES = ("minima", "edges", "triangles")


def count_points(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> list[int]:
    """How many points this function of simplicial is called with from now on."""
    counts: list[int] = []
    function = resolve_name(f"simplicial.{module}.{name}")

    def counted(loss: object, points: Tensor, *rest: object) -> object:
        counts.append(len(points))
        return function(loss, points, *rest)

    monkeypatch.setattr(f"simplicial.{module}.{name}", counted)
    return counts


def test_a_plan_tells_memory_and_writes_nothing(tmp_path: Path) -> None:
    said = succeed("run", "--minima", "24", "--out", tmp_path / "out", "--dry-run").stdout
    assert re.search(r"triangles +2024 ", said)
    assert "memory of a process: 1.4 GB for the program and its data, 0.0672 GB for control" in said
    assert not any(tmp_path.iterdir())


def test_memory_that_does_not_hold_the_program_is_refused(tmp_path: Path) -> None:
    for more in ([], ["--dry-run"]):
        result = invoke("run", *SMALL, "--memory", "0.01", "--out", tmp_path / "out", *more)
        assert result.exit_code == 1
        assert "all control points and a network in training, 1.4 GB, got 0.01" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_plan_needs_the_memory_that_the_run_needs(tmp_path: Path) -> None:
    """That of all images, of which a plan times 256."""
    command = ["run", "--model", "resnet", "--depth", "8", "--image-size", "32"]
    command += ["--memory", "1.8", "--out", str(tmp_path / "out")]
    said = [invoke(*command, *more).stderr for more in ([], ["--dry-run"])]
    assert "the exact gradient of a network, 2.91 GB, got 1.8: raise --memory" in said[0]
    assert said[1].splitlines()[-1] == said[0].splitlines()[-1]  # behind the phases


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        (["--sampled"], "a network in training, 1.96 GB"),
        (["--sampled", "--optimizer", "minimax"], "a network in training, 2.42 GB"),
        (["--sampled", "--optimizer", "elastic"], "the exact gradient of a network, 4.05 GB"),
        (["--sampled", "--certify"], "the exact gradient of a network, 2.91 GB"),
        (["--sampled", "--polish"], "the exact gradient of a network, 2.91 GB"),
    ],
)
def test_only_runs_that_take_exact_gradients_need_memory_for_one(
    tmp_path: Path, more: list[str], needed: str
) -> None:
    """With batch norm it goes through the statistics of all images."""
    command = ["run", "--model", "resnet", "--depth", "8", "--image-size", "32", *more]
    said = invoke(*command, "--memory", "1.8", "--out", tmp_path / "out").stderr
    assert f"all control points and {needed}, got 1.8: raise --memory" in said
