"""Tangent spaces of simplices at their control points, and motion along and across them.

Tangents are long vectors, of parameters, and few. So they are not made orthonormal themselves: what
is computed with them are their scalar products, and of these, by Gram and Schmidt, the matrix K of
the projection A^T K A on the span of the tangents, the rows of A.
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

THIN = 0.05  # a tangent direction shorter than this share of the longest is taken as normal


class TangentSpaces(NamedTuple):
    """Spans of tangents at inner control points.

    tangents  (m, i, r, d)
    inverses  (m, i, r, r) of their scalar products, on the span
    """

    tangents: Tensor
    inverses: Tensor

    @classmethod
    def of(cls, tangents: Tensor) -> Self:
        """The spans of tangents (m, i, r, d), orthogonalised the longest first.

        Tangents that are short beside the longest do not span: a simplex that has collapsed to
        fewer dimensions has no more tangent directions than that.
        """
        products = (tangents @ tangents.mT).double()
        rest = torch.eye(tangents.shape[2]).to(products).expand(products.shape)
        axes, longest = [], None
        for _ in range(tangents.shape[2]):
            if axes:
                rest = rest - (rest @ products @ axes[-1][..., None]) * axes[-1][:, :, None]
            squares, which = torch.linalg.vecdot(rest @ products, rest).max(dim=2)
            longest = squares if longest is None else longest
            spans = (squares > THIN**2 * longest)[..., None]
            at = which[..., None, None].expand(*which.shape, 1, rest.shape[3])
            axis = rest.gather(2, at)[:, :, 0] / torch.where(spans, squares[..., None], 1.0).sqrt()
            axes.append(torch.where(spans, axis, 0.0))
        orthonormal = torch.stack(axes, dim=2)
        return cls(tangents, orthonormal.mT @ orthonormal)

    def projected(self, vectors: Tensor) -> Tensor:
        """The part of vectors (m, i, d) in the spans."""
        products = torch.linalg.vecdot(self.tangents, vectors[:, :, None])
        shares = (self.inverses @ products.to(self.inverses)[..., None]).to(vectors)
        parts = [
            share * tangents
            for share, tangents in zip(shares.unbind(2), self.tangents.unbind(2), strict=True)
        ]
        return torch.stack(parts).sum(dim=0) if len(parts) > 1 else parts[0]
