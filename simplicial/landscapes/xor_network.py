"""XOR's network: two inputs, two hidden units with tanh, one output; nine parameters.

The loss is the mean squared error over the four inputs (±1, ±1), whose target is minus their
product, with a penalty that keeps minima off infinity and apart:
f(t) = mean_i (v . tanh(W x_i + b) + c - y_i)^2 + PENALTY |t|^2 / 2, t = (W by rows, b, v, c).
It does not change when the two units are exchanged, or when the signs of all four parameters of a
unit are turned: a minimum has up to eight copies. Nor under the symmetries of the data, exchange of
the inputs, and turns of the sign of one together with the output's.
Source: Hamey, XOR has no local minima, Neural Networks 11, 669 (1998), on its surface without the
penalty; Sussmann, Neural Networks 5, 589 (1992), on the group of tanh networks.
"""

import numpy as np
import torch
from torch import Tensor

from simplicial.landscapes.truth.exhaustive_search import Sought, searched
from simplicial.landscapes.truth.landscape import Landscape

INPUTS = ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0))
TARGETS = (-1.0, 1.0, 1.0, -1.0)
PENALTY = 0.02
REACH = 3.0


def xor_network() -> Landscape:
    """The loss of XOR's network in R^9, of which the minima are known, by search."""
    domain = np.outer([-REACH, REACH], np.ones(9))
    name, sought = "xor-network", Sought(highest=0, euler=None)
    return Landscape(name, domain, _loss, searched(name, _loss, domain, sought), None)


def _loss(points: Tensor) -> Tensor:
    x = torch.tensor(INPUTS).to(points)
    y = torch.tensor(TARGETS).to(points)
    weights, biases, outputs = points[:, :4].reshape(-1, 2, 2), points[:, 4:6], points[:, 6:8]
    hidden = torch.tanh(torch.einsum("bhi,ni->bnh", weights, x) + biases[:, None])
    errors = torch.einsum("bnh,bh->bn", hidden, outputs) + points[:, 8:] - y
    return errors.square().mean(dim=1) + PENALTY * points.square().sum(dim=1) / 2
