"""Altered files through every reader: none may crash it, and none may give something else in
silence.

    python tests/benchmarks/altered.py [--count 10000] [--seed 0] [--readers NAME...]

Of everything that is read two are written: a filtered complex, a complex of optimised simplices,
a barcode, a convergence, a run folder of networks, edges and a triangle, an unfinished chunk of it,
and a checkpoint of torch. Then one of the first one's files at a time is altered, in one of the
ways of tests/alterations.py, and all is read. Outcomes: *refused*, with one of the library's
errors, or the system's where a file was removed; *the same*, what was written comes back (a byte of
a zip archive's padding, a space, or a record that is gone and so is computed again); *wrong*,
something else comes back; *crashed*, any other exception.

A checkpoint is torch's format, not this library's. Its parts have checksums, but nothing says that
they belong together, so they are not exchanged here.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nets import MLP, NetworkLoss, train_minima
from nets.models.checkpoints import read_checkpoint
from reduction import Barcode, FilteredComplex
from simplicial import (
    Algorithm1,
    Convergence,
    LossComplex,
    Minima,
    NudgedElastic,
    Recipe,
    build_complex,
)
from simplicial.landscapes import himmelblau
from simplicial.run_folder.checkpoint import Checkpoint
from simplicial.run_folder.records import Record
from tests.alterations import OUTCOMES, Reader, counted, files_of


def _bytes(*arrays: Any) -> bytes:
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


def _geometry(read: LossComplex) -> bytes:
    parts = [
        *read.maxima,
        read.control_points.numpy(),
        *(i.maxima.barycentric for i in read.interiors),
    ]
    return _bytes(*parts, *(i.samples.loss for i in read.interiors if i.samples is not None))


def readers(scratch: Path, only: Sequence[str] = ()) -> dict[str, Reader]:
    """What is read, by name, or `only` some of it; written in folders of `scratch`."""
    landscape = himmelblau()
    points = torch.tensor(landscape.minima)
    elastic = NudgedElastic(segments=3, steps=5)
    examples = torch.linspace(-1, 1, 20).reshape(5, 4), torch.tensor([0, 1, 0, 1, 0])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [MLP(4, (2,), 2) for _ in range(2)]
    loss = NetworkLoss(networks[0], *examples)
    algorithm = Algorithm1(recipe=Recipe(epochs=2))

    def build(seed: int) -> LossComplex:
        minima = Minima(points[torch.tensor([0, 1, 2, 3]).roll(seed)], landscape)
        return build_complex(minima, 2, optimizer=elastic, resolution=4, progress=False)

    def compared(seed: int) -> Convergence:
        lengths, barcodes = [5 + seed, 10 + seed, 20 + seed], []
        for steps in lengths:
            minima, optimizer = Minima(points, landscape), NudgedElastic(segments=3, steps=steps)
            found = build_complex(minima, 2, optimizer=optimizer, resolution=4, progress=False)
            barcodes.append(found.barcode())
        return Convergence.of(lengths, [12 * steps for steps in lengths], barcodes)

    def run(folder: Path, seed: int) -> LossComplex:
        minima = train_minima(
            loss, 3, recipe=Recipe(epochs=2), seed=seed, store=folder, progress=False
        )
        return build_complex(
            minima, 2, optimizer=algorithm, resolution=3, tolerance=None, seed=seed, store=folder,
            progress=False,
        )  # fmt: skip

    def unfinished(folder: Path) -> Checkpoint:
        return Checkpoint(folder, "0123456789abcdef")

    def write_chunk(folder: Path, seed: int) -> None:
        tensors = {"points": torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))}
        other = Checkpoint(folder, f"{seed:016}")
        for kept in (unfinished(folder), other):
            kept.folder.mkdir(parents=True)
            kept.save(7 + seed, Record(tensors, {}))

    def read_chunk(folder: Path) -> bytes:
        found = unfinished(folder).load()
        if found is None:  # the batch begins anew
            raise FileNotFoundError
        return repr(found[0]).encode() + _bytes(found[1].tensors["points"])

    def read_barcode(folder: Path) -> bytes:
        read = Barcode.load(folder / "file.json")
        pairs = [part for r in range(len(read)) for part in read.pairs(r)]
        return _bytes(*read, *pairs) + str(read.field).encode()

    def read_convergence(folder: Path) -> bytes:
        read = Convergence.load(folder / "file.json")
        parts = read.efforts, read.gradients, read.w_inf, read.lowest, read.errors
        return _bytes(*parts) + str(read.field).encode()

    def read_filtered(folder: Path) -> bytes:
        read = FilteredComplex.load(folder / "file.npz")
        return _bytes(*read.vertices, *read.values)

    def read_weights(folder: Path) -> bytes:
        state = read_checkpoint(folder / "file.pt")
        return repr(list(state)).encode() + _bytes(*state.values())

    def read_run(folder: Path) -> bytes:
        read = run(folder, 0)
        return _geometry(read) + _bytes(read.minima.values, read.minima.accuracy)

    kinds: dict[str, tuple[Callable[[Path, int], object], Callable[[Path], bytes]]] = {
        "filtered complex": (
            lambda folder, seed: build(seed).filtration.save(folder / "file.npz"),
            read_filtered,
        ),
        "complex": (
            lambda folder, seed: build(seed).save(folder / "file.npz"),
            lambda folder: _geometry(LossComplex.load(folder / "file.npz", landscape)),
        ),
        "barcode": (
            lambda folder, seed: build(seed).barcode().save(folder / "file.json"),
            read_barcode,
        ),
        "convergence": (
            lambda folder, seed: compared(seed).save(folder / "file.json"),
            read_convergence,
        ),
        "run folder": (run, read_run),
        "unfinished chunk": (write_chunk, read_chunk),
        "checkpoint": (
            lambda folder, seed: torch.save(networks[seed].state_dict(), folder / "file.pt"),
            read_weights,
        ),
    }
    made: dict[str, Reader] = {}
    for name, (write, read) in kinds.items():
        if only and name not in only:
            continue
        folders = [scratch / name, scratch / f"{name}, twin"]
        for seed, folder in enumerate(folders):
            folder.mkdir()
            write(folder, seed)
        here = folders[0]
        made[name] = Reader(
            here,
            *map(files_of, folders),
            read=lambda read=read, here=here: read(here),
            parts=name != "checkpoint",
        )
    return made


def main() -> None:
    """Print how many of each outcome; and in which ways, where one is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="+", default=(), metavar="NAME", help="of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)  # tensors are tiny
    print("| reader | ways | refused | the same | wrong | crashed |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, reader in readers(Path(scratch), options.readers).items():
            counts = counted(reader, options.count, options.seed)
            total = {kind: sum(n for (k, _), n in counts.items() if k == kind) for kind in OUTCOMES}
            cells = (str(total[kind]) for kind in OUTCOMES)
            ways = len({way for _, way in counts})
            print(f"| {name} | {ways} | {' | '.join(cells)} |", flush=True)
            for (kind, way), number in sorted(counts.items()):
                if kind in ("wrong", "crashed"):
                    print(f"{kind}: {number} by {way}")


if __name__ == "__main__":
    main()
