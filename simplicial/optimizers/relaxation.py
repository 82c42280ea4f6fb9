"""Relaxation of simplices: across themselves down the loss's gradient, along themselves evenly.

Control points (m, c, d) of m simplices move in one batch, those on faces stay. Each simplex moves
as it would alone.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from simplicial.evaluation import values_and_gradients
from simplicial.loss import Loss
from simplicial.maps.mesh import Mesh
from simplicial.maps.tangents import TangentSpaces
from simplicial.run_folder.checkpoint import Checkpoint, Checkpointer

FIRST = 0.05  # length of a point's first step, over the mesh's spacing
FAR = 1e6  # of a step before it is shortened, which float32 can square
TIME_STEP = 0.5  # time step, times the square root of the curvature that a point has met
TURN = 0.2  # of a point's velocity towards its force, from step to step
FORGET = 0.97  # of that curvature, from step to step
SPREAD = 0.5  # share of the way to the mean of the neighbours, along the simplex
READY = 1e-2  # motion across over spacing at which a simplex's highest point begins to climb
SETTLED = 1e-5  # and at which the simplex is left alone
BELOW, AT_TOP = 1e-3, 1e-7  # the same where a point climbs: of all points, and of that one
ROUNDING = 64  # units of the last place, up to which motion, and slopes across, are none
MET = ("points", "gradients", "largest")  # what is known of curvature
TINY = 1e-30  # positive in float32 too


def nudge(
    loss: Loss,
    controls: Tensor,
    values: Tensor,
    face_maxima: Tensor,
    mesh: Mesh,
    *,
    steps: int,
    longest: float | Tensor,
    memory: int,
    checkpoint: Checkpoint | None,
    on_step: Callable[[], object],
) -> Tensor:
    """Simplices relaxed across themselves and spread evenly along themselves, (m, c, d).

    values       (m, c) the loss at the control points, of which those on faces count
    face_maxima  (m,) the largest loss on each simplex's faces
    steps        at most
    longest      of a step, in spacings of the mesh, for all or (m, 1, 1)
    checkpoint   of these steps; None: none is saved

    Once a simplex is nearly at rest, or half of the steps are taken, its highest inner control
    point climbs along it, unless it is below the maximum over its faces. A simplex that no longer
    moves across itself is left alone, though its points still spread along it: one with a point
    that climbs when that is at rest, to `AT_TOP` or rounding, and the others nearly, to `BELOW`.
    One of r >= 2 is also left when all its control points are below the maximum over its faces; a
    path is relaxed as a whole, since others run along it.
    """
    controls, values = controls.clone(), values.clone()
    moving = torch.arange(len(controls), device=controls.device)
    inside = torch.as_tensor(mesh.inside, device=controls.device)
    is_path = mesh.barycentric.shape[1] == 2
    is_climbing = torch.zeros(len(controls), dtype=torch.bool, device=controls.device)
    inertia = _Inertia(longest)
    rounding = ROUNDING * torch.finfo(controls.dtype).eps
    checkpointer = Checkpointer(checkpoint, controls)
    done, kept = checkpointer.resume()
    if done:
        controls, values, moving = kept["main"], kept["values"], kept["moving"]
        is_climbing = kept["is_climbing"]
        inertia.restore(kept)
        inertia.longest = longest[moving] if isinstance(longest, Tensor) else longest
    for step in range(steps if len(controls) else 0):
        on_step()
        if step < done or not len(moving):
            continue
        here = controls[moving]
        inner, spacing = here[:, inside], mesh.spacing(here)[:, None, None]
        values[moving[:, None], inside], gradients = _gradients(loss, inner, memory)
        top = values[moving[:, None], inside].max(dim=1)
        climbs = (is_climbing[moving] & (top.values > face_maxima[moving])).nonzero()[:, 0]
        spaces = TangentSpaces.of(mesh.tangents(here, values[moving]))
        highest = (climbs, top.indices[climbs])
        across, spread = _forces(spaces, gradients, mesh.spread(here), highest, rounding)
        move = inertia.step(inner, gradients, across, spacing)
        each = move.norm(dim=2) / spacing[:, :, 0]
        motion = each.amax(dim=1)
        going = (motion > SETTLED) | ~is_climbing[moving]
        going[climbs] = (motion[climbs] > BELOW) | (each[highest] > max(AT_TOP, rounding))
        controls[moving[:, None], inside] = inner + move + SPREAD * spread
        is_climbing[moving] |= (motion < READY) | (2 * step >= steps)
        if not is_path:
            going &= top.values > face_maxima[moving]
        if not going.all():
            moving = moving[going]
            inertia.keep(going)
        last = checkpointer.has_saved and (step + 1 == steps or not len(moving))
        if checkpointer.is_due or last:
            state = {"values": values, "moving": moving, "is_climbing": is_climbing}
            checkpointer.save(step + 1, {"main": controls, **state, **inertia.state()})
    return controls


def _forces(
    spaces: TangentSpaces,
    gradients: Tensor,
    spread: Tensor,
    climbing: tuple[Tensor, Tensor],
    rounding: float,
) -> tuple[Tensor, Tensor]:
    """The gradients (m, i, d) across simplices, and the spread (m, i, d) along them.

    Across a ridge of symmetry there is none but rounding, which would have a length of its own.
    spaces    of the simplices at their inner control points
    climbing  simplices and their control points that climb: up along the simplex, with no spread
    rounding  share of a gradient up to which its part across is none
    """
    tangential, along = spaces.projected(gradients), spaces.projected(spread)
    across = gradients - tangential
    across[climbing] -= tangential[climbing]
    along[climbing] = 0
    least = rounding * gradients.norm(dim=2, keepdim=True)
    return torch.where(across.norm(dim=2, keepdim=True) > least, across, 0.0), along


class _Curvature:
    """The largest curvature that each control point has met lately, from differing gradients."""

    def __init__(self) -> None:
        self.points: Tensor | None = None
        self.gradients: Tensor | None = None
        self.largest: Tensor | None = None

    def met(self, points: Tensor, gradients: Tensor, spacing: Tensor) -> Tensor | None:
        """(m, i, 1), or None at the first call."""
        if self.points is not None and self.gradients is not None:
            moved = (points - self.points).norm(dim=2, keepdim=True)
            changed = (gradients - self.gradients).norm(dim=2, keepdim=True)
            now = changed / torch.maximum(moved, 1e-12 * spacing)
            before = torch.zeros_like(now) if self.largest is None else self.largest
            self.largest = torch.maximum(FORGET * before, now).clamp(min=TINY)
        self.points, self.gradients = points, gradients
        return self.largest

    def keep(self, going: Tensor) -> None:
        """Drop the simplices that are left alone."""
        for name in MET:
            kept = getattr(self, name)
            setattr(self, name, None if kept is None else kept[going])


class _Inertia:
    """Motion with inertia for each control point (FIRE: Bitzek et al. 2006, Phys. Rev. Lett. 97).

    A point gathers speed, its velocity turning towards the force, and stops where the two disagree.
    Deviation: each point has its own time step, from the curvature that it has met, and it is not
    changed by success.
    """

    def __init__(self, longest: float | Tensor) -> None:
        self.longest = longest
        self.curvature = _Curvature()
        self.velocity: Tensor | None = None

    def step(self, points: Tensor, gradients: Tensor, uphill: Tensor, spacing: Tensor) -> Tensor:
        """Motion (m, i, d) against `uphill`, no longer than `longest` spacings."""
        size = uphill.norm(dim=2, keepdim=True).clamp(min=TINY)
        met = self.curvature.met(points, gradients, spacing)
        far = FAR * spacing / size  # where the loss is linear, a point meets no curvature
        time = (
            FIRST * spacing / size if met is None else torch.minimum(TIME_STEP**2 / met, far)
        ).sqrt()
        velocity = torch.zeros_like(points) if self.velocity is None else self.velocity
        speed = velocity.norm(dim=2, keepdim=True)
        turned = (1 - TURN) * velocity - TURN * speed * uphill / size
        agrees = (velocity * uphill).sum(dim=2, keepdim=True) < 0
        velocity = torch.where(agrees, turned, 0.0) - time * uphill
        move = time * velocity
        short = (self.longest * spacing / move.norm(dim=2, keepdim=True).clamp(min=TINY)).clamp(
            max=1
        )
        self.velocity = short * velocity
        return short * move

    def state(self) -> dict[str, Tensor]:
        """The tensors that the next step depends on."""
        parts = {name: getattr(self.curvature, name) for name in MET} | {"velocity": self.velocity}
        return {name: part for name, part in parts.items() if part is not None}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        for name in MET:
            setattr(self.curvature, name, state.get(name))
        self.velocity = state.get("velocity")

    def keep(self, going: Tensor) -> None:
        """Drop the simplices that are left alone."""
        self.curvature.keep(going)
        self.velocity = None if self.velocity is None else self.velocity[going]
        if isinstance(self.longest, Tensor):
            self.longest = self.longest[going]


def _gradients(loss: Loss, points: Tensor, memory: int) -> tuple[Tensor, Tensor]:
    """Values (m, i) and gradients (m, i, d) at points (m, i, d), in the points' dtype."""
    at = values_and_gradients(loss, points.flatten(0, 1), memory)
    return torch.as_tensor(at.values, device=points.device).view(
        points.shape[:2]
    ), at.gradients.view(points.shape)
