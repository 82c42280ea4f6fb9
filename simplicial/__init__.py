"""Simplices between minima of a loss: optimised, measured, and filtered by the loss's maximum."""

import os

# Matrix products of MKL round by where matrices lie in memory, and so by how many points are
# computed together, unless it is told otherwise before its first one. Workers inherit it.
os.environ.setdefault("MKL_CBWR", "AUTO")
# Large tensors lie in large pages, of whose places processors keep more; torch reads it once.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch

from simplicial.build import build_complex
from simplicial.complex import LossComplex
from simplicial.critical_points.search import find_critical_points, find_minima, with_saddles
from simplicial.errors import LossError, LossWarning, NotFiniteError, RunError, SearchError
from simplicial.loss import Evaluation, Loss
from simplicial.maps.base import Barycentric, Edgewise, SimplexMap
from simplicial.minima import Minima, Search
from simplicial.optimizers.algorithm1 import Algorithm1, Optimizer, Simplices, Stage
from simplicial.optimizers.nudged_elastic import NudgedElastic
from simplicial.optimizers.recipe import EXACT, Recipe, constant, garipov
from simplicial.reports.plots import plot_barrier_tree, plot_edge, plot_samples, plot_triangle
from simplicial.simplex import Maximum, OptimisedSimplex, Samples

__all__ = [
    "EXACT",
    "Algorithm1",
    "Barycentric",
    "Edgewise",
    "Evaluation",
    "Loss",
    "LossComplex",
    "LossError",
    "LossWarning",
    "Maximum",
    "Minima",
    "NotFiniteError",
    "NudgedElastic",
    "OptimisedSimplex",
    "Optimizer",
    "Recipe",
    "RunError",
    "Samples",
    "Search",
    "SearchError",
    "SimplexMap",
    "Simplices",
    "Stage",
    "build_complex",
    "constant",
    "find_critical_points",
    "find_minima",
    "garipov",
    "plot_barrier_tree",
    "plot_edge",
    "plot_samples",
    "plot_triangle",
    "with_saddles",
]

# glibc gives a layer's memory back to the system and takes it anew, page by page, until it has seen
# a block go that is as large as it learns from. Nothing of it is touched.
torch.empty(31 * 2**20, dtype=torch.uint8)
