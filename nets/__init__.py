"""Networks: their loss as a function of one vector, their training, and the command line."""

from nets.data import ImageData, load_digits, load_fashion_mnist
from nets.loss import NetworkLoss
from nets.models import MLP, LeNet
from nets.recipes import DIGITS_MLP, LENET
from nets.train import train_minima

__all__ = [
    "DIGITS_MLP",
    "LENET",
    "MLP",
    "ImageData",
    "LeNet",
    "NetworkLoss",
    "load_digits",
    "load_fashion_mnist",
    "train_minima",
]
