"""Convergence of barcodes: W_inf of each index against the gradients by which simplices were
trained.

The W_inf of trained networks is no property of their loss, it belongs to the simplices between
them. That of index 0 can only be too high, up to what refined maxima may be too low by: its births
are minima, and each death is the highest loss on paths that were found. In higher indices births
are values of simplices as well, and W_inf may be too low or too high. Bars of two barcodes at a
bottleneck distance of e in the max-norm, in which a bar is half its length from the diagonal, have
longest lengths that differ by 2 e at most, so that W_inf, a length over sqrt(2), is at most
sqrt(2) times the error (`Barcode.error`) from that of perfectly optimised simplices. Each effort
begins anew from straight simplices, so that neither need fall from one to the next.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reduction import Barcode, OptionError, ShapeError, w_inf
from reduction.files import refusing
from reduction.persistence.fields import prime
from reduction.reprs import few
from reduction.validation import as_integer, is_number, short_repr
from simplicial.reports.convergence_file import (
    VERSION,
    EffortRecord,
    IndexRecord,
    read_convergence,
    write_convergence,
)

Floats = NDArray[np.float64]

CONVERGENCE = "convergence.json"  # in a run folder, and in that of a result
LEGEND = (
    "W_inf: of simplices trained at this effort, no property of the loss; of index 0 an upper "
    "bound; lowest: W_inf, if simplices one dimension higher were perfect, 0 in index 0 if all "
    "edges are there; error: bound on the bottleneck distance, if all were"
)


@dataclass(frozen=True, slots=True, eq=False)
class Convergence:
    """W_inf of the indices 0 .. m - 1 of the barcodes of one set of minima, at growing efforts.

    efforts    (k,) float64, ascending: multiples of an optimizer's gradients
    gradients  (k,) int64, ascending: gradients by which all simplices were trained, at most; on
               mini-batches, where the optimizer takes these. Those of minima and of refined maxima
               are not counted
    w_inf      (k, m) float64, eq. 4; inf where a bar has no end that should have one
    lowest     (k, m) float64, W_inf if each bar had its lowest death (`Barcode.bounds`); 0 in index
               0 of a complex with all edges, where it says nothing
    errors     (k, m) float64, `Barcode.error`; inf where nothing is known
    field      the prime p of the coefficients Z/p
    Arrays are copied and read-only. Raises ShapeError, OptionError, FieldError.
    """

    efforts: Floats
    gradients: NDArray[np.int64]
    w_inf: Floats
    lowest: Floats
    errors: Floats
    field: int = 2

    def __post_init__(self) -> None:
        prime(self.field)
        efforts = _numbers("efforts", self.efforts, 1)
        gradients = _counts("gradients", self.gradients)
        rows = [_numbers(name, getattr(self, name), 2) for name in ("w_inf", "lowest", "errors")]
        k, m = rows[0].shape
        if (
            {array.shape for array in rows} != {(k, m)}
            or not m
            or {efforts.size, gradients.size} != {k}
        ):
            raise ShapeError(
                "w_inf, lowest and errors have a row for each effort and a column for each index, "
                f"got shapes {[array.shape for array in rows]} for {efforts.size} efforts and "
                f"{gradients.size} counts of gradients; give as many rows"
            )
        _check_ascending("efforts", efforts, above=0.0)
        _check_ascending("gradients", gradients, above=-1.0)
        if not ((rows[1] >= 0) & (rows[1] <= rows[0]) & (rows[2] >= 0)).all():
            raise OptionError(
                "a lowest W_inf lies between 0 and W_inf, and an error is not negative, got "
                f"{short_repr(self.w_inf)}, {short_repr(self.lowest)} and "
                f"{short_repr(self.errors)}: give `Convergence.of` barcodes"
            )
        parts = (efforts, gradients, *rows)
        for name, array in zip(
            ("efforts", "gradients", "w_inf", "lowest", "errors"), parts, strict=True
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of(cls, efforts: ArrayLike, gradients: ArrayLike, barcodes: Sequence[Barcode]) -> Self:
        """The convergence of barcodes, of complexes of the same minima, one for each effort.

        Raises OptionError for what are no barcodes over one field, BarcodeError for one without
        bounds, and what the constructor raises.
        """
        is_listed = isinstance(barcodes, Sequence) and len(barcodes) > 0
        if not is_listed or not all(isinstance(barcode, Barcode) for barcode in barcodes):
            raise OptionError(
                "a convergence is that of a barcode for each effort, got "
                f"{short_repr(barcodes)}: give those of `LossComplex.barcode`"
            )
        fields = {barcode.field for barcode in barcodes}
        if len(fields) > 1 or len({len(barcode) for barcode in barcodes}) > 1:
            raise OptionError(
                f"barcodes must have one field and the same indices, got fields {sorted(fields)} "
                f"and {[len(barcode) for barcode in barcodes]} indices: give those of one max_dim"
            )
        indices = range(len(barcodes[0]))
        errors = np.array([[barcode.error(r) for r in indices] for barcode in barcodes])
        counts: Any = gradients  # an array of ints and floats would round
        return cls(
            np.asarray(efforts),
            counts,
            np.array([[barcode.w_inf(r) for r in indices] for barcode in barcodes]),
            np.array([[lowest_w_inf(barcode, r) for r in indices] for barcode in barcodes]),
            errors,
            fields.pop(),
        )

    def __len__(self) -> int:
        """The number of efforts."""
        return len(self.efforts)

    def __repr__(self) -> str:
        efforts = few(self.efforts, "g")
        return f"Convergence(efforts={efforts}, indices={self.w_inf.shape[1]}, field={self.field})"

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises DataError for other content, OptionError for what is no path, OSError where there is
        no file.
        """
        with refusing(path, "convergence", VERSION) as content:
            field, records = read_convergence(content)
            rows = [record.indices for record in records]
            return cls(
                np.array([record.effort for record in records], np.float64),
                np.array([record.gradients for record in records], np.int64),
                *(
                    np.array([[getattr(index, name) for index in row] for row in rows])
                    for name in IndexRecord._fields
                ),
                field=field,
            )

    def save(self, path: str | Path) -> None:
        """Write UTF-8 JSON, from which `load` restores every bit; overwrites.

        Raises OptionError for what is no path, OSError where it cannot be written.
        """
        records = [
            EffortRecord(
                effort,
                count,
                [IndexRecord(*index) for index in zip(*rows, strict=True)],
            )
            for effort, count, *rows in zip(
                self.efforts.tolist(),
                self.gradients.tolist(),
                self.w_inf.tolist(),
                self.lowest.tolist(),
                self.errors.tolist(),
                strict=True,
            )
        ]
        write_convergence(path, self.field, records)

    def table(self) -> str:
        """A text table: index by index, effort by effort, gradients, W_inf and its bounds."""
        return "\n".join([f"coefficients Z/{self.field}", *self._blocks(), "", LEGEND])

    def rows(self, r: int) -> list[tuple[str, ...]]:
        """Effort, gradients, W_inf, its lowest and the error of index r as text, by effort.

        Raises OptionError for an index that is not there.
        """
        if as_integer("an index", r, 0) >= self.w_inf.shape[1]:
            raise OptionError(
                f"an index must be one of 0 to {self.w_inf.shape[1] - 1} here, got "
                f"{short_repr(r)}: give one of these"
            )
        columns = self.w_inf[:, r], self.lowest[:, r], self.errors[:, r]
        return [
            (f"{effort:g}", f"{count}", *(f"{value:.6g}" for value in values))
            for effort, count, *values in zip(self.efforts, self.gradients, *columns, strict=True)
        ]

    def _blocks(self) -> list[str]:
        lines = []
        for r in range(self.w_inf.shape[1]):
            lines += [
                "",
                f"index {r}",
                f"{'effort':>8} {'gradients':>12} {'W_inf':>12} {'lowest':>12} {'error':>12}",
            ]
            lines += ["{:>8} {:>12} {:>12} {:>12} {:>12}".format(*row) for row in self.rows(r)]
        return lines


