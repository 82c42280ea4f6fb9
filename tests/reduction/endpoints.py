"""Barcodes with ends, for the tests of what becomes of them."""

import math

import numpy as np

from reduction import Barcode, BarEnds, Ends, FilteredComplex

NAN = math.nan
NAMES = ("certified", "points", "gradient_norms", "eigenvalues", "morse")


def ends(*rows: tuple[bool, int | None, float]) -> Ends:
    """Ends in the plane from (certified, Morse index, |grad|); no point where the index is None.

    Points of different rows differ.
    """
    found = np.array([morse is not None for _, morse, _ in rows], bool)
    known = np.array([-1 if morse is None else morse for _, morse, _ in rows], int)
    signs = np.where(np.arange(2) < known[:, None], -1.0, 1.0)
    return Ends(
        np.array([certified for certified, _, _ in rows], bool),
        np.where(
            found[:, None],
            np.array([[0.1 + row, -0.3] for row in range(len(rows))]).reshape(-1, 2),
            NAN,
        ),
        np.array([norm for _, _, norm in rows], float),
        np.where((known >= 0)[:, None], signs, NAN),
        known,
    )


NOTHING = (False, None, NAN)


def bare() -> Barcode:
    """Components [0, inf), [1, 5], [2, 3]; a cycle [5, 7.5]."""
    return FilteredComplex.from_simplices(
        {(0,): 0, (1,): 1, (2,): 2, (1, 2): 3, (0, 1): 5, (0, 2): 5, (0, 1, 2): 7.5}
    ).barcode()


def mixed() -> Barcode:
    """Its ends: five of seven certified, one degenerate, one without a point."""
    return bare().with_ends(
        [
            (
                ends((True, 0, 1e-9), (True, 0, 0.0), (True, 0, 2.5e-11)),
                ends(NOTHING, (True, 1, 3e-8), (False, -1, 0.02)),
            ),
            (ends((True, 1, 4e-10)), ends(NOTHING)),
        ]
    )


def examined(*, certified: bool) -> Barcode:
    """All ends certified, or none."""

    def side(index: int, count: int, essential: int = 0) -> Ends:
        row = (True, index, 1e-9) if certified else NOTHING
        return ends(*[NOTHING] * essential, *[row] * count)

    return bare().with_ends([(side(0, 3), side(1, 2, essential=1)), (side(1, 1), side(2, 1))])


def carried(barcode: Barcode) -> list[BarEnds]:
    """The ends of every index; they must be there."""
    found = [barcode.ends(r) for r in range(len(barcode))]
    return [pair for pair in found if pair is not None]
