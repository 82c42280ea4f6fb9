"""Certificates on polished networks of the digits: births and deaths, and why the others not.

    python tests/benchmarks/networks/certified_mlps.py [--minima 4] [--images 300] [--hidden 8]

MLPs 64-8-10 with tanh and with softplus in double precision, the penalty 0.5e-3 |theta|^2 in the
loss, are trained on the first images by the digits' recipe and polished; edges are elastic, and
all critical points are sought. An end of a bar that is not certified is one of these: its search
found none within reach of the highest point of the path, or one of another Morse index.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn

from nets import DIGITS_MLP, NetworkLoss, load_digits, train_minima
from reduction import Ends
from simplicial import NudgedElastic, Polish, build_complex, configure_process

PENALTY = 1e-3
ACTIVATIONS = {"tanh": nn.Tanh, "softplus": nn.Softplus}


def told(ends: Ends, some: np.ndarray, index: int) -> str:
    """Certified ends of how many, gradient norms there, and reasons for the others."""
    certified, morse = ends.certified[some], ends.morse[some]
    norms = ends.gradient_norms[some]
    others = ~certified
    reasons = []
    if (others & (morse < 0)).any():
        reasons.append(f"{int((others & (morse < 0)).sum())} without a critical point in reach")
    if (others & (morse >= 0)).any():
        found = sorted(set(morse[others & (morse >= 0)].tolist()))
        reasons.append(f"{int((others & (morse >= 0)).sum())} of Morse index {found}, not {index}")
    why = "; ".join(reasons) or "-"
    span = f"{norms.min():9.1e} {norms.max():9.1e}" if len(norms) else " " * 19
    return f"{certified.sum():4d} of {len(certified)}  {span}  {why}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--activation", nargs="+", choices=ACTIVATIONS, default=[*ACTIVATIONS])
    parser.add_argument("--minima", type=int, default=4)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--segments", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_digits().subset(arguments.images)
    x, y = digits.train_inputs.double(), digits.train_targets
    for name in arguments.activation:
        activation = ACTIVATIONS[name]
        hidden = arguments.hidden
        layers = nn.Linear(64, hidden), activation(), nn.Linear(hidden, 10)
        model = nn.Sequential(nn.Flatten(), *layers).double()
        loss, began = NetworkLoss(model, x, y, weight_decay=PENALTY), time.perf_counter()
        minima = train_minima(
            loss,
            arguments.minima,
            recipe=DIGITS_MLP.changed(weight_decay=0.0),
            polish=Polish(tolerance=1e-6),
            progress=False,
        )
        norms = minima.gradient_norms()
        print(
            f"{name} 64-{hidden}-10, {len(loss)} images, d = {loss.dim}: minima "
            f"{minima.values.min():.6f} to {minima.values.max():.6f}, gradients "
            f"{norms.min():.1e} to {norms.max():.1e}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
        elastic, began = (
            NudgedElastic(segments=arguments.segments, steps=arguments.steps),
            time.perf_counter(),
        )
        built = build_complex(
            minima, 1, optimizer=elastic, tolerance=1e-4, certify=True, progress=False
        )
        barcode = built.barcode()
        ends = barcode.ends(0)
        assert ends is not None, "certificates were asked for"
        finite = np.isfinite(barcode[0][:, 1])
        print(f"  births  {told(ends.births, np.ones_like(finite), 0)}")
        print(f"  deaths  {told(ends.deaths, finite, 1)}")
        print(f"  {time.perf_counter() - began:.0f} s", flush=True)
        print("\n".join(f"    {line}" for line in barcode.table().splitlines()), flush=True)


if __name__ == "__main__":
    configure_process()
    main()
