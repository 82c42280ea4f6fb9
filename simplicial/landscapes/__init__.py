"""Analytic Morse functions that carry their critical points and barcodes: truth to test against."""

from simplicial.landscapes.catalogue import NAMES, by_name
from simplicial.landscapes.double_well import double_well
from simplicial.landscapes.gaussian_mixture import gaussian_mixture
from simplicial.landscapes.himmelblau import himmelblau
from simplicial.landscapes.landscape import CriticalPoints, Landscape
from simplicial.landscapes.mueller_brown import mueller_brown
from simplicial.landscapes.simplex_wells import simplex_wells
from simplicial.landscapes.six_hump_camel import six_hump_camel
from simplicial.landscapes.trigonometric import trigonometric

__all__ = [
    "NAMES",
    "CriticalPoints",
    "Landscape",
    "by_name",
    "double_well",
    "gaussian_mixture",
    "himmelblau",
    "mueller_brown",
    "simplex_wells",
    "six_hump_camel",
    "trigonometric",
]
