"""Simplices between minima of a loss: optimised, measured, and filtered by the loss's maximum."""

from simplicial.build import build_complex
from simplicial.complex import LossComplex
from simplicial.critical import find_minima
from simplicial.loss import Evaluation
from simplicial.maps import Barycentric, Edgewise
from simplicial.minima import Minima, Search
from simplicial.optimise import Algorithm1
from simplicial.plots import plot_barrier_tree, plot_edge, plot_triangle
from simplicial.recipe import EXACT, Recipe, constant, garipov
from simplicial.simplex import Maximum, OptimisedSimplex, Samples

__all__ = [
    "EXACT",
    "Algorithm1",
    "Barycentric",
    "Edgewise",
    "Evaluation",
    "LossComplex",
    "Maximum",
    "Minima",
    "OptimisedSimplex",
    "Recipe",
    "Samples",
    "Search",
    "build_complex",
    "constant",
    "find_minima",
    "garipov",
    "plot_barrier_tree",
    "plot_edge",
    "plot_triangle",
]
