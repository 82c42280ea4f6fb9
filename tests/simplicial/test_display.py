"""Lengths of time and names of dimensions as people read them."""

import pytest

from simplicial.display import dimension_name, duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (59, "59 s"), (60, "1 min"), (5400, "1 h 30 min"), (200_000, "2 d 7 h")],
)
def test_a_duration_has_the_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_dimensions_beyond_tetrahedra_have_numbers() -> None:
    names = ["minima", "edges", "triangles", "tetrahedra", "4-simplices"]
    assert [dimension_name(r) for r in range(5)] == names
