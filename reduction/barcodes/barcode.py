"""Barcodes: the lifetimes of the topological features of a filtered complex, index by index."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction.barcodes.bar_columns import bar_columns
from reduction.barcodes.barcode_file import VERSIONS, IndexRecord, read_barcode, write_barcode
from reduction.barcodes.barcode_html import barcode_html
from reduction.barcodes.bars import (
    Bars,
    checked_bars,
    checked_weights,
    essential_births,
    finite_bars,
    level_within,
)
from reduction.barcodes.bounds import Bounds, checked_bounds
from reduction.barcodes.distances import w_inf
from reduction.barcodes.endpoints import BarEnds, Ends, checked_ends
from reduction.barcodes.repeated import check_repeated, repeated_ends
from reduction.barcodes.simplex_pairs import Located, Pairs, checked_pairs, named_pairs
from reduction.barcodes.text_table import line, table
from reduction.data_frames import data_frame
from reduction.errors import BarcodeError, DimensionError, ShapeError
from reduction.files import refusing
from reduction.persistence.cycles import Chain, Cycles
from reduction.persistence.fields import prime
from reduction.validation import is_whole, length_of

if TYPE_CHECKING:  # loaded where it is used
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False, init=False, repr=False)
class Barcode:
    """Bars of the indices 0..len(barcode) - 1.

    bars   for each index (m, 2) float64: birth, and death or inf, in units of the loss
    pairs  for each index the simplices that begin and end each bar
    field  the prime p of the coefficients Z/p
    ends   for each index the critical points at which its bars begin and end, in the order of the
           bars given; None if they are unknown
    bounds for each index the lowest deaths of its bars, in the order of the bars given, and a bound
           on the error; None if they are unknown

    Rows are sorted by birth, then death, then the colexicographic order of the simplices that begin
    the bars; no simplex begins, or ends, two of an index. Arrays are copied and read-only.
    `barcode[r]` is bars[r]; iterating gives one array after the other. A barcode that a complex
    gave holds that complex, for the cycles of its bars. Raises ShapeError, BarcodeError,
    FieldError.
    """

    bars: tuple[Bars, ...]
    field: int
    _pairs: tuple[Pairs | Located, ...]
    _ends: tuple[BarEnds, ...]  # empty where they are unknown
    _bounds: tuple[Bounds, ...]  # empty where they are unknown
    _cycles: Cycles | None  # of the complex, where pairs are Located; None if there is none

    def __init__(
        self,
        bars: Sequence[ArrayLike],
        pairs: Sequence[tuple[ArrayLike, ArrayLike]],
        field: int,
        ends: Sequence[tuple[Ends, Ends]] | None = None,
        bounds: Sequence[tuple[ArrayLike, float]] | None = None,
    ) -> None:
        remedy = "give one for every index"
        counts = length_of("bars", bars, remedy), length_of("pairs", pairs, remedy)
        if counts[0] != counts[1]:
            raise ShapeError(
                f"bars has {counts[0]} indices and pairs {counts[1]}; "
                "give one of each for every index"
            )
        rows = [checked_bars(given, f"bars[{r}]") for r, given in enumerate(bars)]
        checked = [checked_pairs(r, pair, rows[r]) for r, pair in enumerate(pairs)]
        found = [] if ends is None else checked_ends(ends, rows)
        bounded = [] if bounds is None else checked_bounds(bounds, rows)
        for r, (births, deaths) in enumerate(checked):
            order = np.lexsort((*births.T, rows[r][:, 1], rows[r][:, 0]))
            rows[r], checked[r] = rows[r][order], Pairs(births[order], deaths[order])
            if found:
                found[r] = BarEnds(*(side.taken(order) for side in found[r]))
            if bounded:
                bounded[r] = bounded[r].taken(order)
            for array in (rows[r], *checked[r]):
                array.flags.writeable = False
        self._hold(
            tuple(rows),
            prime(field),
            pairs=tuple(checked),
            ends=tuple(found),
            bounds=tuple(bounded),
            cycles=None,
        )

    @classmethod
    def located(
        cls,
        bars: Sequence[Bars],
        pairs: Sequence[Located],
        field: int,
        cycles: Cycles | None,
        bounds: Sequence[Bounds],
    ) -> "Barcode":
        """A barcode from bars in order and the positions of their simplices, not checked."""
        barcode = object.__new__(cls)
        for rows in bars:
            rows.flags.writeable = False
        barcode._hold(
            tuple(bars), field, pairs=tuple(pairs), ends=(), bounds=tuple(bounds), cycles=cycles
        )
        return barcode

    @classmethod
    def load(cls, path: str | Path) -> "Barcode":
        """Read what `save` wrote.

        Raises DataError for other content, OptionError for what is no path, OSError where there is
        no file.
        """
        with refusing(path, "barcode", VERSIONS) as content:
            field, records = read_barcode(content)
            bars = [
                [(birth, math.inf if death is None else death) for birth, death in record.bars]
                for record in records
            ]
            pairs = [named_pairs(r, each.births, each.deaths) for r, each in enumerate(records)]
            ends = [record.ends for record in records if record.ends is not None]
            bounds = [record.bounds for record in records if record.bounds is not None]
            if ends:
                rows = [np.array(each, np.float64).reshape(-1, 2) for each in bars]
                check_repeated([r.repeated for r in records], rows, checked_ends(ends, rows))
            return cls(bars, pairs, field, ends or None, bounds or None)

    def save(self, path: str | Path) -> None:
        """Write UTF-8 JSON, from which `load` restores every bit; overwrites.

        Raises OptionError for what is no path, OSError where it cannot be written.
        """
        records = [
            IndexRecord(
                [(birth, None if math.isinf(death) else death) for birth, death in bars.tolist()],
                pairs.births.tolist(),
                [None if row[0] < 0 else row for row in pairs.deaths.tolist()],
                self.ends(r),
                self.bounds(r),
                self.repeated(r).T.tolist(),
            )
            for r, bars in enumerate(self.bars)
            for pairs in [self.pairs(r)]
        ]
        write_barcode(path, self.field, records)

    def __repr__(self) -> str:
        return line(self.field, self.bars, self._ends, self._bounds)

    def __len__(self) -> int:
        """The number of indices reported."""
        return len(self.bars)

    def __iter__(self) -> Iterator[Bars]:
        return iter(self.bars)

    def __getitem__(self, r: int) -> Bars:
        """The bars of index r, (m, 2). Raises DimensionError."""
        return self.bars[self._index(r)]

    def pairs(self, r: int) -> Pairs:
        """The simplices that begin and end the bars of index r. Raises DimensionError."""
        found = self._pairs[self._index(r)]
        return found.pairs() if isinstance(found, Located) else found

    def ends(self, r: int) -> BarEnds | None:
        """The critical points at which the bars of index r begin and end; None if they are
        unknown. Raises DimensionError."""
        self._index(r)
        return self._ends[r] if self._ends else None

    def repeated(self, r: int) -> NDArray[np.bool_]:
        """Which births and deaths (m, 2) of index r are at a critical point that ends another bar.

        A non-degenerate one ends one bar: a birth at the point at which a bar of index r - 1 ends
        is not true, and of several births, or several deaths, one at most is
        (`reduction.barcodes.repeated`). False where ends are unknown. Raises DimensionError.
        """
        index = self._index(r)
        if not self._ends:
            return np.zeros(self.bars[index].shape, np.bool_)
        return repeated_ends(self.bars, self._ends)[index]

    def with_ends(self, ends: Sequence[tuple[Ends, Ends]]) -> "Barcode":
        """The same bars with their births' and deaths' critical points, given for each index.

        Rows are those of `self[r]`. The death of an essential bar has no point; certified births of
        index r have Morse index r, certified deaths r + 1. Raises ShapeError, BarcodeError.
        """
        return self._with(ends=tuple(checked_ends(ends, self.bars)), bounds=self._bounds)

    def bounds(self, r: int) -> Bounds | None:
        """The lowest deaths of the bars of index r, and the bound on its error; None if they are
        unknown. Raises DimensionError."""
        self._index(r)
        return self._bounds[r] if self._bounds else None

    def with_bounds(self, bounds: Sequence[tuple[ArrayLike, float]]) -> "Barcode":
        """The same bars with bounds, given for each index.

        Rows are those of `self[r]`; a lowest death is no lower than the birth and no higher than
        the death, an error not negative. Raises ShapeError, BarcodeError.
        """
        return self._with(ends=self._ends, bounds=tuple(checked_bounds(bounds, self.bars)))

    def error(self, r: int) -> float:
        """A bound on the bottleneck distance of Barcode^r to that of perfectly optimised simplices.

        The values of simplices are the largest loss on their best maps so far; with better maps
        they are lower, but never lower than the highest vertex, nor the barcode farther away than
        this bound. It falls with every simplex that is improved, and says nothing of minima that
        are not among the vertices. inf where nothing is known: where the loss is not finite on a
        simplex, or was only sampled. See `reduction.barcodes.bounds`. Raises DimensionError;
        BarcodeError for a barcode without bounds, as one of any other complex is.
        """
        found = self.bounds(r)
        if found is None:
            raise BarcodeError(
                "an error belongs to values of optimised simplices, this barcode has no bounds; "
                "ask the barcode of a LossComplex, or give `FilteredComplex.barcode` lower bounds"
            )
        return found.error

    def cycle(self, r: int, i: int) -> Chain:
        """A representative cycle of bar i of index r, `self[r][i]`.

        It is an r-chain without boundary. Its youngest simplex by (value, position) is
        `self.pairs(r).births[i]`, where its coefficient is 1. It becomes a boundary with the
        simplex that ends the bar, and not before. At any value, the cycles of the bars of index r
        alive there (those of length zero, which a barcode leaves out, may be so for no value) are a
        basis of the homology of the sublevel complex.

        It is found at the first request, and what was reduced for it serves the next ones. The
        first of each index finds the pairs of the complex anew, which takes as long as the barcode
        took. Memory in bytes: 33 for each r-simplex, 8 r + 74 for each that begins a class, and 16
        to 48 for each term of the columns that were reduced.

        Raises DimensionError; BarcodeError for a bar that there is not, and for a barcode that no
        complex of simplices gave, made by hand or loaded; CapacityError.
        Source: Čufar & Virk (2023), see `reduction.persistence.boundary_reduction`.
        """
        cycles, birth, death = self._located(r, i, "cycles")
        return cycles.cycle(r, birth, death)

    def shortened(
        self, r: int, i: int, *, level: float | None = None, weights: ArrayLike | None = None
    ) -> Chain:
        """A cycle in the homology class of `cycle(r, i)` at a level, and no heavier than it.

        level    from the bar's birth, the default, to before its death: boundaries of simplices
                 up to this value may be added
        weights  (m_r,) finite, not negative, of the r-simplices in the order of the complex's
                 `values`, as `values[1]` of a Rips complex for lengths; by default all are 1

        No boundary of a single simplex makes it lighter; it need not be the lightest one. Raises
        what `cycle` does, and BarcodeError for another level, ShapeError, OptionError for weights.
        Source: see `reduction.persistence.shortening`.
        """
        cycles, birth, death = self._located(r, i, "cycles")
        value = level_within(self[r][i], level)
        heavy = checked_weights(weights, cycles.values[r].size)
        return cycles.shortened(r, birth, death, value, heavy)

    def cocycle(self, r: int, i: int) -> Chain:
        """A representative cocycle of bar i of index r, `self[r][i]`, as an r-cochain.

        Its coefficient is 1 at `self.pairs(r).births[i]`, its oldest simplex by (value, position).
        Its coboundary vanishes on all simplices before the one that ends the bar, and not on that.
        At any value, the cocycles of the bars of index r alive there, restricted to the sublevel
        complex (those of length zero may be so for no value), are a basis of its cohomology.

        All columns of an index are reduced at the first request, with the facets of all
        (r+1)-simplices in memory, see `reduction.persistence.cocycles`. Raises what `cycle` does.
        """
        cycles, birth, _ = self._located(r, i, "cocycles")
        return cycles.cocycle(r, birth)

    def finite(self, r: int) -> Bars:
        """The bars of index r that end, (m', 2). Raises DimensionError."""
        return finite_bars(self[r])

    def essential(self, r: int) -> NDArray[np.float64]:
        """The births of the bars of index r that never end, (m'',). Raises DimensionError."""
        return essential_births(self[r])

    def w_inf(self, r: int) -> float:
        """Eq. 4: the distance of Barcode^r to the convex ideal, max (d - b)/sqrt(2) over its bars.

        0.0 where there are none. A convex function has one essential bar in index 0 and no other
        bars at all: that one bar is allowed here too, and any other essential bar makes the
        distance inf. Raises DimensionError.
        """
        return w_inf(self[r], essential=1 if r == 0 else 0)

    def table(self) -> str:
        """A text table: index by index count, essential, longest and W_inf; then bar after bar.

        Where there are ends, it marks those that are not certified, and those that are repeated.
        """
        return table(self.field, *self._parts())

    def to_pandas(self) -> "DataFrame":
        """A row for each bar: index, birth, death, and what is known of them.

        birth_simplex, death_simplex      tuples of labels; None where nothing ends a bar
        lowest_death                      where there are bounds
        birth_certified, death_certified  where there are ends, with birth_repeated and
                                          death_repeated beside them
        Raises OptionError where pandas cannot be imported.
        """
        return data_frame(bar_columns(*self._parts()))

    def _repr_html_(self) -> str:
        return barcode_html(self.field, *self._parts())

    def _parts(
        self,
    ) -> tuple[Sequence[Bars], Sequence[Pairs], Sequence[BarEnds], Sequence[Bounds]]:
        """Bars, pairs, ends and bounds of all indices; ends and bounds may be empty."""
        pairs = [self.pairs(r) for r in range(len(self))]
        return self.bars, pairs, self._ends, self._bounds

    def _with(self, *, ends: tuple[BarEnds, ...], bounds: tuple[Bounds, ...]) -> "Barcode":
        """The same bars with these ends and bounds."""
        barcode = object.__new__(Barcode)
        barcode._hold(
            self.bars,
            self.field,
            pairs=self._pairs,
            ends=ends,
            bounds=bounds,
            cycles=self._cycles,
        )
        return barcode

    def _hold(
        self,
        bars: tuple[Bars, ...],
        field: int,
        *,
        pairs: tuple[Pairs | Located, ...],
        ends: tuple[BarEnds, ...],
        bounds: tuple[Bounds, ...],
        cycles: Cycles | None,
    ) -> None:
        for name, value in (
            ("bars", bars),
            ("field", field),
            ("_pairs", pairs),
            ("_ends", ends),
            ("_bounds", bounds),
            ("_cycles", cycles),
        ):
            object.__setattr__(self, name, value)

    def _located(self, r: int, i: int, kind: str) -> tuple[Cycles, int, int]:
        """The complex's cycles, and the positions of the simplices of a bar; -1 for no death."""
        located, bars = self._pairs[self._index(r)], len(self[r])
        if self._cycles is None or not isinstance(located, Located):
            raise BarcodeError(
                f"{kind} consist of simplices of a complex, but this barcode was loaded, or made "
                "by hand or of a ChainComplex, and has none; ask the barcode that "
                "`FilteredComplex.barcode` gives"
            )
        if not is_whole(i) or not 0 <= i < bars:
            numbered = f"0..{bars - 1}" if bars else "none"
            raise BarcodeError(
                f"a bar is named by its row, but {i!r} is none of index {r} (rows: {numbered}); "
                "take one of these"
            )
        return self._cycles, int(located.births[i]), int(located.deaths[i])

    def _index(self, r: int) -> int:
        if not is_whole(r) or not 0 <= r < len(self):
            reported = f"0..{len(self) - 1}" if len(self) else "none"
            remedy = "ask for one of these"
            if is_whole(r) and r >= len(self):
                remedy += f", or take barcode(max_index={r}) of a complex of dimension {r + 1} "
                remedy += "or more"
            raise DimensionError(f"index {r!r} is not reported (reported: {reported}); {remedy}")
        return r
