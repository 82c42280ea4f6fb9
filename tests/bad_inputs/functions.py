"""Bad inputs of functions of other libraries, for the table of `simplicial`."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.optimize import OptimizeResult

from reduction import OptionError
from simplicial import LossError, from_ase, from_jax, from_numpy, from_optimize_result
from tests.bad_inputs.table import INF, NAN, NO_COUNT, UNSURE, Row

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
    Row("from_jax", lambda g, v: from_jax(v), LossError, "takes a function",
        (5, None, "loss", np.ndarray)),
    Row("from_jax", lambda g, v: from_jax(np.sum, block=v), OptionError, "block must be", NO_COUNT),
    Row("from_ase", lambda g, v: from_ase(v), LossError, "takes an ase.Atoms",
        (5, None, "Cu", [])),
    Row("from_optimize_result", lambda g, v: from_optimize_result(v, g.loss), OptionError,
        "results must be a list", (5, None, "Cu", [], [None], OptimizeResult())),
    Row("from_optimize_result", lambda g, v: from_optimize_result(v, g.loss), OptionError,
        "results must have success", (OptimizeResult(x=[3.0, 2.0], fun=0.0, success=False),)),
    Row("from_optimize_result",
        lambda g, v: from_optimize_result(OptimizeResult(x=[3.0, 2.0], fun=0.0, success=True), v),
        LossError, "loss", (5, None, "loss", OptimizeResult)),
)  # fmt: skip
