"""Bad inputs of another loss on the simplices of a complex, for the table of `simplicial`."""

import torch

from reduction import OptionError
from simplicial import LossComplex, LossError, with_loss
from tests.bad_inputs.table import NAN, NO_COUNT, UNSURE, Row

OTHER_LOSSES = (
    Row("with_loss", lambda g, v: with_loss(v, g.loss), OptionError, "of a LossComplex, got",
        (5, None, LossComplex, torch.zeros(2, 2))),
    Row("with_loss", lambda g, v: with_loss(g.complex, v), LossError, "loss",
        (5, None, "loss", torch.nn.Linear, lambda p: p)),
    *(Row("with_loss", lambda g, v, name=name: with_loss(g.complex, g.loss, **{name: v}),
          OptionError, f"{name} must be", bad)
      for name, bad in {
          "resolution": NO_COUNT,
          "tolerance": (0, 1, NAN, "1e-3", True),
          "refinement_budget": (0, 0.5, "100", True),
          "memory": NO_COUNT,
          "progress": UNSURE,
      }.items()),
    Row("with_loss", lambda g, v: with_loss(g.complex, g.loss, resolution=v), OptionError, "raise",
        (2,)),
)  # fmt: skip
