"""Losses that are declared to be invariant under continuous motions."""

from typing import Any

from reduction import OptionError
from reduction.validation import short_repr
from simplicial.domains.declarations import Declared, declared
from simplicial.evaluation import check_callable
from simplicial.loss import Loss, Motions, SymmetricLoss
from simplicial.symmetries.symmetry import Symmetry


class _Invariant(Declared, SymmetricLoss):
    """A loss with motions."""

    @property
    def motions(self) -> Motions:
        return self.declared[0]

    @property
    def symmetry(self) -> Symmetry | None:
        return self.declared[1]

    def __reduce__(self) -> tuple[Any, ...]:
        return invariant, (self.loss, *self.declared)  # its class is made anew there


def invariant(loss: Loss, motions: Motions, symmetry: Symmetry | None = None) -> SymmetricLoss:
    """A loss, declared to be invariant under continuous motions such as `RigidMotions()`.

    symmetry  under which its points have copies, such as `AtomSymmetry([0] * 7)`, or None: none is
              declared
    The `domain` of a BoundedLoss, a gradient and a size in memory of its own are passed on; a loss
    with other abilities, such as one of networks, declares `simplicial.loss.SymmetricLoss` itself.
    Searches check what is declared.
    Raises LossError for what is no loss, or one with other abilities, OptionError for no motions,
    or no symmetry.
    """
    check_callable(loss)
    if not isinstance(motions, Motions):
        raise OptionError(
            f"motions must be Motions such as RigidMotions(), got {short_repr(motions)}: pass one"
        )
    if not isinstance(symmetry, Symmetry | None):
        raise OptionError(
            f"symmetry must be a Symmetry such as AtomSymmetry([0] * 7), got "
            f"{short_repr(symmetry)}: pass one, or leave it out"
        )
    return declared(_Invariant, loss, (motions, symmetry))
