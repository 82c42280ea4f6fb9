from simplicial.build import build_complex, with_loss
from simplicial.complex import LossComplex
from simplicial.configuration import configure_process
from simplicial.construction.polishing import Polish, polish
from simplicial.construction.spent import Spent
from simplicial.critical_points.optimize_results import from_optimize_result
from simplicial.critical_points.search import find_critical_points, find_minima, with_saddles
from simplicial.domains.invariant_losses import invariant
from simplicial.domains.periods import periodic
from simplicial.domains.walls import in_box
from simplicial.efforts import convergence
from simplicial.errors import LossError, LossWarning, NotFiniteError, RunError, SearchError
from simplicial.functions.ase_atoms import from_ase
from simplicial.functions.jax_function import from_jax
from simplicial.functions.numpy_function import from_numpy
from simplicial.graphs.copies import Copies, distinct, nearest_copies
from simplicial.graphs.merge_forest import to_scores
from simplicial.graphs.periodic_images import PeriodicImages, periodic_images
from simplicial.graphs.transition_states import TransitionStates, transition_states
from simplicial.loss import Evaluation, Loss
from simplicial.maps.barycentric import Barycentric
from simplicial.maps.base import SimplexMap
from simplicial.maps.control_points import Simplices
from simplicial.maps.edgewise import Edgewise
from simplicial.minima import LeftOut, Minima, Search
from simplicial.morse.all_critical_points import find_all_critical_points
from simplicial.morse.morse_complex import MorseComplex, morse_complex
from simplicial.neighbor_graphs.rules import (
    beta_skeleton,
    delaunay_graph,
    nearest_neighbors,
    within_radius,
)
from simplicial.optimizers.algorithm1 import Algorithm1
from simplicial.optimizers.base import OptimisationProblem, Optimizer
from simplicial.optimizers.base import Stage as Stage
from simplicial.optimizers.nudged_elastic import NudgedElastic
from simplicial.optimizers.recipe import EXACT, Recipe, constant, garipov, linear
from simplicial.optimizers.stochastic_minimax import StochasticMinimax
from simplicial.reports.barrier_tree import plot_barrier_tree
from simplicial.reports.convergence import Convergence
from simplicial.reports.convergence_plot import plot_convergence
from simplicial.reports.finished_run import FinishedRun, load_run
from simplicial.reports.plane import PlaneSamples, sample_plane
from simplicial.reports.plots import plot_edge, plot_plane, plot_samples, plot_triangle
from simplicial.simplex import Maximum, OptimisedSimplex, Samples
from simplicial.symmetries.atoms import AtomSymmetry
from simplicial.symmetries.rigid_motions import RigidMotions
from simplicial.symmetries.symmetry import Symmetry

__all__ = [
    "EXACT",
    "Algorithm1",
    "AtomSymmetry",
    "Barycentric",
    "Convergence",
    "Copies",
    "Edgewise",
    "Evaluation",
    "FinishedRun",
    "LeftOut",
    "Loss",
    "LossComplex",
    "LossError",
    "LossWarning",
    "Maximum",
    "Minima",
    "MorseComplex",
    "NotFiniteError",
    "NudgedElastic",
    "OptimisationProblem",
    "OptimisedSimplex",
    "Optimizer",
    "PeriodicImages",
    "PlaneSamples",
    "Polish",
    "Recipe",
    "RigidMotions",
    "RunError",
    "Samples",
    "Search",
    "SearchError",
    "SimplexMap",
    "Simplices",
    "Spent",
    "StochasticMinimax",
    "Symmetry",
    "TransitionStates",
    "beta_skeleton",
    "build_complex",
    "configure_process",
    "constant",
    "convergence",
    "delaunay_graph",
    "distinct",
    "find_all_critical_points",
    "find_critical_points",
    "find_minima",
    "from_ase",
    "from_jax",
    "from_numpy",
    "from_optimize_result",
    "garipov",
    "in_box",
    "invariant",
    "linear",
    "load_run",
    "morse_complex",
    "nearest_copies",
    "nearest_neighbors",
    "periodic",
    "periodic_images",
    "plot_barrier_tree",
    "plot_convergence",
    "plot_edge",
    "plot_plane",
    "plot_samples",
    "plot_triangle",
    "polish",
    "sample_plane",
    "to_scores",
    "transition_states",
    "with_loss",
    "with_saddles",
    "within_radius",
]
