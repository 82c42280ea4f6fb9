"""Names of landscapes, and what they and their makers refuse."""

import pytest
import torch

from reduction.errors import DimensionError, OptionError, ShapeError
from simplicial.landscapes import NAMES, by_name, descriptions, himmelblau, simplex_wells


@pytest.mark.parametrize(
    "points", [torch.zeros(2), torch.zeros(4, 3), torch.zeros(1, 4, 2), torch.zeros(4, 2).long()]
)
def test_points_of_the_wrong_shape_are_refused(points: torch.Tensor) -> None:
    with pytest.raises(
        ShapeError, match=r"himmelblau takes floating points \(batch, 2\), got shape"
    ):
        himmelblau()(points)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_gives_its_landscape(name: str) -> None:
    assert by_name(name).name == name
    assert by_name(name).dim == (9 if name == "xor-network" else 2)
    if name != "xor-network":
        assert by_name(name, dim=2).dim == 2


def test_every_landscape_has_a_line_that_describes_it() -> None:
    lines = descriptions()
    assert tuple(lines) == NAMES
    assert all(20 < len(line) < 100 and line.endswith(".") for line in lines.values())
    assert len(set(lines.values())) == len(NAMES)


@pytest.mark.parametrize(
    "name", ["rastrigin", "styblinski-tang", "levy", "ackley", "griewank", "mixture-likelihood"]
)
def test_test_functions_of_optimisers_take_any_dimension(name: str) -> None:
    assert by_name(name, dim=3).dim == 3
    with pytest.raises(DimensionError, match="needs a dimension of at least 1, got 0"):
        by_name(name, dim=0)


def test_names_of_any_dimension_take_one() -> None:
    assert by_name("double-well", dim=5).dim == 5
    assert by_name("simplex-wells", dim=8, curved=5).dim == 8
    assert len(by_name("simplex-wells", dim=8, curved=5).minima) == 4
    assert len(by_name("simplex-wells", curved=5).minima) == 3


@pytest.mark.parametrize(
    ("name", "hint"), [("himelblau", "did you mean himmelblau?"), ("xyzzy", "take one of these")]
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(OptionError) as refused:
        by_name(name)
    assert hint in str(refused.value)
    assert all(known in str(refused.value) for known in NAMES)


@pytest.mark.parametrize(
    ("name", "dim", "curved", "rule"),
    [
        ("himmelblau", 3, 0, "himmelblau is a function of the plane"),
        ("muller-brown", 1, 0, "muller-brown is a function of the plane"),
        ("torsions", 3, 0, "torsions is a function of the plane"),
        ("xor-network", 2, 0, "xor-network has 9 parameters, got dimension 2"),
        ("himmelblau", None, 1, "only simplex-wells has curved directions"),
        ("double-well", 0, 0, "at least 1, got 0"),
        ("double-well", 2, 1, "only simplex-wells has curved directions"),
        ("simplex-wells", 3, 3, "0 to 2 curved directions, got 3"),
        ("simplex-wells", 3, -1, "0 to 2 curved directions, got -1"),
        ("simplex-wells", 0, 0, r"in R\^0"),
    ],
)
def test_dimensions_that_a_function_cannot_have_are_refused(
    name: str, dim: int | None, curved: int, rule: str
) -> None:
    with pytest.raises(DimensionError, match=rule):
        by_name(name, dim, curved)


@pytest.mark.parametrize(("r", "curved"), [(0, 0), (2, -1)])
def test_simplex_wells_need_two_wells_at_least(r: int, curved: int) -> None:
    with pytest.raises(DimensionError, match=f"got r = {r} and curved = {curved}"):
        simplex_wells(r, curved)
