"""Names that users choose from: plain constants, so that help and a wrong option load no torch."""

from typing import Literal, get_args

Precision = Literal["full", "bfloat16"]
"""The arithmetic of training; losses that enter a barcode are float32 either way."""

Batching = Literal["vmap", "loop"]
"""All points of a batch at once, or one after another."""

BatchNorm = Literal["recomputed", "stored"]
"""Running statistics: of the inputs at every point, or those that came with the model."""

Objective = Literal["plain", "penalised"]
"""The loss of a run: loss_fn alone, the recipe's weight decay in training only; or with it."""

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
BATCH_NORMS: tuple[BatchNorm, ...] = get_args(BatchNorm)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BATCHINGS: tuple[Batching, ...] = get_args(Batching)
DATA_SETS = ("digits", "fashion-mnist", "cifar-10")
MODELS = ("mlp", "lenet", "resnet")
