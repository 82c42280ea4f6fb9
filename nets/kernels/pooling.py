"""The largest numbers of squares of images, side by side."""

import numpy as np
from numpy.typing import NDArray

from nets.kernels.convolution import Reals
from reduction.kernels.compilation import Int, njit_sums

Chosen = NDArray[np.uint8]


@njit_sums
def largest(images: Reals, size: Int, out: Reals, chosen: Chosen) -> None:
    """The largest number of each square of `size` by `size`, and which it is, row by row.

    The first of several; a NaN, the last of several, goes before all, as torch has it.
    """
    channels, height, width, examples = out.shape
    for channel in range(channels):
        for y in range(height):
            for x in range(width):
                best, which = out[channel, y, x], chosen[channel, y, x]
                which[:] = 0
                for place in range(size * size):
                    other = images[channel, y * size + place // size, x * size + place % size]
                    for i in range(examples):
                        better = (place == 0) | (other[i] > best[i]) | (other[i] != other[i])
                        best[i] = other[i] if better else best[i]
                        which[i] = place if better else which[i]


@njit_sums
def put(numbers: Reals, chosen: Chosen, size: Int, images: Reals) -> None:
    """Each number where its square's chosen place is, and zeros elsewhere in the squares."""
    channels, height, width, examples = numbers.shape
    zero = numbers.dtype.type(0)
    for channel in range(channels):
        for y in range(height):
            for x in range(width):
                number, which = numbers[channel, y, x], chosen[channel, y, x]
                for place in range(size * size):
                    into = images[channel, y * size + place // size, x * size + place % size]
                    for i in range(examples):
                        into[i] = number[i] if which[i] == place else zero


@njit_sums
def take(images: Reals, chosen: Chosen, size: Int, numbers: Reals) -> None:
    """The number at each square's chosen place."""
    channels, height, width, examples = numbers.shape
    for channel in range(channels):
        for y in range(height):
            for x in range(width):
                number, which = numbers[channel, y, x], chosen[channel, y, x]
                number[:] = 0
                for place in range(size * size):
                    other = images[channel, y * size + place // size, x * size + place % size]
                    for i in range(examples):
                        number[i] = other[i] if which[i] == place else number[i]
