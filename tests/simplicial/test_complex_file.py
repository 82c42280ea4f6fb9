"""Files of complexes that contradict themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reduction import DataError
from simplicial import Barycentric, Edgewise, LossComplex, Minima, build_complex, complex_file
from simplicial.landscapes import simplex_wells
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import complete_counts, control_point_count, lay_out
from simplicial.optimizers.algorithm1 import Algorithm1
from simplicial.optimizers.recipe import Recipe

WELLS = simplex_wells(2)
Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Arrays:
    """A complex with certificates of every dimension, as its file has it."""
    path = tmp_path_factory.mktemp("storage") / "complex.npz"
    built = build_complex(
        Minima(torch.tensor(WELLS.minima), WELLS),
        2,
        optimizer=Algorithm1(recipe=Recipe(epochs=0)),
        simplex_map=Edgewise(4),
        certify=True,
        progress=False,
    )
    built.save(path)
    LossComplex.load(path, WELLS)
    with np.load(path) as archive:
        arrays = dict(archive)
    assert_checked(arrays, path.parent)
    del arrays["sha256"]  # what follows is as if written by hand
    for r in range(3):
        assert arrays[f"certificate_accepted_{r}"].any()
        assert arrays[f"certificate_eigenvalues_{r}"].shape[1] == 2
    return arrays


def assert_checked(arrays: Arrays, folder: Path) -> None:
    """A number that was changed, and an array that is missing, are told."""
    samples = arrays["loss_1"].copy()
    samples[0, 0] -= 1e-9
    for altered in (
        arrays | {"loss_1": samples},
        {name: array for name, array in arrays.items() if name != "loss_1"},
        arrays | {"more": samples},
    ):
        with pytest.raises(DataError, match=r"its checksum is another one|other arrays than it"):
            load(altered, folder)


def load(arrays: Arrays, folder: Path) -> LossComplex:
    np.savez(folder / "complex.npz", **arrays)
    return LossComplex.load(folder / "complex.npz", WELLS)


@pytest.mark.parametrize(
    ("name", "alter"),
    [
        ("certificate_eigenvalues_0", lambda part: part[:, 0]),
        ("certificate_eigenvalues_0", lambda part: part[:, :1]),
        ("certificate_eigenvalues_0", lambda part: part[:, ::-1]),
        ("certificate_eigenvalues_1", lambda part: -part),
        ("certificate_eigenvalues_2", lambda part: part * np.inf),
        ("certificate_morse_0", lambda part: part + 7),
        ("certificate_morse_0", lambda part: part - 1),
        ("certificate_morse_1", lambda part: part - 1),
        ("certificate_morse_1", lambda part: part + 1),
        ("certificate_gradient_norms_0", lambda part: part - 1),
        ("certificate_simplices_0", lambda part: part[[0, 2, 1]]),
        ("certificate_morse_2", None),
        ("evaluations", lambda part: part * 0 - 1),
        ("evaluations", lambda part: part + 0.5),
        ("place_1", lambda part: -part),
        ("place_1", lambda part: part + np.array([1e-6, 0])),
        ("place_2", lambda part: part + np.array([1, -1, 0])),
        ("place_2", lambda part: part * 0),
        ("max_dim", lambda part: part - 2),
        ("max_dim", lambda part: part + 1),
        ("max_dim", lambda part: part + 10**9),
        ("max_dim", lambda part: part + 0.5),
        ("resolution", lambda part: part - part),
        ("segments", lambda part: part + 0.5),
        ("segments", lambda part: -part),
    ],
)
def test_what_contradicts_itself_is_refused(
    saved: Arrays, tmp_path: Path, name: str, alter: Callable[[Any], Any] | None
) -> None:
    arrays = saved | {name: alter(saved[name])} if alter else {**saved}
    if not alter:
        del arrays[name]
    with pytest.raises(DataError, match=r"is no loss complex of version 5, .*; save it anew"):
        load(arrays, tmp_path)


def test_every_vertex_has_a_certificate(saved: Arrays, tmp_path: Path) -> None:
    arrays = {k: v[1:] if k.startswith("certificate_") and k[-1] == "0" else v
              for k, v in saved.items()}  # fmt: skip
    with pytest.raises(DataError, match="it has certificates of 2 of 3 vertices"):
        load(arrays, tmp_path)


@pytest.mark.parametrize("r", [0, 1, 2])
def test_certificates_of_some_dimensions_are_refused(saved: Arrays, tmp_path: Path, r: int) -> None:
    def of(name: str) -> bool:
        return name.startswith("certificate_") and name[-1] == str(r)

    with pytest.raises(DataError, match=r"not those of dimensions 0\.\.2"):
        load({k: v for k, v in saved.items() if not of(k)}, tmp_path)
    more = {f"{k[:-1]}3": v for k, v in saved.items() if of(k)}
    with pytest.raises(DataError, match=r"not those of dimensions 0\.\.2"):
        load(saved | more, tmp_path)


@pytest.mark.parametrize(
    ("name", "by"),
    [("segments", 1000), ("segments", -4), ("segments", 2**40), ("resolution", 9999)],
)
def test_numbers_that_the_file_does_not_bear_out_lay_nothing_out(
    saved: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, by: int
) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("laid out")

    monkeypatch.setattr(complex_file, "lay_out", never)
    with pytest.raises(DataError) as refusal:
        load(saved | {name: saved[name] + by}, tmp_path)
    assert "laid out" not in str(refusal.value)


@pytest.mark.parametrize("simplex_map", [Barycentric(), *map(Edgewise, range(1, 7))])
def test_control_points_are_counted_without_a_layout(simplex_map: SimplexMap) -> None:
    for n in range(2, 7):
        for max_dim in range(1, min(n, 5)):
            rows = lay_out(n, max_dim, simplex_map).starts[-1]
            assert control_point_count(simplex_map, complete_counts(n, max_dim)) == rows
