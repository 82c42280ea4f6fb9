"""Channels that are scaled by their means and variances."""

import numba

from nets.kernels.convolution import Places, Reals
from reduction.kernels.compilation import Float, Int, njit_parallel, njit_sums


@njit_sums
def normalise(
    images: Reals,
    means: Reals,
    variances: Reals,
    weight: Reals,
    bias: Reals,
    added: Float,
    out: Reals,
    begin: Int,
    end: Int,
) -> None:
    """(image - mean) weight / sqrt(variance + added) + bias, (channels,) each.

    The channels begin..end-1.
    """
    for channel in range(begin, end):
        factor = weight[channel] / (variances[channel] + added) ** 0.5
        _scale(images, channel, means[channel], factor, bias[channel], out)


@njit_parallel
def normalise_in_threads(
    images: Reals,
    means: Reals,
    variances: Reals,
    weight: Reals,
    bias: Reals,
    added: Float,
    out: Reals,
    bounds: Places,
) -> None:
    """As `normalise`, the channels between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        begin, end = bounds[thread], bounds[thread + 1]
        normalise(images, means, variances, weight, bias, added, out, begin, end)


@njit_sums
def standardise(
    images: Reals,
    means: Reals,
    variances: Reals,
    momentum: Float,
    weight: Reals,
    bias: Reals,
    added: Float,
    out: Reals,
    begin: Int,
    end: Int,
) -> None:
    """As `normalise`, by the images' own means and variances, which those that are given take up
    with a momentum, in place; variances as for a sample.
    """
    count = images[0].size
    for channel in range(begin, end):
        mean, variance = _moments(images, channel)
        of_sample = variance * count / (count - 1)
        means[channel] = (1 - momentum) * means[channel] + momentum * mean
        variances[channel] = (1 - momentum) * variances[channel] + momentum * of_sample
        factor = weight[channel] / (variance + added) ** 0.5
        _scale(images, channel, mean, factor, bias[channel], out)


@njit_parallel
def standardise_in_threads(
    images: Reals,
    means: Reals,
    variances: Reals,
    momentum: Float,
    weight: Reals,
    bias: Reals,
    added: Float,
    out: Reals,
    bounds: Places,
) -> None:
    """As `standardise`, the channels between two neighbouring bounds in a thread."""
    for thread in numba.prange(len(bounds) - 1):
        begin, end = bounds[thread], bounds[thread + 1]
        standardise(images, means, variances, momentum, weight, bias, added, out, begin, end)


@njit_sums
def _moments(images: Reals, channel: Int) -> tuple[Float, Float]:
    """Mean and variance: added up in the images' type along rows, and in float64 over rows.

    Of differences from one of the numbers, which are small where means are large.
    """
    rows = images[channel].reshape(images.shape[1], -1)
    total, squares, one = 0.0, 0.0, rows[0, 0]
    for y in range(len(rows)):
        row, of_row = rows[y], images.dtype.type(0)
        for i in range(len(row)):
            of_row += row[i] - one
        total += of_row
    mean = one + total / rows.size
    centre = images.dtype.type(mean)
    for y in range(len(rows)):
        row, of_row = rows[y], images.dtype.type(0)
        for i in range(len(row)):
            of_row += (row[i] - centre) * (row[i] - centre)
        squares += of_row
    return mean, squares / rows.size - (mean - centre) ** 2


@njit_sums
def _scale(
    images: Reals, channel: Int, mean: Float, factor: Float, shift: Float, out: Reals
) -> None:
    real = images.dtype.type
    centre, by = real(mean), real(factor)
    then = real(shift + (centre - mean) * factor)  # what the mean's rounding leaves
    read, written = images[channel].reshape(-1), out[channel].reshape(-1)
    for i in range(len(read)):
        written[i] = (read[i] - centre) * by + then
