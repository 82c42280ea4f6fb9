"""Every run of the tests draws the same examples; HYPOTHESIS_PROFILE=quick draws fewer of them."""

import os

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("full", deadline=None, derandomize=True, max_examples=150)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))
