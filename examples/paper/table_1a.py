"""Table 1a: W_inf of Barcode 1 (and of the other indices), mean and spread over seeds, beside the
paper's.

    python -m examples.paper.table_1a --scale small

A table for each way in which simplices were found, and by which loss they are filtered. W_inf
divides by sqrt(2), as the paper's eq. 4 does. The paper's numbers are for CIFAR-10, from one
triangle for each network. Networks of four minima have a table of index 2, too.
"""

import argparse
from collections.abc import Sequence

from examples.paper.cell import Cell, Way, spread
from examples.paper.experiment import NETWORKS, Experiment, Network
from examples.paper.options import in_a_sentence, options

PAPER = {
    "ResNet-20": 0.083,
    "ResNet-56": 0.061,
    "ResNet-110": 0.034,
    "WideResNet-56-2": 0.025,
    "ResNet-20-NS": 0.109,
    "ResNet-56-NS": 0.078,
    "ResNet-110-NS": 0.0,
    "WideResNet-56-2-NS": 0.082,
}


def main() -> None:
    """Train the missing networks, and print the tables."""
    parser = options(__doc__)
    add_networks(parser)
    experiment = Experiment.asked_for(given := parser.parse_args())
    networks = [network for network in NETWORKS if str(network) in given.networks]
    ways = dict.fromkeys(way for network in networks for way in experiment.scale.ways_of(network))
    for way in ways:
        some = [network for network in networks if way in experiment.scale.ways_of(network)]
        show(way, some, experiment.cells(some, way))


def add_networks(parser: argparse.ArgumentParser) -> None:
    """The option of the rows."""
    names = [str(network) for network in NETWORKS]
    parser.add_argument(
        "--networks", nargs="+", choices=names, default=names, metavar="NETWORK",
        help=f"rows of the table, of {', '.join(names)} (all)",
    )  # fmt: skip


def show(way: Way, networks: Sequence[Network], cells: list[list[Cell]]) -> None:
    """Print the tables of a way: of the first three minima, and of index 2 where there are four."""
    print(f"{way}:\n")
    columns = ["network", "seeds", "W_inf, index 0", "W_inf, index 1", "error, index 0"]
    columns += ["error, index 1", "paper, index 1", "loss at the minima", "test error", "hours"]
    rows = []
    for network, found in zip(networks, cells, strict=True):
        three = [cell.first(3) for cell in found]
        barcodes = [cell.barcode() for cell in three]
        row = [spread([barcode.w_inf(r) for barcode in barcodes]) for r in (0, 1)]
        row += [spread([barcode.error(r) for barcode in barcodes]) for r in (0, 1)]
        row += [f"{PAPER[str(network)]:.3f}"]
        row += [spread([float(cell.losses.mean()) for cell in three])]
        row += [spread([float(cell.test_errors.mean()) for cell in three])]
        row += [f"{sum(sum(cell.hours) for cell in found):.2f}"]
        rows.append([str(network), str(len(found)), *row])
    _print(columns, rows)
    rows = []
    for network, found in zip(networks, cells, strict=True):
        for cell in found:
            if len(cell.losses) > 3:
                barcode = cell.barcode()
                rows.append([str(network), *(f"{barcode.w_inf(r):.3f}" for r in range(3))])
    if rows:
        print("Four minima of one seed:\n")
        _print(["network", *(f"W_inf, index {r}" for r in range(3))], rows)


def _print(columns: list[str], rows: list[list[str]]) -> None:
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


if __name__ == "__main__":
    in_a_sentence(main)
