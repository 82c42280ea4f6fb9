"""The recipes by which networks are trained, named: one for each network family."""

from simplicial import Recipe
from simplicial.optimizers.recipe import tenths

LENET = Recipe()
"""The paper's, for the LeNet-like network on FashionMNIST (section 5): `Recipe`'s numbers."""

DIGITS_MLP = Recipe(learning_rate=0.1, weight_decay=1e-4)
"""Ours, for a small MLP on the 8x8 digits: 50 epochs at ten times the paper's learning rate."""

RESNET = Recipe(epochs=300, learning_rate=0.1, nesterov=True, weight_decay=5e-4, schedule=tenths)
"""Li et al.'s (2018), for residual networks with and without shortcuts on CIFAR-10.

The paper trains "similarly"; which numbers it changed it does not say.
"""

RECIPES = {"mlp": DIGITS_MLP, "lenet": LENET, "resnet": RESNET}
