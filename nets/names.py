"""Names that users choose from: plain constants, so that help and a wrong option load no torch."""

from typing import Literal, get_args

Precision = Literal["full", "bfloat16"]
"""The arithmetic of training; losses that enter a barcode are float32 either way."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
DATA_SETS = ("digits", "fashion-mnist", "cifar-10")
MODELS = ("mlp", "lenet", "resnet")
