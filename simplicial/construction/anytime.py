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
values are then within twice the tolerance of the full build's wherever this is no higher. Choices
at an effort depend on the values at its beginning alone: neither on chunks nor on their order.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from simplicial.construction.anytime_progress import ANYTIME, AnytimeProgress
from simplicial.construction.executors import cut
from simplicial.construction.measured_dimension import Floats, Ints, MeasuredDimension
from simplicial.construction.scheduler import Job, Scheduler
from simplicial.construction.state import ConstructionState
from simplicial.display import dimension_name
from simplicial.optimizers.spent import Ended, Spent
from simplicial.options import Limits

EFFORTS = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the full build's, one after another


class Rung(NamedTuple):
    """Training at an effort: by a scheduler, at its cost in gradients of a simplex."""

    effort: float
    scheduler: Scheduler
    cost: int


class Share(NamedTuple):
    """What a dimension may spend, at most: gradients (None: any), and the time at which it ends."""

    gradients: int | None
    until: float


class Found(NamedTuple):
    """The state in which all dimensions are finished, and what was spent."""

    state: ConstructionState
    spent: Spent


@dataclass(frozen=True, slots=True, eq=False)
class AnytimeBuilder:
    """Builds a complex within limits.

    scheduler  with the prepared optimizer of the full build
    Raises OptionError of an optimizer that has no efforts, before anything is measured.
    """

    scheduler: Scheduler
    limits: Limits

    def run(self, state: ConstructionState, max_dim: int, began: float) -> Found:
        """All dimensions. Raises as `Scheduler.run` does.

        began  `time.monotonic()` at the beginning of the build
        """
        rungs = [self.rungs(state, r) for r in range(1, max_dim + 1)]
        whole = [
            steps[-1].cost * len(simplices.vertices)
            for steps, simplices in zip(rungs, state.layout.simplices[1:], strict=True)
        ]
        left, until = self.limits.max_gradients, np.inf
        if self.limits.max_seconds is not None:
            until = began + self.limits.max_seconds
        known, gradients, efforts, ends = state.values[0], [], [], list[Ended]()
        before, folder = AnytimeProgress((), (), 0.0, None), self.scheduler.folder
        if folder is not None:
            (folder.folder / ANYTIME).unlink(missing_ok=True)
        for r, steps in enumerate(rungs, start=1):
            own, rest, now = whole[r - 1], max(1, sum(whole[r - 1 :])), time.monotonic()
            share = Share(
                None if left is None else left * own // rest,
                until if until == np.inf else now + max(0.0, until - now) * own / rest,
            )
            dimension = self.begin(state, known, max_dim)
            for _ in self.work(dimension, steps, share):
                if folder is not None:
                    dimension.progress(before).write(folder.folder)
            before = dimension.progress(before)
            state = state.finish_dimension(dimension.result())
            known = dimension.known()
            gradients.append(dimension.gradients)
            efforts.append(dimension.efforts)
            ends.append(dimension.ended)
            left = None if left is None else left - dimension.gradients
        ended: Ended = "gradients" if "gradients" in ends else "tolerance"
        if "seconds" in ends:
            ended = "seconds"
        if folder is not None:
            replace(before, ended=ended).write(folder.folder)
        asked = self.limits.tolerance_of_bars, self.limits.max_gradients
        return Found(state, Spent(tuple(gradients), tuple(efforts), ended, *asked))

    def rungs(self, state: ConstructionState, r: int) -> list[Rung]:
        """The efforts at r-simplices, but those that come to the same as the next one."""
        optimizer, trained = self.scheduler.optimizer, state.layout.rows(r)
        passes = optimizer.mini_batch_count(state.loss)
        is_free = trained.stop > trained.start
        found: list[Rung] = []
        for effort in EFFORTS[::-1]:
            some = optimizer if effort == 1 else optimizer.with_effort(effort)
            if found and some == found[0].scheduler.optimizer:
                continue
            cost = some.gradient_count(r, passes) if is_free else 0
            found.insert(0, Rung(effort, replace(self.scheduler, optimizer=some), cost))
        return found

    def begin(self, state: ConstructionState, known: Floats, max_dim: int) -> MeasuredDimension:
        """The next dimension of a state, of which nothing is measured.

        known  of all facets, what the full build's values are no lower than
        """
        tolerance, folder = self.limits.tolerance_of_bars, self.scheduler.folder
        return MeasuredDimension(state, known, tolerance, folder, max_dim=max_dim)

    def work(
        self, dimension: MeasuredDimension, rungs: list[Rung], share: Share
    ) -> Iterator[MeasuredDimension]:
        """Measure a dimension, then train it rung by rung: it, after every chunk."""
        yield from self._measure(dimension)
        if dimension.state.dim > 1 and time.monotonic() < share.until:
            dimension.begin_cone(at_lowest=True)
            yield from self._measure(dimension)
        yield from self._train(dimension, rungs, share, at_lowest=True)
        if not dimension.ends_bars and time.monotonic() < share.until:
            dimension.begin_cone(at_lowest=False)
            yield from self._measure(dimension)
        if dimension.ended == "tolerance":
            yield from self._train(dimension, rungs, share, at_lowest=False)

    def _measure(self, dimension: MeasuredDimension) -> Iterator[MeasuredDimension]:
        if len(dimension.order):
            job = dimension.job(dimension_name(dimension.state.dim))
            yield from self._chunks(dimension, self.scheduler, job, None)

    def _train(
        self, dimension: MeasuredDimension, rungs: list[Rung], share: Share, *, at_lowest: bool
    ) -> Iterator[MeasuredDimension]:
        """Train what is above the tolerance, or of it what is at the lowest minimum."""
        for number, (effort, scheduler, cost) in enumerate(rungs, start=1):
            wanted = dimension.wanted(effort, at_lowest=at_lowest)
            if not cost or not len(wanted):
                continue
            left = None  # of the slice: all
            if share.gradients is not None:
                left = (share.gradients - dimension.gradients) // cost
            affordable = wanted[:left]
            if time.monotonic() >= share.until:
                dimension.ended = "seconds"
                return
            if len(affordable):
                title = f"{dimension_name(dimension.state.dim)}: effort {effort:g}"
                dimension.begin_rung(number, effort, cost, affordable)
                yield from self._chunks(dimension, scheduler, dimension.job(title), share.until)
            if dimension.ended == "seconds":
                return
            if len(affordable) < len(wanted):
                dimension.ended = "gradients"
                return

    def _chunks(
        self,
        dimension: MeasuredDimension,
        scheduler: Scheduler,
        job: Job,
        until: float | None,
    ) -> Iterator[MeasuredDimension]:
        """The dimension after each chunk of a rung, which is ended with the last one, or when it is
        time: before the progress bar tells of it.
        """
        stored = dimension.take_stored()
        if stored:
            yield dimension
        parts = self._cut(dimension.order, stored)
        chunks = scheduler.finished(job, parts)
        for done, (which, result) in enumerate(chunks, start=1):
            dimension.take(which, result, store=True)
            is_last = done == len(parts)
            if until is not None and time.monotonic() >= until and not is_last:
                dimension.ended, is_last = "seconds", True
            if is_last:
                dimension.end_rung()
            yield dimension
            if is_last and dimension.ended == "seconds":
                return
        if not parts:
            dimension.end_rung()

    def _cut(self, order: Ints, done: list[int]) -> list[Ints]:
        scheduler = self.scheduler
        alone = scheduler.folder is None and scheduler.executor is None
        alone = alone and self.limits.max_seconds is None
        return cut(order, scheduler.batch, alone=alone, executor=scheduler.executor, done=done)
