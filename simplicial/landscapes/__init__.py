"""Analytic functions that carry their critical points, and in most cases their barcodes: truth to
test against, and landscapes to try."""

from simplicial.landscapes.catalogue import NAMES, by_name, descriptions
from simplicial.landscapes.double_well import double_well
from simplicial.landscapes.gaussian_mixture import gaussian_mixture
from simplicial.landscapes.himmelblau import himmelblau
from simplicial.landscapes.lennard_jones import lennard_jones
from simplicial.landscapes.mixture_likelihood import mixture_likelihood
from simplicial.landscapes.mueller_brown import mueller_brown
from simplicial.landscapes.oscillating import ackley, griewank, levy, rastrigin, styblinski_tang
from simplicial.landscapes.simplex_wells import simplex_wells
from simplicial.landscapes.six_hump_camel import six_hump_camel
from simplicial.landscapes.torsions import torsions
from simplicial.landscapes.trigonometric import trigonometric
from simplicial.landscapes.truth.landscape import CriticalPoints, Landscape
from simplicial.landscapes.xor_network import xor_network

__all__ = [
    "NAMES",
    "CriticalPoints",
    "Landscape",
    "ackley",
    "by_name",
    "descriptions",
    "double_well",
    "gaussian_mixture",
    "griewank",
    "himmelblau",
    "lennard_jones",
    "levy",
    "mixture_likelihood",
    "mueller_brown",
    "rastrigin",
    "simplex_wells",
    "six_hump_camel",
    "styblinski_tang",
    "torsions",
    "trigonometric",
    "xor_network",
]
