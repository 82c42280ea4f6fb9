"""Table 1a: W_inf of Barcode 1 (and of the other indices), mean and spread over seeds, beside the
paper's.

    python -m examples.paper.table_1a --scale small [--minima 4]

W_inf divides by sqrt(2), as the paper's eq. 4 does. The paper's numbers are for CIFAR-10, from one
triangle for each network.
"""

import numpy as np

from examples.paper.experiment import NETWORKS, Experiment
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
    """Train the missing networks, and print the table."""
    experiment = Experiment.asked_for(options(__doc__).parse_args())
    complexes = experiment.complexes(NETWORKS, experiment.scale.seeds)
    indices = range(experiment.minima - 1)
    names = " | ".join(f"W_inf, index {r}" for r in indices)
    print(f"| network | {names} | paper, index 1 | loss at the minima | test error |")
    print("|---" * (len(indices) + 4) + "|")
    for network, found in zip(NETWORKS, complexes, strict=True):
        barcodes = [built.barcode() for built in found]
        cells = [_spread([barcode.w_inf(r) for barcode in barcodes]) for r in indices]
        losses = _spread([float(built.minima.values.mean()) for built in found])
        errors = _spread([experiment.test_error(network, built) for built in found])
        cells += [f"{PAPER[str(network)]:.3f}", losses, errors]
        print(f"| {network} | " + " | ".join(cells) + " |")


def _spread(numbers: list[float]) -> str:
    """Mean and standard deviation over the seeds."""
    if len(numbers) == 1:
        return f"{numbers[0]:.3f}"
    return f"{np.mean(numbers):.3f} ± {np.std(numbers, ddof=1):.3f}"


if __name__ == "__main__":
    in_a_sentence(main)
