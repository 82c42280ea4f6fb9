"""The recipes by which networks are trained, named: one for each network family."""

from simplicial import Recipe

LENET = Recipe()
"""The paper's, for the LeNet-like network on FashionMNIST (section 5): `Recipe`'s numbers."""

DIGITS_MLP = Recipe(learning_rate=0.1, weight_decay=1e-4)
"""Ours, for a small MLP on the 8x8 digits: 50 epochs at ten times the paper's learning rate."""

RECIPES = {"mlp": DIGITS_MLP, "lenet": LENET}
