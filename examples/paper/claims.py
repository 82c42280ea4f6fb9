"""The claims of section 5 of the paper, and whether the cells show them.

    python -m examples.paper.claims --scale medium

A claim says that a number, W_inf of an index, is smaller in some rows of table 1a than in others.
It is `seen` of a pair of rows where every seed of the one is below every seed of the other, `not
seen` where every one is as high or higher, or where all are 0, and otherwise the pair is `not
decided`. Each claim is looked at by each way in which simplices were found: an answer that changes
from the paper's Algorithm 1 to the minimax optimizer is one of how far simplices were optimised,
not of the loss.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from examples.paper.cell import Cell, Way, spread
from examples.paper.experiment import DEPTHS, NETWORKS, WIDTHS, Experiment, Network
from examples.paper.options import in_a_sentence, options

NONE = 1e-3  # a W_inf below, of losses of 0.1 to 2.3, is none: values are taken on a lattice


class Claim(NamedTuple):
    """That W_inf of an index is smaller on the first row of each pair; text as the paper has it."""

    text: str
    of_index: int
    pairs: list[tuple[Network, Network]]


def _pairs(networks: list[Network]) -> list[tuple[Network, Network]]:
    """Each with the one before it."""
    return [(after, before) for before, after in pairwise(networks)]


SHORT, PLAIN = NETWORKS[:4], NETWORKS[4:]
CLAIMS = [
    Claim("shortcuts shorten the bars of index 1", 1, list(zip(SHORT, PLAIN, strict=True))),
    Claim("depth shortens the bars of ResNets, index 1", 1, _pairs(DEPTHS[:3])),
    Claim("width shortens them, index 1", 1, _pairs(WIDTHS[:2])),
    Claim("depth lowers the barriers of ResNets, index 0", 0, _pairs(DEPTHS[:3])),
    Claim("width lowers them, index 0", 0, _pairs(WIDTHS[:2])),
    Claim("shortcuts lower the barriers, index 0", 0, list(zip(SHORT, PLAIN, strict=True))),
]
SHALLOWEST = "the bar of index 1 of ResNet-110-NS has length 0"


def verdict(smaller: list[float], larger: list[float]) -> str:
    """What the seeds of two rows say of the claim that the first one's numbers are smaller."""
    if max(smaller) < min(larger) and max(larger) >= NONE:
        return "seen"
    if min(smaller) >= max(larger) or max(*smaller, *larger) < NONE:
        return "not seen"
    return "not decided"


def main() -> None:
    """Train the missing networks, and print the claims."""
    experiment = Experiment.asked_for(options(__doc__).parse_args())
    for way in experiment.scale.ways:
        found = dict(zip(NETWORKS, experiment.cells(NETWORKS, way), strict=True))
        show(way, found)


def show(way: Way, found: dict[Network, list[Cell]]) -> None:
    """Print the claims by one way."""
    w_inf: dict[int, Callable[[Network], list[float]]] = {
        r: lambda network, r=r: [cell.first(3).barcode().w_inf(r) for cell in found[network]]
        for r in (0, 1)
    }
    print(f"{way}:\n\n| claim | pairs of rows | |\n|---|---|---|")
    for claim in CLAIMS:
        numbers = w_inf[claim.of_index]
        said = [verdict(numbers(a), numbers(b)) for a, b in claim.pairs]
        shown = [
            f"{a} {spread(numbers(a))}, {b} {spread(numbers(b))}: {each}"
            for (a, b), each in zip(claim.pairs, said, strict=True)
        ]
        answers = set(said)
        answer = answers.pop() if len(answers) == 1 else "of some pairs"
        print(f"| {claim.text} | {'; '.join(shown)} | {answer} |")
    deep = next(network for network in PLAIN if network.depth == 110)
    bars = w_inf[1](deep)
    answer = "seen" if max(bars) < NONE else "not seen"
    print(f"| {SHALLOWEST} | {deep} {spread(bars)} | {answer} |\n")


if __name__ == "__main__":
    in_a_sentence(main)
