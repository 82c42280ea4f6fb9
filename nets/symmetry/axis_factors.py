"""Axes of tensors as products and sums of factors, which operators identify, split and hold fixed.

An axis of length n is one factor. Views split a factor of size n = p q into a product (p outer, q
inner); slices and concatenations into a sum of parts, one after another. A factor that is neither
is an atom. Operators that pair two axes index by index, as additions and contractions do, unify
their factors: afterwards both are one. An atom whose indices an operator treats unlike each other
is fixed, with the reason; every other atom stands for units that may be permuted.

All changes go forward only: atoms become products or sums, factors are linked, freedom is lost.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import prod

STRUCTURE = ""  # reason of factors that are no units: inputs, outputs, numbers of slices


class Factor:
    """A factor of an axis: an atom, a product, or a sum of factors.

    size     number of its indices
    product  its factors, the outermost first; of an atom or a sum None
    parts    its summands, one after another; of an atom or a product None
    fixed    why its indices cannot be permuted; None: they can
    """

    __slots__ = ("_link", "fixed", "parts", "product", "size")

    def __init__(self, size: int, fixed: str | None = None) -> None:
        self.size = size
        self.fixed = fixed
        self.product: list[Factor] | None = None
        self.parts: list[Factor] | None = None
        self._link: Factor | None = None

    def find(self) -> "Factor":
        """The factor that this one was unified with."""
        at = self
        while at._link is not None:
            at = at._link
        return at

    def become(self, other: "Factor") -> None:
        """Link this factor to another of its size."""
        self._link = other

    @property
    def is_atom(self) -> bool:
        """Whether it is neither a product nor a sum."""
        return self.product is None and self.parts is None


def product(factors: Iterable[Factor]) -> Factor:
    """The product of factors, the outermost first."""
    leaves = [leaf for factor in factors for leaf in leaves_of(factor)]
    if len(leaves) == 1:
        return leaves[0]
    whole = Factor(prod(leaf.size for leaf in leaves))
    if leaves:
        whole.product = leaves
    else:
        whole.fixed = STRUCTURE  # one index
    return whole


def concatenation(factors: Iterable[Factor]) -> Factor:
    """The sum of factors, one after another."""
    parts = [part for factor in factors for part in parts_of(factor) if part.size]
    if len(parts) == 1:
        return parts[0]
    whole = Factor(sum(part.size for part in parts))
    whole.parts = parts
    return whole


def leaves_of(factor: Factor) -> list[Factor]:
    """Atoms and sums of which a factor is the product, without those of one index."""
    factor = factor.find()
    if factor.size == 1:
        return []
    if factor.product is None:
        return [factor]
    return [leaf for part in factor.product for leaf in leaves_of(part)]


def parts_of(factor: Factor) -> list[Factor]:
    """Atoms and products of which a factor is the sum."""
    factor = factor.find()
    if factor.parts is None:
        return [factor]
    return [part for each in factor.parts for part in parts_of(each)]


def atoms_of(factor: Factor) -> Iterator[Factor]:
    """All atoms in a factor."""
    factor = factor.find()
    if factor.is_atom:
        yield factor
    for part in (*(factor.product or ()), *(factor.parts or ())):
        yield from atoms_of(part)


def fix(factor: Factor, reason: str) -> None:
    """Let no index of a factor be permuted any more; reasons of before stay."""
    for atom in atoms_of(factor):
        if atom.fixed is None or (atom.fixed == STRUCTURE and reason):
            atom.fixed = reason


def unify(a: Factor, b: Factor) -> None:
    """Identify two factors of one size, index by index."""
    a, b = a.find(), b.find()
    if a is b:
        return
    if a.is_atom or b.is_atom:
        atom, other = (a, b) if a.is_atom else (b, a)
        if atom.fixed is not None:
            fix(other, atom.fixed)
        atom.become(other)
    elif a.product is not None and b.product is not None:
        _unify_products(a, b)
        _join(a, b)
    elif a.parts is not None and b.parts is not None:
        ends = sorted({*_ends(a), *_ends(b)})
        sizes = [end - start for start, end in zip([0, *ends], ends, strict=False)]
        for x, y in zip(cut(a, sizes), cut(b, sizes), strict=True):
            unify(x, y)
        _join(a, b)
    else:
        whole, summed = (a, b) if a.product is not None else (b, a)
        outer, *inner = leaves_of(whole)
        _split_sum(summed, outer.size, product(inner))
        fix(outer, STRUCTURE)
        _join(summed, whole)


def _join(a: Factor, b: Factor) -> None:
    a, b = a.find(), b.find()
    if a is not b:
        a.become(b)


def _ends(summed: Factor) -> list[int]:
    return list(accumulate(part.size for part in parts_of(summed)))


def _unify_products(a: Factor, b: Factor) -> None:
    """Unify the leaves of two products of one size, splitting the larger at each step."""
    left, right = leaves_of(a), leaves_of(b)
    while left and right:
        x, y = left.pop(0), right.pop(0)
        # what came before may have split it
        (x, *more), (y, *further) = leaves_of(x), leaves_of(y)
        left[:0], right[:0] = more, further
        if x.size == y.size:
            unify(x, y)
            continue
        larger, smaller, rest = (x, y, left) if x.size > y.size else (y, x, right)
        if larger.size % smaller.size:
            for leaf in (x, y, *left, *right):
                fix(leaf, "axes that are split unlike each other")
            return
        outer, inner = split(larger, smaller.size)
        unify(outer, smaller)
        rest.insert(0, inner)


def split(leaf: Factor, outer: int) -> tuple[Factor, Factor]:
    """A leaf as a product of two factors, the outer one of this size, which divides its own."""
    leaf = leaf.find()
    if leaf.is_atom:
        leaf.product = [Factor(outer, leaf.fixed), Factor(leaf.size // outer, leaf.fixed)]
        return leaf.product[0], leaf.product[1]
    first, second = Factor(outer, STRUCTURE), Factor(leaf.size // outer)
    _split_sum(leaf, outer, second)
    return first, second


def _split_sum(summed: Factor, outer: int, inner: Factor) -> None:
    """Let every part of a sum be a multiple of one inner factor, or be fixed with it."""
    for part in parts_of(summed):
        if part.size % inner.size:
            fix(summed, "parts of an axis that are mixed")
            fix(inner, "parts of an axis that are mixed")
            return
    for part in parts_of(summed):
        unify(part, product([Factor(part.size // inner.size, STRUCTURE), inner]))


def cut(factor: Factor, sizes: Sequence[int]) -> list[Factor]:
    """Consecutive parts of a factor, of these sizes, which add up to its own."""
    factor = factor.find()
    if len(sizes) == 1:
        return [factor]
    if factor.is_atom:
        factor.parts = [Factor(size, factor.fixed) for size in sizes]
        return list(factor.parts)
    if factor.parts is not None:
        return _cut_sum(factor, sizes)
    outer, *inner = leaves_of(factor)
    each = prod(leaf.size for leaf in inner)
    if any(size % each for size in sizes):
        fix(factor, "slices of blocks of units")
        return [Factor(size, STRUCTURE) for size in sizes]
    pieces = cut(outer, [size // each for size in sizes])
    return [product([piece, *inner]) for piece in pieces]


def _cut_sum(factor: Factor, sizes: Sequence[int]) -> list[Factor]:
    """Parts of a sum, whose own parts are cut where they do not end together."""
    waiting, pieces = parts_of(factor), list[list[Factor]]()
    for size in sizes:
        piece = list[Factor]()
        while size:
            part = waiting.pop(0)
            if part.size > size:
                part, rest = cut(part, [size, part.size - size])
                waiting.insert(0, rest)
            piece.append(part)
            size -= part.size
        pieces.append(piece)
    return [concatenation(piece) for piece in pieces]
