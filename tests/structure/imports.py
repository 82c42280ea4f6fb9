"""Import graph of the three packages: `python -m tests.structure.imports` prints its circles.

Read off the syntax, nothing is imported. Every import statement counts, in functions and under
`TYPE_CHECKING` too. `from a.b import c` imports the module a.b.c where there is one, else a.b. So
an `__init__.py` is a node of its own: a name taken from its package leads there, a module of its
folder does not. What an `__init__.py` loads when it is asked for, its `__init__.pyi` imports.

The nodes of a second graph are folders, of which one imports another if any of its files does, and
the files right in a package, since a folder may lie between two of them.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import networkx as nx

ROOT = Path(__file__).parents[2]
PACKAGES = ("reduction", "simplicial", "nets")


def modules(root: Path = ROOT, packages: Iterable[str] = PACKAGES) -> dict[str, Path]:
    """Dotted names of the modules below packages, and their files."""
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    return {name_of(path.relative_to(root)): path for path in paths}


def name_of(path: Path) -> str:
    """Dotted name of a file's module; a package has its folder's."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names that a module imports, as written; after `from a import b` that is a.b."""
    folder = name if path.name == "__init__.py" else name.rpartition(".")[0]
    stub = path.with_suffix(".pyi")
    texts = [each.read_text("utf-8") for each in (path, stub) if each.exists()]
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = folder.split(".")[: len(folder.split(".")) + 1 - node.level]
            start = [*parents, node.module or ""] if node.level else [node.module or ""]
            yield from (".".join([*filter(None, start), alias.name]) for alias in node.names)


def file_graph(files: dict[str, Path]) -> "nx.DiGraph[str]":
    """Modules, with an edge from each to those that it imports."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(files)
    for name, path in files.items():
        for imported in imports(name, path):
            target = imported if imported in files else imported.rpartition(".")[0]
            if target in files and target != name:
                graph.add_edge(name, target)
    return graph


def folder_graph(graph: "nx.DiGraph[str]", files: dict[str, Path]) -> "nx.DiGraph[str]":
    """Folders and files right in a package, with an edge where a file of one imports another."""

    def folder(name: str) -> str:
        package = files[name].name == "__init__.py"
        parent = name if package else name.rpartition(".")[0]
        return name if "." not in parent else parent

    folders: nx.DiGraph[str] = nx.DiGraph()
    folders.add_nodes_from(map(folder, graph))
    edges = ((folder(a), folder(b)) for a, b in graph.edges)
    folders.add_edges_from((a, b) for a, b in edges if a != b)
    return folders


def circles(graph: "nx.DiGraph[str]") -> list[list[str]]:
    """One shortest circle of each strongly connected component that has any."""
    found = []
    for component in nx.strongly_connected_components(graph):
        part = graph.subgraph(component)
        ways = [nx.shortest_path(part, end, start) for start, end in part.edges]
        found += [min(ways, key=len)] if ways else []
    return sorted(found)


def layers(graph: "nx.DiGraph[str]") -> list[list[str]]:
    """Nodes of a graph without circles, as early as can be, those first that import nothing."""
    return [sorted(layer) for layer in nx.topological_generations(graph.reverse())]


def main() -> None:
    """Print files, edges and circles of files and of folders, then the layers of folders."""
    files = modules()
    graph = file_graph(files)
    folders = folder_graph(graph, files)
    for kind, each in (("files", graph), ("folders", folders)):
        print(f"{len(each)} {kind}, {each.number_of_edges()} edges, {len(circles(each))} circles")
        for circle in circles(each):
            print("    circle: " + " -> ".join([*circle, circle[0]]))
    if not circles(folders):
        for number, layer in enumerate(layers(folders)):
            print(f"{number:4}  " + "  ".join(layer))


if __name__ == "__main__":
    main()
