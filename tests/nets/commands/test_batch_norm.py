"""`--batch-norm stored`: running statistics of the first checkpoint, for all networks."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.nets.cli_runner import record_of, succeed
from tests.nets.networks import seeded


def make() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 10))


@pytest.mark.parametrize("choice", ["recomputed", "stored"])
def test_the_choice_of_statistics_is_recorded_and_reaches_the_loss(
    choice: str, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{seed}.pt" for seed in range(2)]
    for seed, path in enumerate(paths):
        state = seeded(make, seed).state_dict()
        torch.save(state | {"2.running_mean": torch.full((4,), 3.0)}, path)
    run = ["run", "--subset", 30, "--checkpoint", *paths, "--factory", f"{__name__}:make"]
    run += ["--max-dim", 1, "--epochs", 0, "--sampled", "--quiet", "--batch-norm", choice]
    succeed(*run, "--out", tmp_path / "out")
    record = record_of(tmp_path / "out")
    assert record["settings"]["batch_norm"] == choice
    assert ("batch norm stored" in record["loss"]) == (choice == "stored")
