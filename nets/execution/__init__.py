"""Networks at points of parameter space: functional models, their policy, and its checks.

`Precision` and its `PRECISIONS` are what `NetworkLoss(precision=)` takes.
"""

from nets.names import PRECISIONS, Precision

__all__ = ["PRECISIONS", "Precision"]
