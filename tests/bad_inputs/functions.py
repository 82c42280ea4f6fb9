"""Bad inputs of functions of other libraries, for the table of `simplicial`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from reduction import OptionError
from simplicial import LossError, from_numpy
from tests.bad_inputs.table import INF, NAN, UNSURE, Row

FUNCTIONS = (
    Row("from_numpy", lambda g, v: from_numpy(v), LossError, "takes functions",
        (5, None, "loss", np.ndarray)),
    Row("from_numpy", lambda g, v: from_numpy(np.sum, v), LossError, "takes functions",
        (5, False, "loss", np.ndarray)),
    *(Row("from_numpy", lambda g, v, name=name: from_numpy(np.sum, **{name: v}), OptionError,
          f"{name} must be", bad)
      for name, bad in {
          "batched": UNSURE,
          "precision": (0, -1, NAN, INF, 0.1, "1e-6", None, True),
          "scale": (0, -1, NAN, INF, "1", True, [1.0, 2.0]),
          "executor": (5, "processes", ThreadPoolExecutor),
      }.items()),
)  # fmt: skip
