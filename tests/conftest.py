"""Every run of the tests draws the same examples; HYPOTHESIS_PROFILE=quick draws fewer of them.

Tensors of the tests are tiny: threads of torch would only wait for each other.
"""

import os

import matplotlib
import torch
from hypothesis import settings

matplotlib.use("Agg")
torch.set_num_threads(1)
settings.register_profile("full", deadline=None, derandomize=True, max_examples=150)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))
