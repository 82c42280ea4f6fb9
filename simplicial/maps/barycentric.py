"""The paper's subdivision: barycentric, one control point for each face (eqs. 5 and 6)."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from math import factorial

import numpy as np

from reduction.memory import require
from reduction.validation import as_integer
from simplicial.maps.base import PIECES, Floats, Ints, Location, located

LARGEST = 60  # vertices of a simplex whose faces fill any memory


@dataclass(frozen=True, slots=True)
class Barycentric:
    """The paper's map (eqs. 5 and 6): one control point for each face of the simplex.

    With t sorted descending, t_(0) >= ... >= t_(r), t_(r+1) = 0, the face spanned by the k + 1
    largest coordinates has weight (k+1) (t_(k) - t_(k+1)); r = 1 is eq. 5, r = 2 is eq. 6. The
    printed eq. 6 exchanges theta_1 and theta_3 against its own zeta(e_i) = theta_i; here psi(e_i) =
    theta_i. Faces are ordered by dimension, then colexicographically. Ties in t: any order gives
    the same psi.
    """

    def control_points(self, r: int) -> Floats:
        """Barycentres of the faces, (2**(r+1) - 1, r+1): vertices first, the centre last."""
        masks = _face_masks(_faced(r))
        members = (masks[:, None] >> np.arange(r + 1)) & 1
        return members / members.sum(axis=1, keepdims=True)

    def locate(self, t: Floats) -> Location:
        """The flag of faces spanned by the largest 1, 2, ..., r+1 coordinates, and its weights.

        Raises ShapeError for points off the simplex.
        """
        t = located(t)
        r = t.shape[-1] - 1
        descending = np.argsort(-t, axis=-1, kind="stable")
        ranked = np.take_along_axis(t, descending, axis=-1)
        below = np.concatenate([ranked[..., 1:], np.zeros_like(ranked[..., :1])], axis=-1)
        weights = np.arange(1, r + 2) * (ranked - below)
        flag = np.cumsum(1 << descending, axis=-1)
        return Location(_position_of_mask(r)[flag], weights)

    def pieces(self, r: int) -> Ints:
        """The (r+1)! flags of faces: a vertex, an edge on it, a triangle on that, ..."""
        r = _faced(r)
        require(PIECES * (r + 1) * factorial(r + 1), f"the pieces of a simplex of dimension {r}")
        orders = np.array(list(permutations(range(r + 1))), dtype=np.int64)
        return _position_of_mask(r)[np.cumsum(1 << orders, axis=1)]


def _faced(r: int) -> int:
    """A dimension whose simplex has faces that can be listed. Raises OptionError, CapacityError."""
    r = as_integer("r", r, 0)
    require(PIECES << min(r + 1, LARGEST), f"the faces of a simplex of dimension {r}")
    return r


@lru_cache(maxsize=16)
def _face_masks(r: int) -> Ints:
    """The faces of an r-simplex as bit masks, by dimension, then colexicographically."""
    faces = [sum(1 << v for v in f) for k in range(1, r + 2) for f in _colex_subsets(r + 1, k)]
    return _read_only(np.array(faces, dtype=np.int64))


def _colex_subsets(n: int, k: int) -> list[tuple[int, ...]]:
    return sorted(combinations(range(n), k), key=lambda face: face[::-1])


@lru_cache(maxsize=16)
def _position_of_mask(r: int) -> Ints:
    masks = _face_masks(r)
    position = np.zeros(1 << (r + 1), dtype=np.int64)
    position[masks] = np.arange(masks.size)
    return _read_only(position)


def _read_only(array: Ints) -> Ints:
    array.flags.writeable = False
    return array
