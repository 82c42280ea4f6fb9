"""Paths below the packages that the documentation names, and that users import, lead somewhere."""

import importlib
import re

import pytest

from tests.structure.imports import ROOT

NAMES = {
    "nets.data": "load",
    "nets.execution": "PRECISIONS Precision",
    "nets.models": "LeNet MLP NAMES ResNet build",
    "nets.recipes": "DIGITS_MLP LENET RECIPES RESNET",
    "nets.symmetry": "Axis PermutationGroup permutation_groups permuted align",
    "reduction.plots": "COLOURS",
    "simplicial.landscapes": "double_well himmelblau",
    "simplicial.loss": "Loss StochasticLoss SupervisedLoss ScoredLoss DifferentiatedLoss "
    "TwiceDifferentiatedLoss SizedLoss ParametrizedLoss PenalisedLoss SymmetricLoss Motions "
    "PeriodicLoss WalledLoss "
    "Evaluation evaluate values_and_gradients gradient",
    "simplicial.newton": "follow",
    "simplicial.vertex_checks": "VertexChecks",
    "simplicial.recipe": "EXACT Recipe constant garipov tenths",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_of_users_scripts_are_there(module: str) -> None:
    missing = [n for n in NAMES[module].split() if not hasattr(importlib.import_module(module), n)]
    assert missing == []


def test_the_references_paths_are_among_them() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    paths = set(re.findall(r":: (\w+\.\w+)\.(\w+)$", page, re.MULTILINE))
    assert len(paths) > 10
    assert {(module, name) for module, names in NAMES.items() for name in names.split()} >= paths