def lowest_w_inf(barcode: Barcode, r: int) -> float:
    """W_inf of index r if each bar had its lowest death."""
    bounds = barcode.bounds(r)
    assert bounds is not None, "an error was asked for"
    bars = np.column_stack([barcode[r][:, 0], bounds.lowest_deaths])
    return w_inf(bars, essential=1 if r == 0 else 0)


def _numbers(name: str, given: Any, ndim: int) -> Floats:
    """A copy as float64, without NaN. Raises ShapeError, OptionError."""
    try:
        array = np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(())
    if array.ndim != ndim or not array.size:
        raise _wrong_shape(name, given, ndim)
    if np.isnan(array).any():
        raise OptionError(f"{name} must be numbers, got {short_repr(given)}: leave nan out")
    return array


def _counts(name: str, given: Any) -> NDArray[np.int64]:
    """A copy as int64 of whole numbers of any type, exactly. Raises ShapeError, OptionError."""
    try:
        array = np.array(given, object)  # as they are: float64 has not all of them
    except ValueError:
        array = np.empty((), object)
    if array.ndim != 1 or not array.size or not all(map(is_number, array)):
        raise _wrong_shape(name, given, 1)
    if not all(0 <= value < 2**63 and value == int(value) for value in array):
        raise OptionError(
            f"{name} must be whole numbers from 0 to 2**63 - 1, got {short_repr(given)}: give "
            "counts"
        )
    return np.array([int(value) for value in array], np.int64)


def _wrong_shape(name: str, given: Any, ndim: int) -> ShapeError:
    return ShapeError(
        f"{name} must be numbers in {ndim} dimension{'s' if ndim > 1 else ''}, one or more, got "
        f"{short_repr(given)}; give an array of them"
    )


def _check_ascending(name: str, values: Floats | NDArray[np.int64], *, above: float) -> None:
    if not (values[0] > above and math.isfinite(values[-1]) and (np.diff(values) > 0).all()):
        raise OptionError(
            f"{name} must be finite, {'positive' if above == 0 else 'not negative'} and ascending, "
            f"got {', '.join(f'{value:g}' for value in values)}: sort them, each once"
        )
