"""Anytime builds: training goes where it can still change a bar, and may end at any time.

A higher simplex needs final faces, so dimensions are built one after another. In each, every
simplex is measured first as it starts, with a harmonic filling: from then on it has a value that
some map attains, and the barcode a finite error. Then simplices are trained at growing efforts,
each anew from its start, as long as they are above a tolerance; the lowest result stays. An effort
is left out where a gap that is left by FALL at each doubling would stay above it. First come the
simplices at the lowest minimum, a cone in which all classes end. Then the others are measured by
way of these (`cone`), which costs no training, and only where that does not suffice are they
trained. In the top dimension a simplex only ends bars: the level at which its boundary bounds
without it counts in place of its value, if that is lower (`reduction.barcodes.bounds`).

A simplex is within the tolerance of bars where its value is at most twice that over its highest
vertex. Where all are, no bar is longer, neither of the values found nor of any between these and
the highest vertices, and the error is no larger than the tolerance: half a bar. Of D dimensions,
r-simplices may take (3 D + r) / (4 D) of it, to leave room for those on them. Where real barriers
are higher nothing comes so far; then a simplex is within the tolerance at the full build's effort,
or at r/D of the tolerance over the full build's values, as far as they are known, of its faces:
values are then within twice the tolerance of the full build's wherever this is no higher. That is
the full build before its elastic simplices are mended (`mending`), which anytime builds leave out.
Choices at an effort depend on the values at its beginning alone: neither on chunks nor on their
order.

What dimensions above did not need goes back, pass by pass. In the first pass a dimension may spend
its share of the full build's gradients, and the next ones what it leaves. In each later one it may
spend all that is left but what those above were trained by: so these can be trained as far again,
on faces that moved. Passes end with one in which nothing could be trained.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simplicial.construction.anytime_progress import AnytimeProgress
from simplicial.construction.executors import cut
from simplicial.construction.measured_dimension import Ints, MeasuredDimension, Tolerances
from simplicial.construction.rung import CONED, STARTED, Rung, RungWork
from simplicial.construction.scheduler import Scheduler
from simplicial.construction.spent import Ended, Spent
from simplicial.construction.state import ConstructionState
from simplicial.options import Limits

RUNGS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # efforts, over the full build's, one after another


class Share(NamedTuple):
    """What a dimension may spend, at most: gradients in all passes (None: any), and the time at
    which it ends.
    """

    gradients: int | None
    until: float


class Worked(NamedTuple):
    """A dimension, and what ended the work on it."""

    dimension: MeasuredDimension
    ended: Ended


class Found(NamedTuple):
    """The state in which all dimensions are finished, and what was spent."""

    state: ConstructionState
    spent: Spent


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """Dimensions after a pass, all or those so far.

    dimensions  1, 2, ...
    ends        what ended the work on each
    seconds     that each took, in the longest pass so far
    """

    dimensions: tuple[MeasuredDimension, ...] = ()
    ends: tuple[Ended, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def gradients(self) -> int:
        """Training gradients in all passes so far."""
        return sum(dimension.gradients for dimension in self.dimensions)

    @property
    def ended(self) -> Ended:
        """What ended it."""
        if "seconds" in self.ends:
            return "seconds"
        return "gradients" if "gradients" in self.ends else "tolerance"

    def above(self, r: int) -> "Pass":
        """The dimensions above r."""
        return Pass(self.dimensions[r:], self.ends[r:], self.seconds[r:])

    def and_(self, worked: Worked, seconds: float) -> "Pass":
        """With the next dimension."""
        dimension, ended = worked
        return Pass((*self.dimensions, dimension), (*self.ends, ended), (*self.seconds, seconds))


NONE = Pass()  # of no dimensions


@dataclass(frozen=True, slots=True, eq=False)
class AnytimeBuilder:
    """Builds a complex within limits.

    scheduler  with the prepared optimizer of the full build
    on_chunk   is called with the dimension at work after every chunk
    Raises OptionError of an optimizer that has no efforts, before anything is measured.
    """

    scheduler: Scheduler
    limits: Limits
    on_chunk: Callable[[MeasuredDimension], None] | None = None

    def run(self, state: ConstructionState, max_dim: int, began: float) -> Found:
        """All dimensions. Raises as `Scheduler.run` does.

        began  `time.monotonic()` at the beginning of the build
        """
        rungs = [self._rungs(state, r) for r in range(1, max_dim + 1)]
        seconds, folder = self.limits.max_seconds, self.scheduler.folder
        until = np.inf if seconds is None else began + seconds
        if folder is not None:
            AnytimeProgress.remove(folder.folder)
        last, number, goes_on = self._pass(state, rungs, until), 0, True
        while goes_on and last.ended != "tolerance" and time.monotonic() < until:
            before, number = last, number + 1
            last = self._pass(state, rungs, until, before, number)
            goes_on = last.gradients > before.gradients
        if folder is not None:
            done = AnytimeProgress.of(last.dimensions, max_dim, 0.0)
            replace(done, ended=last.ended).write(folder.folder)
        spent = Spent(
            tuple(dimension.gradients for dimension in last.dimensions),
            tuple(dimension.efforts for dimension in last.dimensions),
            last.ended,
            self.limits.tolerance_of_bars,
            self.limits.max_gradients,
        )
        for dimension in last.dimensions:
            state = state.finish_dimension(dimension.result())
        return Found(state, spent)

    def _rungs(self, state: ConstructionState, r: int) -> list[Rung]:
        """Those that train r-simplices, but those that come to the same as the next one."""
        optimizer, trained = self.scheduler.optimizer, state.layout.rows(r)
        passes = optimizer.mini_batch_count(state.loss)
        is_free = trained.stop > trained.start
        found: list[Rung] = []
        for number, effort in reversed([*enumerate(RUNGS, start=1)]):
            some = optimizer if effort == 1 else optimizer.with_effort(effort)
            if found and some == found[0].scheduler.optimizer:
                continue
            cost = some.gradient_count(r, passes) if is_free else 0
            found.insert(0, Rung(number, effort, replace(self.scheduler, optimizer=some), cost))
        return found

    def _pass(
        self,
        state: ConstructionState,
        rungs: list[list[Rung]],
        until: float,
        before: Pass = NONE,
        number: int = 0,
    ) -> Pass:
        """All dimensions, one after another, as far as their shares go."""
        n, max_dim = len(state.values[0]), len(rungs)
        found = NONE
        known, moved = state.values[0], np.zeros(n, dtype=bool)
        for r, steps in enumerate(rungs, start=1):
            now, above = time.monotonic(), before.above(r)
            if number:
                dimension = before.dimensions[r - 1].again(state, known, moved)
                share = self._rest(found.gradients, dimension, above, until)
            else:
                tolerances = self._tolerances(r, max_dim)
                dimension = MeasuredDimension.begin(
                    state, known, tolerances, ends_bars=r == max_dim
                )
                share = self._first_share(found.gradients, rungs[r - 1 :], state, until)
            work = DimensionWork(self, steps, share, number, found.dimensions, above.dimensions)
            worked = work.run(dimension)
            seconds = max(time.monotonic() - now, *before.seconds[r - 1 : r], 0.0)
            found = found.and_(worked, seconds)
            known, moved = worked.dimension.known(), worked.dimension.moved
            state = state.with_results(worked.dimension.result())
        return found

    def _tolerances(self, r: int, max_dim: int) -> Tolerances:
        tolerance = self.limits.tolerance_of_bars
        return Tolerances((3 * max_dim + r) / (2 * max_dim) * tolerance, r / max_dim * tolerance)

    def _first_share(
        self, spent: int, rungs: list[list[Rung]], state: ConstructionState, until: float
    ) -> Share:
        """The share of the next dimension in what those below left: that of the full build.

        rungs  of this dimension and of those above
        """
        limit, now, dims = self.limits.max_gradients, time.monotonic(), state.layout.simplices
        above = zip(rungs, dims[state.dim :], strict=True)
        whole = [steps[-1].cost * len(simplices.vertices) for steps, simplices in above]
        own, every = whole[0], max(1, sum(whole))
        return Share(
            None if limit is None else (limit - spent) * own // every,
            until if until == np.inf else now + max(0.0, until - now) * own / every,
        )

    def _rest(self, below: int, dimension: MeasuredDimension, above: Pass, until: float) -> Share:
        """All that is left but what those above took, in which they can be measured and trained
        again.

        below  gradients that were spent there
        """
        limit, taken = self.limits.max_gradients, sum(above.seconds)
        if limit is not None:
            kept = sum(int(each.costs.sum()) for each in above.dimensions)
            limit = max(dimension.gradients, limit - below - above.gradients - kept)
        return Share(limit, until - taken)


@dataclass(frozen=True, slots=True, eq=False)
class DimensionWork:
    """Work on a dimension in a pass: it is measured, then trained within its share.

    rungs         that train
    below, above  the other dimensions as they are
    """

    builder: AnytimeBuilder
    rungs: list[Rung]
    share: Share
    number_of_pass: int
    below: tuple[MeasuredDimension, ...]
    above: tuple[MeasuredDimension, ...]

    def run(self, dimension: MeasuredDimension) -> Worked:
        """The dimension after the pass."""
        dimension = self._measured(dimension, STARTED, dimension.unmeasured())
        if dimension.state.dim > 1 and self._has_time():
            dimension = self._coned(dimension, at_lowest=True)
        dimension, ended = self._trained(dimension, at_lowest=True)
        if not dimension.ends_bars and self._has_time():
            dimension = self._coned(dimension, at_lowest=False)
        if ended == "seconds" or (ended == "gradients" and not self.number_of_pass):
            return Worked(dimension, ended)  # first the rest of the cone, in the next pass
        dimension, last = self._trained(dimension, at_lowest=False)
        return Worked(dimension, last if last != "tolerance" else ended)

    def _has_time(self) -> bool:
        return time.monotonic() < self.share.until

    def _coned(self, dimension: MeasuredDimension, *, at_lowest: bool) -> MeasuredDimension:
        """The dimension, of which simplices above the tolerance are measured by way of the lowest
        minimum: those on it whose faces moved, or those off it, if any on it moved.
        """
        wanted = dimension.wanted(1.0, at_lowest=at_lowest)
        some = wanted[dimension.cone[wanted] == at_lowest]
        if at_lowest:
            some = some[dimension.moved[some]]
        elif not dimension.moved[dimension.cone].any():
            some = some[:0]
        if not at_lowest:
            dimension = dimension.joined_of_cone(some)
        return self._measured(dimension, CONED, some)

    def _measured(
        self, dimension: MeasuredDimension, number: int, order: Ints
    ) -> MeasuredDimension:
        if not len(order):
            return dimension
        rung = Rung(number, 0.0, self.builder.scheduler, 0)
        return self._results(dimension, rung, order, np.inf).dimension

    def _trained(self, dimension: MeasuredDimension, *, at_lowest: bool) -> Worked:
        """Train what is above the tolerance, or of it what is at the lowest minimum."""
        for rung in self.rungs:
            wanted = dimension.wanted(rung.effort, at_lowest=at_lowest)
            if not rung.cost or not len(wanted):
                continue
            if not self._has_time():
                return Worked(dimension, "seconds")
            affordable, limit = wanted, self.share.gradients
            if limit is not None:
                affordable = wanted[: max(0, limit - dimension.gradients) // rung.cost]
            if len(affordable):
                dimension, ended = self._results(dimension, rung, affordable, self.share.until)
                if ended == "seconds":
                    return Worked(dimension, ended)
            if len(affordable) < len(wanted):
                return Worked(dimension, "gradients")
        return Worked(dimension, "tolerance")

    def _results(
        self, dimension: MeasuredDimension, rung: Rung, order: Ints, until: float
    ) -> Worked:
        """The dimension with the results of simplices (k,) in a rung, which ends with the last one,
        or when it is time.
        """
        scheduler = self.builder.scheduler
        work = RungWork.begin(
            dimension, rung, order, number_of_pass=self.number_of_pass, folder=scheduler.folder
        )
        stored = [] if work.records is None else work.records.read(order)
        for which, result in stored:
            dimension = work.added(dimension, which, result)
        parts = self._cut(order, [int(which[0]) for which, _ in stored])
        if not parts:
            dimension = dimension.end_rung()
        if stored:
            self._tell(dimension, rung)
        chunks = rung.scheduler.finished(work.job(lambda: dimension.summary()), parts)
        for done, (which, result) in enumerate(chunks, start=1):
            if work.records is not None:
                work.records.put(which, result)
            dimension = work.added(dimension, which, result)
            has_limit = done < len(parts) and until < np.inf
            is_late = has_limit and time.monotonic() >= until
            if is_late or done == len(parts):
                dimension = dimension.end_rung()
            self._tell(dimension, rung)
            if is_late:
                return Worked(dimension, "seconds")
        return Worked(dimension, "tolerance")

    def _tell(self, dimension: MeasuredDimension, rung: Rung) -> None:
        """Write the progress of the build, and call back."""
        builder, every = self.builder, (*self.below, dimension, *self.above)
        if builder.scheduler.folder is not None:
            progress = AnytimeProgress.of(every, dimension.state.dim, rung.effort)
            progress.write(builder.scheduler.folder.folder)
        if builder.on_chunk is not None:
            builder.on_chunk(dimension)

    def _cut(self, order: Ints, done: list[int]) -> list[Ints]:
        scheduler = self.builder.scheduler
        alone = scheduler.folder is None and scheduler.executor is None
        alone = alone and self.builder.limits.max_seconds is None
        return cut(order, scheduler.batch, alone=alone, executor=scheduler.executor, done=done)
