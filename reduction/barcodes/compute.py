"""The barcode of a filtration: its persistence pairs, with the values of their simplices."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.barcode import Barcode
from reduction.barcodes.bounds import Bounds, error_bound, frozen, lowest_deaths
from reduction.barcodes.simplex_pairs import Located
from reduction.filtrations.filtration import Filtration
from reduction.filtrations.sorting import bars_order
from reduction.persistence.cycles import Cycles
from reduction.persistence.pairs import Pairing
from reduction.threads import even_bounds, spread


def barcode_of_pairs(
    filtration: Filtration,
    pairings: Sequence[Pairing],
    p: int,
    *,
    keep_zero: bool,
    lower: Sequence[NDArray[np.float64]] | None = None,
) -> Barcode:
    """The barcode of a filtration, from the persistence pairs over Z/p of the indices 0, 1, ...

    lower  for each dimension (m_r,), lower bounds of the values; None: bars have no bounds
    Values are copied from the filtration, never computed, so equal bars are equal bits.
    """
    bars: list[NDArray[np.float64]] = []
    located: list[Located] = []
    bounds: list[Bounds] = []
    for r, pairing in enumerate(pairings):
        births, deaths, values = _bars(filtration, r, pairing, keep_zero=keep_zero)
        bars.append(values)
        located.append(Located(filtration.simplices, r, births, deaths))
        if lower is not None:
            lowest = lowest_deaths(filtration, r, p)[births]
            bounds.append(Bounds(frozen(lowest), error_bound(filtration, r, pairing, lower, p)))
    return Barcode.located(bars, located, p, Cycles(filtration, p), bounds)


def _bars(
    filtration: Filtration, r: int, pairing: Pairing, *, keep_zero: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Births, their deaths, -1 for none, and their values (m, 2), in the order of a barcode."""
    births, deaths = pairing.births, np.full(pairing.births.size, -1)
    deaths[: pairing.deaths.size] = pairing.deaths
    born, died = filtration.values[r][births], np.full(births.size, np.inf)
    if pairing.deaths.size:
        died[: pairing.deaths.size] = filtration.values[r + 1][pairing.deaths]
    if not keep_zero and not (born < died).all():
        long = born < died
        births, deaths, born, died = births[long], deaths[long], born[long], died[long]
    order = bars_order(born, died, births)
    values = np.empty((order.size, 2))

    def arrange(begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = order[begin:end]
        values[begin:end, 0], values[begin:end, 1] = born[rows], died[rows]
        return births[rows], deaths[rows]

    parts = spread(arrange, even_bounds(order.size))
    births, deaths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return births, deaths, values
