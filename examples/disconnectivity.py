"""The disconnectivity graph of a function whose minima are known: docs/landscapes/README.md.

python examples/disconnectivity.py [NAME] [--levels 20] [--out picture.png]
"""

import argparse

import numpy as np
import torch
from matplotlib import pyplot as plt

from simplicial import (
    Minima,
    NudgedElastic,
    build_complex,
    delaunay_graph,
    plot_barrier_tree,
    transition_states,
)
from simplicial.landscapes import NAMES, by_name


def main() -> None:
    """Join minima along their Delaunay triangulation, and draw their tree in both forms."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("name", nargs="?", choices=NAMES, default="himmelblau")
    parser.add_argument("--levels", type=int, default=20, help="of the graph on the right")
    parser.add_argument("--out", default="disconnectivity.png", help="where to save the picture")
    arguments = parser.parse_args()
    landscape = by_name(arguments.name)
    minima = Minima(torch.tensor(landscape.minima), landscape)
    complex = build_complex(
        minima,
        max_dim=1,
        graph=delaunay_graph(minima),
        optimizer=NudgedElastic(),
        certify=True,
        progress=False,
    )
    states = transition_states(complex)
    print(
        f"{len(minima)} minima, {len(complex.simplices[1].vertices)} edges, {len(states)} "
        f"transition states, {states.certified.sum()} of them certified"
    )
    lowest = landscape.minima[int(np.argmin(minima.values))]
    distances = np.linalg.norm(landscape.minima - lowest, axis=1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
    plot_barrier_tree(complex.filtration, left)
    plot_barrier_tree(
        complex.filtration,
        right,
        levels=arguments.levels,
        order_parameter=distances,
        label="distance from the lowest minimum",
    )
    figure.savefig(arguments.out)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
