"""The likelihood of a mixture of normal distributions, whose labels may be switched.

Data x_1, ..., x_N are drawn from k normal distributions of variance 1 in equal parts; their means
m_1, ..., m_k are unknown. The loss is minus the mean log likelihood, with a weak normal prior that
closes it at infinity:
f(m) = -mean_i log((1/k) sum_j exp(-(x_i - m_j)^2 / 2)) + PRIOR |m|^2 / 2.
It does not change under permutations of the means (label switching): a minimum with different means
has k! copies, and what lies between two of them has nothing to do with the data's order.
Where m_j exceeds 0 and all data, df/dm_j > 0; below both, < 0. So every critical point lies in the
cube that holds the data, and f grows to infinity around it.
Source: Stephens, Dealing with label switching in mixture models, J. R. Statist. Soc. B 62, 795
(2000); McLachlan & Peel, Finite Mixture Models (2000), 1.14. Deviation: standard deviations and
shares are known.
"""

import numpy as np
import torch
from torch import Tensor

from reduction.errors import DimensionError
from reduction.validation import as_integer
from simplicial.landscapes.truth.exhaustive_search import searched
from simplicial.landscapes.truth.landscape import Landscape

SIZE = 30  # data of each distribution
APART = 3.0  # distance of neighbouring means
PRIOR = 0.01
STREAM = 2_701  # keeps these random numbers apart from others of the same seed


def mixture_likelihood(seed: int = 0, dim: int = 2) -> Landscape:
    """Minus the log likelihood of `dim` unknown means, for the data of a seed; no bars known.

    seed  of the data, non-negative; the same data for ever
    dim   number of normal distributions, the variables are their means
    Raises OptionError for a negative seed, DimensionError for dim < 1; its critical points raise
    SearchError where they cannot all be found.
    """
    seed, count = as_integer("seed", seed, 0), dim
    if dim < 1:
        raise DimensionError(
            f"a mixture's likelihood needs a dimension of at least 1, got {dim}: ask for 2"
        )
    rng = np.random.default_rng([STREAM, seed, count])
    means = APART * (np.arange(count) - (count - 1) / 2)
    data = (means[:, None] + rng.normal(size=(count, SIZE))).ravel()
    reach = 1.25 * float(np.abs(data).max())
    domain = np.outer([-reach, reach], np.ones(count))

    def formula(points: Tensor) -> Tensor:
        x = torch.as_tensor(data).to(points)
        exponents = -(x - points[:, :, None]).square() / 2  # (batch, k, N)
        mixed = torch.logsumexp(exponents, dim=1) - np.log(count)
        return PRIOR * points.square().sum(dim=1) / 2 - mixed.mean(dim=1)

    name = "mixture-likelihood"
    return Landscape(name, domain, formula, searched(name, formula, domain), None)
