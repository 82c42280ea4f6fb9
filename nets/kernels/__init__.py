"""Compiled loops over images that lie with their examples last in memory.

Images are arrays (channels, height, width, examples), contiguous. So neighbours along a row are
neighbours in memory, example by example, and what is done to a row is done to thousands of numbers
in a stretch, however few its channels are. Kernels take arrays that their callers have checked, and
write into arrays that their callers own; those that take `begin` and `end` do that part of their
tasks, and have a companion that does all in threads.
"""

from nets.kernels.convolution import (
    TAPS,
    convolve,
    convolve_in_threads,
    correlate,
    correlate_in_threads,
    frame,
)
from nets.kernels.lanes import FILTERS, HAS_AVX512, WIDTH, aligned
from nets.kernels.normalisation import (
    normalise,
    normalise_in_threads,
    standardise,
    standardise_in_threads,
)
from nets.kernels.pooling import largest, put, take
from nets.kernels.winograd import (
    GAP,
    SIDE,
    STEP,
    transform_weights,
    winograd,
    winograd_in_threads,
)

__all__ = [
    "FILTERS",
    "GAP",
    "HAS_AVX512",
    "SIDE",
    "STEP",
    "TAPS",
    "WIDTH",
    "aligned",
    "convolve",
    "convolve_in_threads",
    "correlate",
    "correlate_in_threads",
    "frame",
    "largest",
    "normalise",
    "normalise_in_threads",
    "put",
    "standardise",
    "standardise_in_threads",
    "take",
    "transform_weights",
    "winograd",
    "winograd_in_threads",
]
