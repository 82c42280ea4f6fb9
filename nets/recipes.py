"""The recipes of `nets.models.recipes`, under the name by which users import them."""

from nets.models.recipes import DIGITS_MLP, LENET, RECIPES, RESNET

__all__ = ["DIGITS_MLP", "LENET", "RECIPES", "RESNET"]
