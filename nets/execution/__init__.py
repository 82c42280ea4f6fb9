"""How a network is run at points of parameter space.

`Precision` and its `PRECISIONS` are what `NetworkLoss(precision=)` takes.
"""

from nets.names import PRECISIONS, Precision

__all__ = ["PRECISIONS", "Precision"]
