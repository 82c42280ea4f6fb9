"""A cycle of two minima and two saddles, which only a complex with the saddles can see.

f(x, y) = (x² + z² - 1)² + 0.4 z² with z = y - (1 - x²)/4 has two minima (±1, 0) of value 0, two
saddles (0, 1/4 ± √0.8) of value 0.36 and one maximum (0, 1/4) of value 1. Its sublevel sets are two
discs, from 0.36 on a ring, and from 1 on a disc: bars [0, ∞) and [0, 0.36) in index 0 and [0.36, 1)
in index 1. On two minima there is one edge, and no triangle; with the saddles as vertices edges
go round.

    python examples/saddles.py [--out saddles.png]
"""

import argparse

import numpy as np
from matplotlib import pyplot as plt
from torch import Tensor

from reduction import plot_barcode
from simplicial import NudgedElastic, build_complex, find_minima, with_saddles


def loss(points: Tensor) -> Tensor:
    """f at points (batch, 2)."""
    x, y = points.unbind(dim=1)
    z = y - (1 - x**2) / 4
    return (x**2 + z**2 - 1) ** 2 + 0.4 * z**2


def main() -> None:
    """Print the barcode on the minima alone, then with saddles, and assert the bar of index 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--out", default="saddles.png", help="picture of the barcode (saddles.png)")
    arguments = parser.parse_args()

    minima = find_minima(loss, dim=2, box=(-2, 2), seed=0)
    alone = build_complex(minima, max_dim=1, optimizer=NudgedElastic(), certify=True)
    print(f"on {len(minima)} minima\n\n{alone.barcode().table()}\n")

    vertices = with_saddles(minima)
    # the same as build_complex(minima, max_dim=2, ..., saddles=True)
    complex = build_complex(vertices, max_dim=2, optimizer=NudgedElastic(), certify=True)
    barcode = complex.barcode()
    print(f"on {len(minima)} minima and {len(vertices) - len(minima)} saddles\n")
    print(barcode.table())
    # the range is 1, and triangles are lowered to 1e-4 of it above their sides
    long = np.diff(barcode[1], axis=1)[:, 0] > 1e-4
    np.testing.assert_allclose(barcode[1][long], [[0.36, 1.0]], rtol=0, atol=1e-9)

    figure, ax = plt.subplots()
    plot_barcode(barcode, ax)
    figure.savefig(arguments.out)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
