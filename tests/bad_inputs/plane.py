"""Bad inputs of planes through three points, and of other losses on the simplices of a complex, for
the table of `simplicial`."""

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reduction import OptionError, ShapeError
from simplicial import (
    LossComplex,
    LossError,
    PlaneSamples,
    plot_edge,
    plot_plane,
    plot_samples,
    plot_triangle,
    sample_plane,
    with_loss,
)
from tests.bad_inputs.table import NAN, NO_COUNT, UNSURE, Row

THREE = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def bowl(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


SAMPLED = sample_plane(bowl, THREE, resolution=2)

NO_STYLE = ({"colours": "viridis"}, {"cmap": "viridian"}, {"vmin": "low"})
PLANE = (
    Row("sample_plane", lambda _, v: sample_plane(v, THREE), LossError, "must be callable",
        (5, None, dict)),
    Row("sample_plane", lambda _, v: sample_plane(bowl, v), ShapeError, "goes through three points",
        (5, None, THREE[:2], THREE.numpy(), THREE[0])),
    Row("sample_plane", lambda _, v: sample_plane(bowl, v), ShapeError, "must be finite",
        (THREE * float("nan"), THREE.long())),
    Row("sample_plane", lambda _, v: sample_plane(bowl, v), ShapeError, "lie on no line",
        (THREE[[0, 1, 1]], torch.zeros(3, 3), torch.arange(3.0)[:, None])),
    Row("sample_plane", lambda _, v: sample_plane(bowl, THREE, margin=v), OptionError, "margin",
        (-1.0, float("nan"), float("inf"), "a", None)),
    Row("sample_plane", lambda _, v: sample_plane(bowl, THREE, resolution=v), OptionError,
        "resolution", (1, 2.5, "a", None, True)),
    Row("sample_plane", lambda _, v: sample_plane(bowl, THREE, memory=v), OptionError, "memory",
        (0, "a", None)),
    Row("PlaneSamples", lambda _, v: PlaneSamples(THREE[0], THREE[1:], np.eye(3)[:, :2],
        np.arange(2.0), np.arange(3.0), v, None), ShapeError, "at each of",
        (5, None, np.zeros((2, 3)))),
    Row("PlaneSamples.points", lambda _, v: SAMPLED.points(v), ShapeError, "have shape",
        (5, None, np.zeros(2), np.zeros((2, 3)))),
    Row("PlaneSamples.project", lambda _, v: SAMPLED.project(v), ShapeError, "are a tensor",
        (5, None, np.zeros((2, 3)), THREE[0], THREE[:, :2])),
    Row("PlaneSamples.save_csv", lambda _, v: SAMPLED.save_csv(v), OptionError, "path", (5, None)),
    Row("PlaneSamples.save_vtk", lambda _, v: SAMPLED.save_vtk(v), OptionError, "path", (5, None)),
    Row("plot_plane", lambda _, v: plot_plane(v), OptionError, "of type PlaneSamples",
        (5, None, PlaneSamples)),
    Row("plot_plane", lambda _, v: plot_plane(SAMPLED, v), LossError, "a picture shows",
        ("height", "accuracy", None)),
    Row("plot_plane", lambda _, v: plot_plane(SAMPLED, **v), OptionError, "those of matplotlib's",
        NO_STYLE),
    Row("plot_triangle", lambda g, v: plot_triangle(g.triangle, **v), OptionError,
        "those of matplotlib's Axes.tripcolor", NO_STYLE),
    Row("plot_samples", lambda g, v: plot_samples(g.triangle.samples, np.eye(3)[0], **v),
        OptionError, "those of matplotlib's Axes.tripcolor", NO_STYLE),
    Row("plot_edge", lambda g, v: plot_edge(g.edge, **v), OptionError,
        "those of matplotlib's Axes.plot", ({"colour": "red"}, {"color": "rod"})),
    Row("plot_plane", lambda _, v: plot_plane(SAMPLED, ax=v), OptionError, "of type Axes",
        (5, "a", plt)),
)  # fmt: skip

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
