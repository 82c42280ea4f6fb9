"""How far a batch has come, kept now and then while it is trained."""

import time
from collections.abc import Mapping

from torch import Tensor

from reduction import DataError
from simplicial.run_folder.folder import Memo
from simplicial.run_folder.records import Record

PERIOD = 30.0  # seconds between the steps that are kept


class Keeper:
    """Keeps tensors after some of the steps, where there is a memo.

    main  (..., d) what moves; a record of others is refused
    """

    def __init__(self, memo: Memo | None, main: Tensor) -> None:
        self.memo, self.shape, self.device = memo, main.shape, main.device
        self.last = time.monotonic()
        self.has_kept = False

    def resume(self) -> tuple[int, Mapping[str, Tensor]]:
        """Steps that were taken when tensors were last kept, and these; 0 and none where none were.

        Raises DataError for a record of something else.
        """
        found = None if self.memo is None else self.memo.load()
        if found is None:
            return 0, {}
        step, (tensors, _) = found
        shape = tensors["main"].shape if "main" in tensors else ()
        if shape != self.shape:
            raise DataError(
                "a batch goes on from its own control points, those that were kept have shape "
                f"{tuple(shape)}, not {tuple(self.shape)}: choose another folder"
            )
        self.has_kept = True
        return step, {name: tensor.to(self.device) for name, tensor in tensors.items()}

    @property
    def is_due(self) -> bool:
        """Whether the last time was long ago."""
        return self.memo is not None and time.monotonic() - self.last >= PERIOD

    def keep(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep what there is after so many steps; `main` has the shape that was announced."""
        if self.memo is not None:
            self.memo.save(step, Record({k: t.detach().cpu() for k, t in tensors.items()}, {}))
        self.last, self.has_kept = time.monotonic(), True
