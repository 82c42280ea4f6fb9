"""The heights of a complex's simplices while it is built: maxima, floors and certificates."""

from dataclasses import replace
from typing import NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from simplicial.certify import Certificates, certify
from simplicial.layout import Layout
from simplicial.loss import values_and_gradients
from simplicial.maximum import Interior, on_facets, refined, sample_interiors
from simplicial.minima import Minima
from simplicial.refinement import Seen, rounding
from simplicial.sampling import interior_lattice

PICTURED = 2  # highest dimension whose lattice values are kept: what a picture can show
RAISED = 1e-3  # share of the loss's range that a maximum on linear pieces may miss of a peak
KEPT_BYTES = 16  # loss and accuracy of a lattice point
REFINED_BYTES = 64  # of a lattice point while maxima are refined: copies, places in linear pieces
_NAMES = {0: "vertices", 1: "edges", 2: "triangles", 3: "tetrahedra"}


class Gauge:
    """Measures dimension after dimension of a complex whose control points stand in a pool.

    tolerance  None: maxima are sampled (Algorithm 2); else they are honest, up to this share of the
               loss's range
    interiors  what was seen inside the simplices of each dimension from 1 on
    heights    for each dimension the largest loss seen on each simplex, faces included
    slack      for each dimension what a maximum may be too low by; a sampled one by any amount
    """

    def __init__(
        self,
        minima: Minima,
        pool: Tensor,
        layout: Layout,
        resolution: int,
        tolerance: float | None,
        memory: int,
        progress: bool,
    ) -> None:
        self.minima, self.pool, self.layout = minima, pool, layout
        self.resolution, self.tolerance = resolution, tolerance
        self.memory, self.progress = memory, progress
        self.interiors: list[Interior] = []
        self.heights: list[NDArray[np.float64]] = [minima.values]
        self.slack = [0.0]
        self._seen = Seen(np.empty(0), pool[:0])

    def floor(self, r: int) -> NDArray[np.float64]:
        """The largest loss on the faces of each r-simplex, (m,)."""
        return on_facets(self.heights[r - 1], self.layout.simplices[r].vertices)

    def seen(self, stop: int) -> Seen:
        """The loss and its gradient at the pool's first rows, each evaluated once."""
        start = len(self._seen.values)
        if start == stop:
            return self._seen
        values, gradients = values_and_gradients(
            self.minima.loss, self.pool[start:stop], self.memory
        )
        self._seen = Seen(
            np.append(self._seen.values, values), torch.cat([self._seen.gradients, gradients])
        )
        return self._seen

    def measure(self, r: int) -> None:
        """Find the maxima inside the r-simplices; those of lower dimensions are known.

        Simplices are taken in blocks, so that the lattice's values fit into the memory budget.
        """
        simplices, rows = self.layout.simplices[r], self.layout.rows(r)
        m, points = len(simplices.vertices), len(interior_lattice(r, self.resolution))
        kept = r <= PICTURED and m * points * KEPT_BYTES <= self.memory
        block, slack = m, np.inf
        if self.tolerance is not None:
            seen = self.seen(rows.stop)
            share = self.tolerance * float(np.ptp(seen.values))
            slack = max(share, float(rounding(seen.values, self.pool)))
            block = max(1, self.memory // (points * REFINED_BYTES))
        found = []
        with progress_bar(f"{dimension_name(r)}: maxima", m * points, self.progress) as bar:
            for first in range(0, m, block):
                part = slice(first, first + block)
                found.append(self._interior(r, part, kept, slack, bar))
        interior = Interior.joined(found)
        if self.tolerance is not None:
            count = interior.evaluations + rows.stop - (rows.start if r > 1 else 0)
            interior = replace(interior, evaluations=count)
        self.interiors.append(interior)
        self.slack.append(slack)
        self.heights.append(np.maximum(interior.largest, self.floor(r)))

    def _interior(
        self, r: int, part: slice, kept: bool, slack: float, bar: "tqdm[NoReturn]"
    ) -> Interior:
        """What is inside some of the r-simplices."""
        every = self.layout.simplices[r]
        some = replace(every, vertices=every.vertices[part], controls=every.controls[part])
        interior = sample_interiors(
            self.minima.loss,
            self.pool,
            some,
            resolution=self.resolution,
            memory=self.memory,
            keep=kept or self.tolerance is not None,
            on_points=bar.update,
        )
        if self.tolerance is None:
            return interior

        def grow(count: int) -> None:
            bar.total += count
            bar.update(count)

        interior = refined(
            self.minima.loss,
            self.pool,
            self.seen(self.layout.rows(r).stop),
            some,
            interior,
            self.floor(r)[part],
            resolution=self.resolution,
            tolerance=slack,
            memory=self.memory,
            on_points=grow,
        )
        return interior if kept else replace(interior, samples=None)

    def certificates(self) -> tuple[Certificates, ...]:
        """Critical points near the highest points of all simplices that are highest inside."""
        heights = np.concatenate(self.heights)
        spread, noise = float(np.ptp(heights)), float(rounding(heights, self.pool))
        above = [noise] + [max(slack, RAISED * spread) for slack in self.slack[1:]]
        found = []
        for r, simplices in enumerate(self.layout.simplices):
            m = len(simplices.vertices)
            which, place = np.arange(m), np.ones((m, 1))
            if r:
                interior = self.interiors[r - 1]
                margin = self.slack[r] if self.tolerance is not None else 0.0
                which = np.flatnonzero(interior.largest > self.floor(r) + margin)
                place = interior.place[which]
            with progress_bar(
                f"{dimension_name(r)}: certificates", len(which), self.progress
            ) as bar:
                found.append(
                    certify(
                        self.minima.loss,
                        self.pool,
                        simplices,
                        which,
                        self.heights[r][which],
                        place,
                        top=len(self.heights) - 1,
                        spread=spread,
                        above=above[r],
                        memory=self.memory,
                        on_simplices=bar.update,
                    )
                )
        return tuple(found)


def dimension_name(r: int) -> str:
    """What simplices of dimension r are called."""
    return _NAMES.get(r, f"{r}-simplices")


def progress_bar(title: str, total: int | None, shown: bool) -> "tqdm[NoReturn]":
    """A bar on stderr, for what takes over two seconds."""
    return tqdm(desc=title, total=total, delay=2, disable=not shown, leave=False)
