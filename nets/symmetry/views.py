"""Axes of views: tensors in another shape, in another order of axes, or parts of them.

A view that splits an axis and is then taken apart index by index, as the queries, keys and values
of attention are, is a Stack: each slice keeps axes of its own. All other splits are products.
"""

from math import prod

from nets.symmetry.axes_of_tensors import Axes, Call, Label, Stack
from nets.symmetry.axis_factors import STRUCTURE, Factor, cut, fix, leaves_of, product, split
from nets.symmetry.operators import Rule, pointwise, unknown

MOST_SLICES = 16  # slices of a Stack


def _view(call: Call) -> Label:
    x = call["self"]
    if not isinstance(call["size"], list | tuple):
        return unknown(call)
    leaves = [leaf for factor in x for leaf in leaves_of(factor)]
    if prod(leaf.size for leaf in leaves) != prod(call.shape):  # views of other types of numbers
        return unknown(call)
    return _factored(leaves, call, 0)


def _factored(leaves: list[Factor], call: Call, start: int) -> Axes | Stack:
    """Axes from the `start`-th on, of leaves that are split and multiplied as they need."""
    axes = list[Factor]()
    for dim in range(start, len(call.shape)):
        piece, left = list[Factor](), call.shape[dim]
        while left > 1:
            leaf, *more = leaves_of(leaves.pop(0))
            leaves[:0] = more
            if left % leaf.size == 0:
                piece.append(leaf)
                left //= leaf.size
            elif leaf.size % left:
                for factor in (*piece, leaf, *leaves):
                    fix(factor, "axes that are split unlike each other")
                return Axes((*axes, *Axes.of_shape(call.shape[dim:], STRUCTURE)))
            elif not piece and left <= MOST_SLICES and call.enumerated(dim):
                parts = cut(leaf, [leaf.size // left] * left)
                rests = [_factored([part, *leaves], call, dim + 1) for part in parts]
                slices = [rest.merged() if isinstance(rest, Stack) else rest for rest in rests]
                return Stack(dim - start, tuple(Axes((*axes, *rest)) for rest in slices))
            else:
                outer, inner = split(leaf, left)
                piece.append(outer)
                leaves.insert(0, inner)
                left = 1
        axes.append(product(piece))
    return Axes(axes)


def _permuted(call: Call) -> Label:
    """Another order of axes; of a Stack, too."""
    x = call.arguments["self"]
    number = x.ndim if isinstance(x, Stack) else len(x)
    order = list(range(number))
    if call.operator == "permute":
        order = [dim % number for dim in call["dims"]]
    elif number > 1:
        first, second = (0, 1) if call.operator == "t" else (call["dim0"], call["dim1"])
        order[first], order[second] = order[second], order[first]
    if not isinstance(x, Stack):
        return Axes(x[dim] for dim in order)
    places = [dim - (dim > x.dim) for dim in order if dim != x.dim]
    return Stack(order.index(x.dim), tuple(Axes(axes[k] for k in places) for axes in x.slices))


def _unsqueezed(call: Call) -> Label:
    x, dim = call.arguments["self"], call["dim"] % len(call.shape)
    one = Factor(1, STRUCTURE)
    if not isinstance(x, Stack):
        return Axes((*x[:dim], one, *x[dim:]))
    place = dim - (dim > x.dim)
    slices = tuple(Axes((*axes[:place], one, *axes[place:])) for axes in x.slices)
    return Stack(x.dim + (dim <= x.dim), slices)


def _squeezed(call: Call) -> Label:
    x, dims = call.arguments["self"], call["dim"]
    number = x.ndim if isinstance(x, Stack) else len(x)
    dims = range(number) if dims is None else [dims] if isinstance(dims, int) else dims
    named = {dim % number for dim in dims}
    if not isinstance(x, Stack):
        return Axes(f for dim, f in enumerate(x) if not (dim in named and f.size == 1))
    gone = {dim for dim in named - {x.dim} if x.slices[0][dim - (dim > x.dim)].size == 1}
    places = [dim - (dim > x.dim) for dim in range(number) if dim not in gone and dim != x.dim]
    slices = tuple(Axes(axes[k] for k in places) for axes in x.slices)
    return Stack(x.dim - sum(dim < x.dim for dim in gone), slices)


def _copied(call: Call) -> Label:
    """Copies, of a Stack, too."""
    x = call.arguments["self"]
    return x if isinstance(x, Stack) else pointwise(call)


def _one(call: Call) -> Label:
    """One index of an axis."""
    x, dim = call.arguments["self"], call["dim"]
    if isinstance(x, Stack):
        if dim % x.ndim == x.dim:
            return x.slices[call["index"]]
        x = x.merged()
    dim %= len(x)
    fix(x[dim], STRUCTURE)
    return Axes((*x[:dim], *x[dim + 1 :]))


def _each(call: Call) -> Label:
    """All indices of an axis, one by one."""
    x, dim = call.arguments["self"], call["dim"] or 0
    if isinstance(x, Stack):
        if dim % x.ndim == x.dim:
            return list(x.slices)
        x = x.merged()
    dim %= len(x)
    fix(x[dim], STRUCTURE)
    return [Axes((*x[:dim], *x[dim + 1 :])) for _ in range(x[dim].size)]


def _slice(call: Call) -> Label:
    """A run of indices of an axis; others are those before and behind it."""
    x = call["self"]
    dim, step = (call["dim"] or 0) % len(x), call["step"]
    size, kept = x[dim].size, call.shape[dim]
    if step not in (None, 1):
        fix(x[dim], "slices with steps")
        return Axes((*x[:dim], Factor(kept, STRUCTURE), *x[dim + 1 :]))
    start = min(max((call["start"] or 0) + (size if (call["start"] or 0) < 0 else 0), 0), size)
    sizes = [start, kept, size - start - kept]
    pieces = cut(x[dim], [n for n in sizes if n]) if kept else [Factor(0, STRUCTURE)]
    piece = pieces[1 if start and kept else 0]
    return Axes((*x[:dim], piece, *x[dim + 1 :]))


def _parts(call: Call) -> Label:
    """Consecutive parts of an axis."""
    x, dim = call["self"], call["dim"] or 0
    dim %= len(x)
    pieces = cut(x[dim], [shape[dim] for shape in call.shapes])
    return [Axes((*x[:dim], piece, *x[dim + 1 :])) for piece in pieces]


def _expanded(call: Call) -> Label:
    """Axes of one index, and new ones in front, repeated."""
    x, shape = call["self"], call.shape
    new = len(shape) - len(x)
    return Axes(
        x[dim - new] if dim >= new and x[dim - new].size == size else Factor(size)
        for dim, size in enumerate(shape)
    )


def _repeated(call: Call) -> Label:
    """The whole tensor several times along its axes."""
    x, repeats = call["self"], call["repeats"]
    new = len(repeats) - len(x)
    axes = list[Factor]()
    for dim, count in enumerate(repeats):
        old = [x[dim - new]] if dim >= new else []
        axes.append(product([Factor(count), *old]))
    return Axes(axes)


VIEWS: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias"), _view),
    **dict.fromkeys(("permute", "transpose", "t"), _permuted),
    **dict.fromkeys(("clone", "alias", "detach", "_to_copy", "contiguous"), _copied),
    **dict.fromkeys(
        ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk"), _parts
    ),
    "unsqueeze": _unsqueezed,
    "squeeze": _squeezed,
    "select": _one,
    "unbind": _each,
    "slice": _slice,
    "expand": _expanded,
    "repeat": _repeated,
}
