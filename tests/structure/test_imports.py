"""Imports point one way: no circle of files, none of folders."""

from pathlib import Path

import networkx as nx
import pytest

from tests.structure.imports import (
    PACKAGES,
    circles,
    file_graph,
    folder_graph,
    layers,
    modules,
)

FILES = modules()
GRAPH = file_graph(FILES)


@pytest.mark.parametrize("kind", ["files", "folders"])
def test_there_is_no_circle(kind: str) -> None:
    graph = GRAPH if kind == "files" else folder_graph(GRAPH, FILES)
    assert len(graph) > 40
    assert graph.number_of_edges() > len(graph)
    assert circles(graph) == []


def written(root: Path, contents: dict[str, str]) -> dict[str, Path]:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return modules(root, ["house"])


def test_each_kind_of_import_is_an_edge(tmp_path: Path) -> None:
    """In functions, under TYPE_CHECKING, relative, of a module from its package."""
    contents = {
        "house/__init__.py": "from house.attic.box import Box",
        "house/attic/__init__.py": "",
        "house/attic/box.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
        "    from house.cellar import bottle as b, Wine",
        "house/cellar/__init__.py": "from . import bottle\nfrom .bottle import Wine",
        "house/cellar/bottle.py": "def f():\n    import house.door\n    import numpy",
        "house/door.py": "from .attic.box import Box",
    }
    assert set(file_graph(written(tmp_path, contents)).edges) == {
        ("house", "house.attic.box"),
        ("house.attic.box", "house.cellar.bottle"),
        ("house.attic.box", "house.cellar"),
        ("house.cellar", "house.cellar.bottle"),
        ("house.cellar.bottle", "house.door"),
        ("house.door", "house.attic.box"),
    }


def test_circles_of_folders_without_one_of_files_are_found(tmp_path: Path) -> None:
    contents = {
        "house/attic/box.py": "import house.cellar.bottle",
        "house/attic/roof.py": "",
        "house/cellar/bottle.py": "",
        "house/cellar/stairs.py": "import house.attic.roof",
        "house/door.py": "import house.attic.box",
    }
    files = written(tmp_path, contents)
    graph = file_graph(files)
    assert circles(graph) == []
    assert [set(c) for c in circles(folder_graph(graph, files))] == [
        {"house.attic", "house.cellar"}
    ]


def test_layers_begin_with_what_imports_nothing() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph([("c", "b"), ("b", "a"), ("c", "a"), ("d", "a")])
    assert layers(graph) == [["a"], ["b", "d"], ["c"]]


def test_every_package_is_read() -> None:
    assert {name.partition(".")[0] for name in FILES} == set(PACKAGES)
