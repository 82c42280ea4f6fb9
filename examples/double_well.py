"""The barcodes of the double well in three variables, beside the exact ones.

python examples/double_well.py [--out barcode.png]
"""

import argparse

from matplotlib import pyplot as plt

from reduction import bottleneck, plot_barcode
from simplicial import NudgedElastic, build_complex, find_minima
from simplicial.landscapes import double_well


def main() -> None:
    """Find the eight minima, build edges, triangles and tetrahedra, compare with the truth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--out", default="double_well.png", help="picture of the barcode (double_well.png)"
    )
    arguments = parser.parse_args()

    landscape = double_well(3)
    minima = find_minima(landscape, seed=0)
    complex = build_complex(minima, max_dim=3, optimizer=NudgedElastic(), certify=True)
    barcode = complex.barcode()
    print(barcode.table())
    for r, exact in enumerate(landscape.exact_bars or ()):
        distance = bottleneck(barcode[r], exact)
        print(f"index {r}: {len(barcode[r])} bars, {len(exact)} exact, distance {distance:.3g}")
    figure, ax = plt.subplots()
    plot_barcode(barcode, ax)
    figure.savefig(arguments.out)
    print(f"picture: {arguments.out}")


if __name__ == "__main__":
    main()
