"""Altered files through every reader: none may crash it, and none may give something else in
silence.

    python tests/benchmarks/altered.py [--count 10000] [--seed 0]

A complex, a barcode and a run folder's records are written once. Then one of their files at a time
is cut, made longer, or has bytes flipped, removed, repeated or replaced at random places, and is
read. Outcomes: *refused*, with one of the library's errors; *the same*, what was written comes back
(a byte of a zip archive's padding, or a space); *wrong*, something else comes back; *crashed*, any
other exception.
"""

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from reduction import Barcode, TopologyError
from simplicial import LossComplex, Minima, NudgedElastic, build_complex
from simplicial.landscapes import himmelblau
from simplicial.store import Record, Store

Reader = Callable[[], bytes]


def altered(content: bytes, draw: random.Random) -> bytes:
    """One change, or a few, at random places."""
    spoilt = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        at = draw.randrange(max(1, len(spoilt)))
        end = min(len(spoilt), at + draw.choice((1, 1, 2, 16, 400)))
        change = draw.randrange(6)
        if change == 0 and spoilt:
            spoilt[at] ^= 1 << draw.randrange(8)
        elif change == 1:
            del spoilt[at:]
        elif change == 2:
            del spoilt[at:end]
        elif change == 3:
            spoilt[at:at] = spoilt[at:end]
        elif change == 4:
            spoilt[at:end] = draw.randbytes(end - at)
        else:
            spoilt += draw.randbytes(8)
    return bytes(spoilt)


def outcome(read: Reader, expected: bytes) -> str:
    """What became of reading an altered file."""
    try:
        found = read()
    except TopologyError:
        return "refused"
    except Exception:
        return "crashed"
    return "the same" if found == expected else "wrong"


def readers(folder: Path) -> dict[str, tuple[list[Path], Reader]]:
    """For each reader the files that may be altered, and what it reads of them, as bytes."""
    loss = himmelblau()
    elastic = NudgedElastic(segments=4, steps=20)
    built = build_complex(
        Minima(torch.tensor(loss.minima), loss), 2, optimizer=elastic, progress=False
    )
    built.save(folder / "complex.npz")
    built.barcode().save(folder / "barcodes.json")
    store = Store(folder / "run")
    numbers = {"vertices": [0, 2, 3], "largest": 0.1, "evaluations": 7}
    store.put("simplices-2", 3, Record({"points": torch.rand(1, 3, 40)}, numbers))

    def complex_() -> bytes:
        read = LossComplex.load(folder / "complex.npz", loss)
        parts = [*read.heights, read.pool.numpy(), *(i.place for i in read.interiors)]
        parts += [i.samples.loss for i in read.interiors if i.samples is not None]
        return b"".join(np.ascontiguousarray(part).tobytes() for part in parts)

    def barcode() -> bytes:
        read = Barcode.load(folder / "barcodes.json")
        pairs = [part for r in range(len(read)) for part in read.pairs(r)]
        return b"".join(np.ascontiguousarray(part).tobytes() for part in [*read, *pairs])

    def record() -> bytes:
        read = store.get("simplices-2", 3)
        assert read is not None
        return read.tensors["points"].numpy().tobytes() + repr(read.numbers).encode()

    records = sorted((folder / "run" / "simplices-2").iterdir())
    return {
        "complex": ([folder / "complex.npz"], complex_),
        "barcode": ([folder / "barcodes.json"], barcode),
        "run folder": (records, record),
    }


def main() -> None:
    """Print how many of each outcome."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| reader | refused | the same | wrong | crashed |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, (paths, read) in readers(Path(scratch)).items():
            draw, seen, expected = random.Random(options.seed), Counter[str](), read()
            for i in range(options.count):
                path = paths[i % len(paths)]
                content = path.read_bytes()
                path.write_bytes(altered(content, draw))
                seen[outcome(read, expected)] += 1
                path.write_bytes(content)
            cells = (str(seen[kind]) for kind in ("refused", "the same", "wrong", "crashed"))
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
