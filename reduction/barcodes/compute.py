"""The barcode of a filtration: its persistence pairs, with the values of their simplices, or of the
generators of a chain complex."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reduction.barcodes.barcode import Barcode
from reduction.barcodes.bounds import Bounds, error_bound, frozen, lowest_deaths
from reduction.barcodes.simplex_pairs import Generators, Located
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
        births, deaths, values = _bars(filtration.values, r, pairing, keep_zero=keep_zero)
        bars.append(values)
        located.append(Located(filtration.simplices, r, births, deaths))
        if lower is not None:
            lowest = lowest_deaths(filtration, r, p)[births]
            bounds.append(Bounds(frozen(lowest), error_bound(filtration, r, pairing, lower, p)))
    return Barcode.located(bars, located, p, Cycles(filtration, p), bounds)


def barcode_of_chains(
    values: Sequence[NDArray[np.float64]], pairings: Sequence[Pairing], p: int, *, keep_zero: bool
) -> Barcode:
    """The barcode of a chain complex, from the persistence pairs over Z/p of the indices 0, 1, ...

    values  for each degree r (m_r,), of its generators, by which the ends of bars are named
    """
    bars: list[NDArray[np.float64]] = []
    located: list[Located] = []
    for r, pairing in enumerate(pairings):
        births, deaths, rows = _bars(values, r, pairing, keep_zero=keep_zero)
        bars.append(rows)
        located.append(Located(Generators(), r, births, deaths))
    return Barcode.located(bars, located, p, None, [])


def _bars(
    values: Sequence[NDArray[np.float64]], r: int, pairing: Pairing, *, keep_zero: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Births, their deaths, -1 for none, and their values (m, 2), in the order of a barcode."""
    births, deaths = pairing.births, np.full(pairing.births.size, -1)
    deaths[: pairing.deaths.size] = pairing.deaths
    born, died = values[r][births], np.full(births.size, np.inf)
    if pairing.deaths.size:
        died[: pairing.deaths.size] = values[r + 1][pairing.deaths]
    if not keep_zero and not (born < died).all():
        long = born < died
        births, deaths, born, died = births[long], deaths[long], born[long], died[long]
    order = bars_order(born, died, births)
    rows = np.empty((order.size, 2))

    def arrange(begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        some = order[begin:end]
        rows[begin:end, 0], rows[begin:end, 1] = born[some], died[some]
        return births[some], deaths[some]

    parts = spread(arrange, even_bounds(order.size))
    births, deaths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return births, deaths, rows
