"""A data set larger than the memory of a process: values and gradients as in memory, bit for bit.

    python tests/benchmarks/networks/larger_than_memory.py [--gigabytes 4] [--limit 2]

writes a file of examples, and gives the loss of a small network with batch norm, its gradient and a
mini-batch's loss at two points by three processes: with the file mapped into memory, with a Dataset
that is streamed from it, both under a limit on memory that a process may write to (setrlimit(2),
RLIMIT_DATA), and without a limit with all examples read into memory. The file is removed.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

import simplicial
from nets import NetworkLoss

FEATURES, CLASSES = 1024, 4
EXAMPLE_BYTES = 4 * FEATURES
SOURCES = "mapped", "streamed", "in memory"


class FileExamples(Dataset[Any]):
    """Examples that are read from a file by index."""

    def __init__(self, inputs: Path, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        offset = i * EXAMPLE_BYTES
        values = np.fromfile(self.inputs, np.float32, FEATURES, offset=offset)
        return torch.from_numpy(values), self.targets[i]


def write(folder: Path, examples: int) -> None:
    """Inputs in `folder`/inputs: normal numbers, moved by the class, which rises with the index."""
    rng = np.random.default_rng(0)
    with (folder / "inputs").open("wb") as file:
        for first in range(0, examples, 2**14):
            classes = np.arange(first, min(first + 2**14, examples)) * CLASSES // examples
            values = rng.standard_normal((len(classes), FEATURES), dtype=np.float32)
            file.write((values + 0.1 * classes[:, None]).astype(np.float32).tobytes())


def results(folder: Path, source: str, *, norm: bool = True) -> list[str]:
    """Values, gradients and a mini-batch's losses at two points, as exact numbers.

    norm  whether the network has batch norm, whose statistics of few examples are one batch's
    """
    path = folder / "inputs"
    examples = path.stat().st_size // EXAMPLE_BYTES
    targets = torch.arange(examples) * CLASSES // examples
    if source == "streamed":
        data: tuple[Any, ...] = (FileExamples(path, targets),)
    else:
        flat = torch.from_file(str(path), shared=True, size=examples * FEATURES)
        inputs = flat.view(examples, FEATURES)
        data = inputs.clone() if source == "in memory" else inputs, targets
    with torch.random.fork_rng():
        torch.manual_seed(0)
        between = nn.BatchNorm1d(4) if norm else nn.Tanh()
        model = nn.Sequential(nn.Linear(FEATURES, 4), between, nn.Linear(4, CLASSES))
    loss = NetworkLoss(model, *data, stream=source == "streamed")
    own = loss.flatten(model.state_dict())
    points = torch.stack([own, 1.5 * own])
    values, gradients = loss.values_and_gradients(points)
    estimate = next(iter(loss.estimates(256, np.random.default_rng(0))))(points)
    return [float(x).hex() for x in (*values, *gradients[:, ::97].flatten(), *estimate)]


def status(name: str) -> int:
    """Bytes of this process's memory under a name of proc(5), /proc/pid/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _child(folder: Path, source: str, limit: float) -> None:
    if source != "in memory":
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit * 1e9), int(limit * 1e9)))
    simplicial.configure_process()
    began = time.perf_counter()
    found = results(folder, source)
    print(json.dumps([found, time.perf_counter() - began, status("RssAnon"), status("VmData")]))


def main() -> None:
    """Write the file, and compare the three processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--limit", type=float, default=2.0)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _child(Path(options.child[0]), options.child[1], options.limit)
        return
    with TemporaryDirectory(dir=options.folder) as name:
        folder, found = Path(name), list[list[str]]()
        write(folder, int(options.gigabytes * 1e9) // EXAMPLE_BYTES)
        print(f"{(folder / 'inputs').stat().st_size / 1e9:.3g} GB, limit {options.limit:.3g} GB")
        for source in SOURCES:
            command = [sys.executable, __file__, "--limit", str(options.limit), "--child", name]
            done = subprocess.run([*command, source], capture_output=True, text=True)
            if done.returncode:
                print(f"{source:10} {done.stderr.strip().splitlines()[-1]}")
                continue
            values, seconds, used, writable = json.loads(done.stdout)
            found.append(values)
            print(
                f"{source:10} loss {float.fromhex(values[0]):.15g}  {seconds:.0f} s  "
                f"{used / 1e9:.2f} GB used at the end, {writable / 1e9:.2f} GB writable"
            )
    same = len(found) == len(SOURCES) and all(values == found[0] for values in found)
    print(f"{len(found[0])} numbers, the same bits: {same}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
