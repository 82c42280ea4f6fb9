"""A complex of a single vertex: one bar of index 0, which never ends."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from nets.commands.group import loss_barcodes
from simplicial import (
    Algorithm1,
    LossComplex,
    Minima,
    NudgedElastic,
    StochasticMinimax,
    build_complex,
    find_minima,
    plot_barrier_tree,
    with_loss,
)
from simplicial.optimizers.base import Optimizer


def convex(x: Tensor) -> Tensor:
    return 3 + (x - 1).square().sum(dim=1)


def checked(built: LossComplex, max_dim: int) -> None:
    barcode = built.barcode()
    assert built.max_dim == max_dim
    assert len(barcode) == max_dim
    np.testing.assert_allclose(barcode[0], [[3.0, np.inf]], rtol=1e-14)
    assert [len(bars) for bars in list(barcode)[1:]] == [0] * (max_dim - 1)
    assert [barcode.w_inf(r) for r in range(max_dim)] == [0.0] * max_dim
    assert [barcode.error(r) for r in range(max_dim)] == [0.0] * max_dim


@pytest.mark.parametrize("optimizer", [None, Algorithm1(), NudgedElastic(), StochasticMinimax()])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_dim": 1},
        {"max_dim": 3, "tolerance": None},
        {"max_dim": 1, "certify": True},
        {"max_gradients": 100},
        {"tolerance_of_bars": 0.1},
    ],
)
def test_a_convex_function_has_one_bar_that_never_ends(
    optimizer: Optimizer | None, options: dict[str, Any], tmp_path: Path
) -> None:
    minima = find_minima(convex, dim=2)
    assert len(minima) == 1
    max_dim = options.get("max_dim", 2)
    if isinstance(optimizer, StochasticMinimax) and options.keys() & {
        "max_gradients",
        "tolerance_of_bars",
    }:
        pytest.skip("it moves faces, so has no limits")
    built = build_complex(minima, optimizer=optimizer, progress=False, **options)
    checked(built, max_dim)
    built.save(tmp_path / "complex.npz")
    checked(LossComplex.load(tmp_path / "complex.npz", convex), max_dim)
    checked(with_loss(built, convex, progress=False), max_dim)


def test_its_vertex_is_certified_and_drawn() -> None:
    built = build_complex(find_minima(convex, dim=2), certify=True, progress=False)
    ends = built.barcode().ends(0)
    assert ends is not None
    assert ends.births.certified.tolist() == [True]
    assert ends.births.morse.tolist() == [0]
    plot_barrier_tree(built.filtration)


def test_it_goes_into_a_run_folder_and_out_of_it(tmp_path: Path) -> None:
    minima = Minima(torch.tensor([[1.0, 1.0]]).double(), convex)
    for _ in range(2):
        checked(build_complex(minima, store=tmp_path / "run", progress=False), 2)


def test_the_command_answers_where_a_search_finds_one_minimum(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    result = CliRunner().invoke(
        loss_barcodes, ["analytic", "himmelblau", "--starts", "1", "--quiet", "--out", out]
    )
    assert result.exit_code == 0, result.output
    assert "1 minima from 1 starts" in result.output
    assert (tmp_path / "out" / "run.json").exists()
    assert not list((tmp_path / "out").glob("edges*"))
