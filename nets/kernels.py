"""Compiled loops over images that lie with their examples last in memory.

Images are arrays (channels, height, width, examples), contiguous. So neighbours along a row are
neighbours in memory, example by example, and what a convolution does to a row is done to thousands
of numbers in a stretch, however few its channels are. Kernels take arrays that their callers have
checked, and write into arrays that their callers own.

`places` (taps,) says where a convolution's taps lie from the first number that it reads, in
numbers: channel by channel, row by row, tap by tap.
"""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit_parallel, njit_sums

STRETCH = 1024  # numbers of a row at a time: with those that are read they stay in the first cache

Reals = NDArray[Any]  # float32 or float64, all of a call's the same
Places = NDArray[np.int64]
Chosen = NDArray[np.uint8]


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
    images: Reals, places: Places, weights: Reals, bias: Reals, out: Reals, begin: Int, end: Int
) -> None:
    """The cross-correlation of images with weights (filters, taps), and bias (filters,).

    The rows begin..end-1 of the output. Two filters at a time share what is read; the last of an
    odd number is done with the one before it, once more, and one alone with itself.
    """
    filters, height, width, examples = out.shape
    read, row = images.shape[2] * examples, width * examples
    flat, written = images.reshape(-1), out.reshape(-1)
    taps = len(places)
    fives = taps // 5 * 5
    for y in range(begin, end):
        for first in range(0, row, STRETCH):
            length, at = min(STRETCH, row - first), y * read + first
            for pair in range(0, filters, 2):
                other = min(pair + 1, filters - 1)
                one = max(other - 1, 0)
                in_one, in_other = (one * height + y) * row, (other * height + y) * row
                a = written[in_one + first : in_one + first + length]
                b = written[in_other + first : in_other + first + length]
                of_a, of_b = weights[one], weights[other]
                a[:] = bias[one]
                b[:] = bias[other]
                for tap in range(0, fives, 5):
                    _add_five(flat, at, places, tap, of_a, of_b, a, b)
                for tap in range(fives, taps):
                    begins = at + places[tap]
                    _add(flat[begins : begins + length], of_a[tap], of_b[tap], a, b)


@njit_parallel
def convolve_in_threads(
    images: Reals, places: Places, weights: Reals, bias: Reals, out: Reals, bounds: Places
) -> None:
    """As `convolve`, the rows between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        convolve(images, places, weights, bias, out, bounds[thread], bounds[thread + 1])


@njit_sums
def _add_five(
    flat: Reals,
    at: Int,
    places: Places,
    tap: Int,
    of_a: Reals,
    of_b: Reals,
    a: Reals,
    b: Reals,
) -> None:
    """Five taps of two filters: with that many, no more is loaded than is multiplied."""
    v, w, x, y, z = _five_rows(flat, at, places, tap, len(a))
    a0, a1, a2, a3, a4 = of_a[tap], of_a[tap + 1], of_a[tap + 2], of_a[tap + 3], of_a[tap + 4]
    b0, b1, b2, b3, b4 = of_b[tap], of_b[tap + 1], of_b[tap + 2], of_b[tap + 3], of_b[tap + 4]
    for i in range(len(a)):
        in_a = a[i] + a0 * v[i] + a1 * w[i] + a2 * x[i] + a3 * y[i] + a4 * z[i]
        in_b = b[i] + b0 * v[i] + b1 * w[i] + b2 * x[i] + b3 * y[i] + b4 * z[i]
        a[i] = in_a
        b[i] = in_b


@njit_sums
def _add(row: Reals, of_a: Float, of_b: Float, a: Reals, b: Reals) -> None:
    for i in range(len(a)):
        in_a = a[i] + of_a * row[i]
        in_b = b[i] + of_b * row[i]
        a[i] = in_a
        b[i] = in_b


@njit_sums
def _five_rows(flat: Reals, at: Int, places: Places, tap: Int, n: Int) -> tuple[Reals, ...]:
    p, q, r = at + places[tap], at + places[tap + 1], at + places[tap + 2]
    s, t = at + places[tap + 3], at + places[tap + 4]
    return flat[p : p + n], flat[q : q + n], flat[r : r + n], flat[s : s + n], flat[t : t + n]


@njit_sums
def correlate(
    images: Reals, places: Places, slopes: Reals, sums: Reals, begin: Int, end: Int
) -> None:
    """Add to sums (filters, taps) what weights get of the slopes of a convolution's output.

    A number of places that can be divided by five; those beyond the taps are read for nothing. The
    tasks begin..end-1, each of which is five taps of one filter.
    """
    _, height, width, examples = slopes.shape
    read, row = images.shape[2] * examples, width * examples
    flat, of_output = images.reshape(-1), slopes.reshape(-1)
    taps, fives = sums.shape[1], len(places) // 5
    for y in range(height):
        for task in range(begin, end):
            one, tap = task // fives, task % fives * 5
            place = (one * height + y) * row
            slope = of_output[place : place + row]
            five = _five_products(flat, y * read, places, tap, slope)
            for i in range(min(5, taps - tap)):
                sums[one, tap + i] += five[i]


@njit_parallel
def correlate_in_threads(
    images: Reals, places: Places, slopes: Reals, sums: Reals, bounds: Places
) -> None:
    """As `correlate`, the tasks between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        correlate(images, places, slopes, sums, bounds[thread], bounds[thread + 1])


@njit_sums
def _five_products(
    flat: Reals, at: Int, places: Places, tap: Int, slope: Reals
) -> tuple[Float, ...]:
    v, w, x, y, z = _five_rows(flat, at, places, tap, len(slope))
    a = b = c = d = e = flat.dtype.type(0)
    for i in range(len(slope)):
        g = slope[i]
        a += g * v[i]
        b += g * w[i]
        c += g * x[i]
        d += g * y[i]
        e += g * z[i]
    return a, b, c, d, e


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
