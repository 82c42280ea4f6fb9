"""Which simplex ends the class that another one began, for one index."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Pairing(NamedTuple):
    """Bars of one index, as positions of simplices of the dimensions r and r + 1."""

    births: NDArray[np.int64]  # (m,)
    deaths: NDArray[np.int64]  # (k,), k <= m: what ends the first k; nothing ends the others


UNPAIRED = Pairing(np.empty(0, np.int64), np.empty(0, np.int64))  # of index -1
