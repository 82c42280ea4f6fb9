"""Kills a run of digits networks at random moments, again and again, and lets it go on each time.

    python tests/benchmarks/kills.py [--kills 50] [--workers N] [--seed 0]

The same run is first made without a kill. Then `loss-barcodes run` is started in a fresh folder,
and killed (SIGKILL, to it and to its workers) after a random time, every second time not before it
is writing a file; so often, and then it may end. Told are: whether the barcodes and all records are
the same bytes as those of the run never killed; whether any finished record was written twice; how
many kills left a file that was being written.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIFE = 2.0, 7.0  # seconds, of which the first few go by before anything is computed
RUN = [
    *(sys.executable, "-m", "nets.cli", "run", "--data", "digits", "--minima", "8"),
    *("--epochs", "20", "--batch", "2", "--quiet"),
]


def start(folder: Path, workers: int | None) -> subprocess.Popen[bytes]:
    """The run, in a process group of its own."""
    more = [] if workers is None else ["--workers", str(workers)]
    return subprocess.Popen(
        [*RUN, "--threads", "1", *more, "--out", str(folder)],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def records(folder: Path) -> dict[str, bytes]:
    """The content of all finished records."""
    paths = (folder / "records").glob("simplices-*/[0-9]*")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def unfinished(folder: Path) -> set[Path]:
    """Files that are being written, or were when a process was killed."""
    return {path for name in folder.glob("records/simplices-*") for path in name.glob(".*.partial")}


def await_writing(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as a new file is being written, or when the process has ended."""
    before = unfinished(folder)
    while process.poll() is None and not unfinished(folder) - before:
        pass


def written(folder: Path) -> dict[str, int]:
    """When each record was written."""
    paths = (folder / "records").glob("simplices-*/[0-9]*.json")
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in paths}


def main() -> None:
    """Print what became of the run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole, killed = Path(scratch) / "whole", Path(scratch) / "killed"
        began = time.perf_counter()
        assert start(whole, options.workers).wait() == 0
        seconds = time.perf_counter() - began
        first: dict[str, int] = {}
        twice = partial = ended = 0
        for kill in range(options.kills):
            process, before = start(killed, options.workers), unfinished(killed)
            time.sleep(moments.uniform(*LIFE))
            if kill % 2:
                await_writing(killed, process)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            else:
                ended += 1
            partial += bool(unfinished(killed) - before)
            for name, when in written(killed).items():
                twice += first.setdefault(name, when) != when
        assert start(killed, options.workers).wait() == 0
        twice += sum(first.get(name, when) != when for name, when in written(killed).items())
        same = (whole / "barcodes.json").read_bytes() == (killed / "barcodes.json").read_bytes()
        print(f"{options.kills} kills of a run of {seconds:.1f} s; {ended} came after its end")
        print(f"barcodes equal bit for bit: {same}")
        print(f"records equal bit for bit: {records(whole) == records(killed)}")
        print(f"records: {len(first)} finished under kills, {len(written(killed))} in all")
        print(f"records written twice: {twice}; kills that left a half-written file: {partial}")


if __name__ == "__main__":
    main()
