"""What is known of a complex while it is built: heights, floors, gradients, certificates."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simplicial.construction.batches import Batch, Finished
from simplicial.critical_points.certificates import Certificates, certify
from simplicial.display import dimension_name, progress_bar
from simplicial.errors import LossWarning, NotFiniteError
from simplicial.evaluation import values_and_gradients
from simplicial.maps.control_points import Layout, Simplices
from simplicial.maps.lattice import interior_lattice
from simplicial.maxima.maxima import Interior, on_facets
from simplicial.maxima.refined import Seen, rounding
from simplicial.minima import Minima
from simplicial.optimizers.algorithm1 import Stage

PICTURED = 2  # highest dimension whose lattice values are kept: what a picture can show
RAISED = 1e-3  # share of the loss's range that a maximum on linear pieces may miss of a peak
KEPT_BYTES = 16  # loss and accuracy of a lattice point


class Gauge:
    """Cuts dimension after dimension into batches, and takes in what became of them.

    resolution  of the lattice
    tolerance   None: maxima are sampled (Algorithm 2); else they are honest, up to this share of
                the range of the loss that was seen on a simplex
    gradients   whether the loss's gradients at control points are wanted
    interiors   what was seen inside the simplices of each dimension from 1 on
    heights     for each dimension the largest loss seen on each simplex, faces included
    slack       for each dimension what each maximum may be too low by; a sampled one by any amount
    Heights are inf where a simplex, or a face of it, has no finite loss.
    """

    def __init__(
        self,
        minima: Minima,
        pool: Tensor,
        layout: Layout,
        *,
        resolution: int,
        tolerance: float | None,
        gradients: bool,
        seed: int,
        memory: int,
        progress: bool,
    ) -> None:
        self.minima, self.pool, self.layout = minima, pool, layout
        self.resolution, self.tolerance, self.gradients = resolution, tolerance, gradients
        self.seed, self.memory, self.progress = seed, memory, progress
        self.interiors: list[Interior] = []
        self.heights: list[NDArray[np.float64]] = [minima.values]
        self.slack = [np.zeros(len(minima))]
        self.threads = torch.get_num_threads()
        self._values = np.full(len(pool) if gradients else 0, np.nan)
        self._gradients = torch.empty_like(pool) if gradients else pool[:0]
        if gradients:
            n = len(minima)
            self._values[:n], self._gradients[:n] = values_and_gradients(
                minima.loss, minima.points, memory
            )

    def floor(self, r: int) -> NDArray[np.float64]:
        """The largest loss on the faces of each r-simplex, (m,)."""
        return on_facets(self.heights[r - 1], self.layout.simplices[r].vertices)

    def lattice_points(self, r: int) -> int:
        """How many points Algorithm 2 looks at inside an r-simplex."""
        return len(interior_lattice(r, self.resolution))

    def order(self, r: int) -> NDArray[np.int64]:
        """All r-simplices (m,), in the order in which a barcode is known soonest.

        Those at the lowest minimum come first: they are a cone, in which all classes end, so that
        from then on every bar has an end, which the rest can only lower. Of these, and of the rest,
        those with low faces come first.
        """
        at_lowest = self.layout.simplices[r].vertices == int(np.argmin(self.minima.values))
        return np.lexsort((self.floor(r), ~at_lowest.any(axis=1)))

    def batch(self, r: int, which: NDArray[np.int64], *, trains: bool) -> Batch:
        """Some r-simplices (m,), ascending, with what is known of their faces."""
        every = self.layout.simplices[r]
        rows, local = np.unique(every.controls[which], return_inverse=True)
        inside = slice(int(np.searchsorted(rows, self.layout.starts[r])), len(rows))
        vertices = int(np.searchsorted(rows, len(self.minima)))
        simplices = Simplices(
            every.vertices[which], local.reshape(len(which), -1), every.simplex_map
        )
        at, seen = torch.as_tensor(rows, device=self.pool.device), None
        if self.gradients:
            faces = at[: inside.start]
            seen = Seen(self._values[rows[: inside.start]], self._gradients[faces])
        m = len(every.vertices)
        return Batch(
            stage=Stage(
                simplices,
                inside,
                slice(vertices, inside.start),
                self.seed,
                self.memory,
                floor=self.floor(r)[which],
                seen=seen,
            ),
            pool=self.pool[at],
            trains=trains,
            gradients=self.gradients,
            keeps=r <= PICTURED and m * self.lattice_points(r) * KEPT_BYTES <= self.memory,
            resolution=self.resolution,
            tolerance=self.tolerance,
            threads=self.threads,
        )

    def take(self, r: int, which: NDArray[np.int64], finished: Finished) -> None:
        """The control points inside r-simplices (m,), and the loss there."""
        own = finished.points.shape[1]
        rows = self.layout.starts[r] + which[:, None] * own + np.arange(own)
        at = torch.as_tensor(rows, device=self.pool.device)
        self.pool[at] = finished.points.to(self.pool)
        if self.gradients:
            assert finished.values is not None
            assert finished.gradients is not None
            self._values[rows], self._gradients[at] = (
                finished.values,
                finished.gradients.to(self.pool),
            )

    def close(self, r: int, finished: Finished) -> None:
        """What was seen inside all r-simplices, in their order.

        Warns of those without a finite loss. Raises LossError where no edge has one.
        """
        evaluations = int(finished.evaluations.sum())
        if r == 1 and self.tolerance is not None:
            evaluations += len(self.minima)  # gradients at the vertices
        self.interiors.append(
            Interior(finished.largest, finished.place, finished.samples, evaluations)
        )
        self.slack.append(finished.slack)
        self.heights.append(np.maximum(finished.largest, self.floor(r)))
        self._tell(r, finished)

    def _tell(self, r: int, finished: Finished) -> None:
        """Warn of simplices that were given up or retried. Raises LossError if all edges were."""
        every, failed = self.layout.simplices[r].vertices, finished.failed != ""
        if r == 1 and failed.all():
            raise NotFiniteError(
                f"edges need a finite loss, none of {len(every)} has one; the first failed since "
                f"{finished.failed[0]}"
            )
        for which, what in (
            (failed, "have no finite loss and are missing"),
            (finished.retried & ~failed, "were trained with smaller steps"),
        ):
            if which.any():
                first = int(np.argmax(which))
                name = tuple(every[first].tolist())
                why = f": {finished.failed[first]}" if failed[first] else ""
                message = f"{which.sum()} of {len(every)} {dimension_name(r)} {what}, first {name}"
                warnings.warn(message + why, LossWarning, stacklevel=5)

    def certificates(self) -> tuple[Certificates, ...]:
        """Critical points near the highest points of all simplices that are highest inside."""
        heights = np.concatenate(self.heights)
        heights = heights[np.isfinite(heights)]
        spread, noise = float(np.ptp(heights)), float(rounding(heights, self.pool))
        found = []
        for r, simplices in enumerate(self.layout.simplices):
            m = len(simplices.vertices)
            which, place = np.arange(m), np.ones((m, 1))
            if r:
                interior = self.interiors[r - 1]
                margin = self.slack[r] if self.tolerance is not None else 0.0
                higher = interior.largest > self.floor(r) + margin
                which = np.flatnonzero(higher & np.isfinite(interior.largest))
                place = interior.place[which]
            above = np.maximum(self.slack[r][which], RAISED * spread if r else noise)
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
                        above=above,
                        memory=self.memory,
                        on_simplices=bar.update,
                    )
                )
        return tuple(found)
