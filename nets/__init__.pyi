from nets.data import ImageData, load_cifar10, load_digits, load_fashion_mnist
from nets.loss import NetworkLoss
from nets.models.checkpoints import read_checkpoint
from nets.models.lenet import LeNet
from nets.models.mlp import MLP
from nets.models.recipes import DIGITS_MLP, LENET, RESNET
from nets.models.resnet import ResNet
from nets.symmetry import align
from nets.training import train_minima

__all__ = [
    "DIGITS_MLP",
    "LENET",
    "MLP",
    "RESNET",
    "ImageData",
    "LeNet",
    "NetworkLoss",
    "ResNet",
    "align",
    "load_cifar10",
    "load_digits",
    "load_fashion_mnist",
    "read_checkpoint",
    "train_minima",
]
