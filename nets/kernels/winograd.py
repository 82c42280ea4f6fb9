"""Convolutions of three by three with a quarter of the multiplications.

S. Winograd, "Arithmetic complexity of computations" (1980); A. Lavin, S. Gray, "Fast algorithms for
convolutional neural networks" (2016), F(4 x 4, 3 x 3): a square of 6 x 6 numbers and one of 3 x 3
weights, transformed, are multiplied number by number and added up over channels; transformed back
they are 4 x 4 numbers of the output. Sums of the order of the output's numbers are rounded, so the
rounding is about five times that of adding up products.
"""

import numba
import numpy as np

from nets.kernels.convolution import Places, Reals
from nets.kernels.lanes import BYTES, FILTERS, WIDTH, product, transform
from reduction.kernels.compilation import Int, njit_parallel, njit_sums

SIDE, STEP = 6, 4  # of a square that is read, and that is written
GAP = 32  # numbers between planes of transformed squares, which else share places of a cache
LANES = BYTES // 4  # numbers of a vector

_SUMS = np.array(  # of two numbers and their differences, of which the matrices below are made
    [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0, 0],
        [0, 1, -1, 0, 0, 0],
        [0, 0, 0, 1, 1, 0],
        [0, 0, 0, 1, -1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
)
_INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, 0, -4, 0, 1, 0],
        [0, -4, 0, 1, 0, 0],
        [0, 0, -1, 0, 1, 0],
        [0, -2, 0, 2, 0, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_OUTPUT = np.array([[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 2, 0], [0, 1, 0, 4, 0, 0], [0, 0, 1, 0, 8, 1]])
_WEIGHTS = np.array(
    [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], dtype=np.float32
) / np.float32(24)

_read_inside = transform(_SUMS, _INPUT, whole_square=True)
_read = transform(_SUMS, _INPUT, whole_square=False)
_write_inside = transform(_OUTPUT, _SUMS, whole_square=True)
_write = transform(_OUTPUT, _SUMS, whole_square=False)


@njit_sums
def winograd(
    images: Reals,
    up: Int,
    left: Int,
    weights: Reals,
    bias: Reals,
    lanes: Int,
    places: Places,
    out: Reals,
    scratch: Reals,
    begin: Int,
    end: Int,
) -> None:
    """The cross-correlation of images of float32 with weights of 3 x 3, with zeros around.

    up, left  rows and columns of zeros
    weights   (36, blocks, channels, FILTERS), transformed
    bias      (FILTERS,) zeros
    lanes     examples at a time: a multiple of WIDTH, no more than there are
    places    (channels,) c lanes
    scratch   36 (channels lanes + GAP) numbers, and as many with FILTERS for channels
    The rows of squares begin..end-1.
    """
    channels, _, _, examples = images.shape
    _, _, wide, _ = out.shape
    plane = channels * lanes + GAP
    sums = scratch[SIDE * SIDE * plane :]
    for square in range(begin, end):
        y = STEP * square
        for x in range(0, wide, STEP):
            for first in range(0, examples, lanes):
                example = min(first, examples - lanes)
                _read_squares(images, y - up, x - left, example, lanes, scratch, plane)
                for block in range(weights.shape[1]):
                    _multiply(scratch, plane, weights, bias, places, lanes, block, sums)
                    _write_squares(sums, lanes, block * FILTERS, out, y, x, example)


@njit_sums
def transform_weights(weights: Reals, halves: Reals, out: Reals) -> None:
    """Squares of weights, (3, 3, n), transformed to (6, 6, n), by way of halves (6, 3, n).

    In one order, which a library's matrix product has not for every number of threads.
    """
    for i in range(SIDE):
        for j in range(3):
            _combine(_WEIGHTS[i], weights[:, j], halves[i, j])
        for j in range(SIDE):
            _combine(_WEIGHTS[j], halves[i], out[i, j])


@njit_sums
def _combine(factors: Reals, rows: Reals, out: Reals) -> None:
    """The sum of three rows times factors."""
    a, b, c = rows[0], rows[1], rows[2]
    for i in range(len(out)):
        out[i] = factors[0] * a[i] + factors[1] * b[i] + factors[2] * c[i]


@njit_sums
def _read_squares(
    images: Reals, y: Int, x: Int, example: Int, lanes: Int, squares: Reals, plane: Int
) -> None:
    """Transform one square of each channel, from row y and column x on."""
    channels, height, width, examples = images.shape
    rows, columns = _bits(SIDE, y, height), _bits(SIDE, x, width)
    is_whole = rows == columns == (1 << SIDE) - 1
    flat, down, steps = images.reshape(-1), width * examples, SIDE * plane
    for channel in range(channels):
        at = ((channel * height + y) * width + x) * examples + example
        to = channel * lanes
        for i in range(0, lanes, LANES):
            a, b = at + i, to + i
            if is_whole:
                _read_inside(flat, squares, a, down, examples, b, steps, plane, 0, 0)
            else:
                _read(flat, squares, a, down, examples, b, steps, plane, rows, columns)


@njit_sums
def _multiply(
    squares: Reals,
    plane: Int,
    weights: Reals,
    bias: Reals,
    places: Places,
    lanes: Int,
    block: Int,
    sums: Reals,
) -> None:
    """Products of transformed squares and weights, summed over channels, for a block of filters."""
    numbers, blocks, channels, _ = weights.shape
    factors, of_block = weights.reshape(-1), channels * FILTERS
    result = FILTERS * lanes + GAP
    for number in range(numbers):
        at = (number * blocks + block) * of_block
        for i in range(0, lanes, WIDTH):
            a, to = number * plane + i, number * result + i
            product(squares, places, factors, bias, sums, a, at, 0, to, lanes, FILTERS)


@njit_sums
def _write_squares(
    sums: Reals, lanes: Int, first: Int, out: Reals, y: Int, x: Int, example: Int
) -> None:
    """Transform the sums of filters, from the first on, back to row y and column x on."""
    filters, height, width, examples = out.shape
    rows, columns = _bits(STEP, y, height), _bits(STEP, x, width)
    are_kept = rows == columns == (1 << STEP) - 1
    result = FILTERS * lanes + GAP
    flat, down, steps = out.reshape(-1), width * examples, SIDE * result
    for one in range(min(FILTERS, filters - first)):
        to = (((first + one) * height + y) * width + x) * examples + example
        for i in range(0, lanes, LANES):
            a, b = one * lanes + i, to + i
            if are_kept:
                _write_inside(sums, flat, a, steps, result, b, down, examples, 0, 0)
            else:
                _write(sums, flat, a, steps, result, b, down, examples, rows, columns)


@njit_sums
def _bits(count: Int, first: Int, length: Int) -> Int:
    """Which of so many neighbours, from the first, lie in 0..length-1."""
    bits = 0
    for i in range(count):
        if 0 <= first + i < length:
            bits |= 1 << i
    return bits


@njit_parallel
def winograd_in_threads(
    images: Reals,
    up: Int,
    left: Int,
    weights: Reals,
    bias: Reals,
    lanes: Int,
    places: Places,
    out: Reals,
    scratch: Reals,
    bounds: Places,
) -> None:
    """As `winograd`, the rows of squares between two neighbouring bounds in a thread.

    scratch  a row for each thread
    """
    for thread in numba.prange(len(bounds) - 1):
        begin, end = bounds[thread], bounds[thread + 1]
        own = scratch[thread]
        winograd(images, up, left, weights, bias, lanes, places, out, own, begin, end)
