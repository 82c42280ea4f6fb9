"""Recipes and their schedules, under the name by which users import them."""

from simplicial.optimizers.recipe import EXACT, Recipe, constant, garipov, linear, tenths

__all__ = ["EXACT", "Recipe", "constant", "garipov", "linear", "tenths"]
