from nets.models.building import build
from nets.models.lenet import LeNet
from nets.models.mlp import MLP
from nets.models.resnet import ResNet
from nets.names import MODELS as NAMES

__all__ = [
    "MLP",
    "NAMES",
    "LeNet",
    "ResNet",
    "build",
]
