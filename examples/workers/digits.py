"""The run that the scripts beside this one hand to an engine: four networks on the digits.

By itself it runs in one process. The barcodes are the same bits with any workers:

    python -m examples.workers.digits --out runs/alone
"""

import argparse
from concurrent.futures import Executor
from hashlib import sha256
from pathlib import Path

import torch

from nets import MLP, NetworkLoss, load_digits, train_minima
from reduction import Barcode
from simplicial import Algorithm1, Recipe, build_complex, configure_process

RECIPE = Recipe(epochs=10, learning_rate=0.1, weight_decay=1e-4)


def barcode(folder: Path, executor: Executor | None = None) -> Barcode:
    """Train networks, edges and triangles, each stored in `folder` as it ends, and measure them."""
    configure_process()
    torch.set_num_threads(1)  # workers take as many; another number may change last bits
    digits = load_digits().subset(500)
    loss = NetworkLoss(MLP(64), digits.train_inputs, digits.train_targets)
    store = folder / "store"
    minima = train_minima(loss, 4, recipe=RECIPE, store=store, executor=executor)
    optimizer = Algorithm1(recipe=RECIPE)
    built = build_complex(minima, 2, optimizer=optimizer, store=store, executor=executor)
    return built.barcode()


def show(bars: Barcode, folder: Path) -> None:
    """Print the barcodes, and keep them in `folder`."""
    file = folder / "barcodes.json"
    bars.save(file)
    print(bars.table())
    print(f"{file}: sha256 {sha256(file.read_bytes()).hexdigest()[:16]}")


def arguments(text: str | None) -> argparse.ArgumentParser:
    """The parser of all scripts, with the folder of the run."""
    parser = argparse.ArgumentParser(description=(text or "").split("\n\n")[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run, which goes on where it stopped"
    )
    return parser


if __name__ == "__main__":
    out = arguments(__doc__).parse_args().out
    show(barcode(out), out)
