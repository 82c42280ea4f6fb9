"""Convolutions, and gradients with respect to their weights.

`places` (taps,) says where a convolution's taps lie from the first number that it reads, in
numbers: channel by channel, row by row, tap by tap.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from nets.kernels.lanes import FILTERS, WIDTH, product
from reduction.kernels.compilation import Float, Int, njit_parallel, njit_sums

Reals = NDArray[Any]  # float32 or float64, all of a call's the same
Places = NDArray[np.int64]
TAPS = 5  # of which `correlate` adds up products at once, as many as registers hold


@njit_sums
def frame(images: Reals, rows: Int, columns: Int, framed: Reals) -> None:
    """Images with zeros around: so many `rows` above and below, `columns` at the left and right."""
    channels, height, width, examples = images.shape
    for channel in range(channels):
        image, into = images[channel], framed[channel]
        into[:rows] = 0
        into[rows + height :] = 0
        for y in range(height):
            row = into[rows + y]
            row[:columns] = 0
            row[columns + width :] = 0
            for x in range(width):
                for i in range(examples):
                    row[columns + x, i] = image[y, x, i]


@njit_sums
def convolve(
    images: Reals,
    places: Places,
    weights: Reals,
    bias: Reals,
    down: Int,
    right: Int,
    out: Reals,
    begin: Int,
    end: Int,
) -> None:
    """The cross-correlation of images with weights (blocks, taps, FILTERS), and bias.

    In steps of so many rows `down` and columns to the `right`. The rows begin..end-1 of the output.
    """
    filters, height, width, examples = out.shape
    plane, of_block = height * width * examples, weights.shape[1] * FILTERS
    flat, factors, written = images.reshape(-1), weights.reshape(-1), out.reshape(-1)
    neighbours = width if right == 1 else 1  # of a row that are read one behind the other
    run, at_once = neighbours * examples, WIDTH * 4 // images.itemsize
    for y in range(begin, end):
        for x in range(0, width, neighbours):
            at = (y * down * images.shape[2] + x * right) * examples
            to = (y * width + x) * examples
            for first in range(0, run, at_once):
                i = min(first, run - at_once)  # the last ones are done with some before, once more
                for block in range(len(weights)):
                    kept = min(FILTERS, filters - block * FILTERS)
                    begins, ends = block * of_block, to + block * FILTERS * plane
                    first_of = block * FILTERS
                    if i >= 0:
                        product(
                            flat,
                            places,
                            factors,
                            bias,
                            written,
                            at + i,
                            begins,
                            first_of,
                            ends + i,
                            plane,
                            kept,
                        )
                    else:
                        _few(
                            flat,
                            places,
                            factors,
                            bias,
                            written,
                            at,
                            begins,
                            first_of,
                            ends,
                            plane,
                            kept,
                            run,
                        )


@njit_sums
def _few(
    values: Reals,
    places: Places,
    weights: Reals,
    bias: Reals,
    out: Reals,
    at: Int,
    at_weights: Int,
    at_bias: Int,
    at_out: Int,
    row: Int,
    kept: Int,
    run: Int,
) -> None:
    """As `product`, in fewer places."""
    for k in range(kept):
        for i in range(run):
            total = bias[at_bias + k]
            for step in range(len(places)):
                factor = weights[at_weights + step * FILTERS + k]
                total += factor * values[at + places[step] + i]
            out[at_out + k * row + i] = total


@njit_parallel
def convolve_in_threads(
    images: Reals,
    places: Places,
    weights: Reals,
    bias: Reals,
    down: Int,
    right: Int,
    out: Reals,
    bounds: Places,
) -> None:
    """As `convolve`, the rows between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        convolve(
            images, places, weights, bias, down, right, out, bounds[thread], bounds[thread + 1]
        )


@njit_sums
def _five_rows(flat: Reals, at: Int, places: Places, tap: Int, n: Int) -> tuple[Reals, ...]:
    p, q, r = at + places[tap], at + places[tap + 1], at + places[tap + 2]
    s, t = at + places[tap + 3], at + places[tap + 4]
    return flat[p : p + n], flat[q : q + n], flat[r : r + n], flat[s : s + n], flat[t : t + n]


@njit_sums
def correlate(
    images: Reals, places: Places, gradients: Reals, sums: Reals, begin: Int, end: Int
) -> None:
    """Add gradients with respect to weights to sums (filters, taps), given those of the output.

    A number of places that TAPS divides; those beyond the taps are read for nothing. The tasks
    begin..end-1, each of which is TAPS taps of one filter.
    """
    _, height, width, examples = gradients.shape
    read, row = images.shape[2] * examples, width * examples
    flat, of_output = images.reshape(-1), gradients.reshape(-1)
    taps, fives = sums.shape[1], len(places) // TAPS
    for y in range(height):
        for task in range(begin, end):
            one, tap = task // fives, task % fives * TAPS
            place = (one * height + y) * row
            gradient = of_output[place : place + row]
            five = _five_products(flat, y * read, places, tap, gradient)
            for i in range(min(TAPS, taps - tap)):
                sums[one, tap + i] += five[i]


@njit_parallel
def correlate_in_threads(
    images: Reals, places: Places, gradients: Reals, sums: Reals, bounds: Places
) -> None:
    """As `correlate`, the tasks between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        correlate(images, places, gradients, sums, bounds[thread], bounds[thread + 1])


@njit_sums
def _five_products(
    flat: Reals, at: Int, places: Places, tap: Int, gradient: Reals
) -> tuple[Float, ...]:
    v, w, x, y, z = _five_rows(flat, at, places, tap, len(gradient))
    a = b = c = d = e = flat.dtype.type(0)
    for i in range(len(gradient)):
        g = gradient[i]
        a += g * v[i]
        b += g * w[i]
        c += g * x[i]
        d += g * y[i]
        e += g * z[i]
    return a, b, c, d, e
