"""Axes of the outputs of torch's basic operators, and what they tell of those of their inputs.

A rule unifies axes that an operator pairs index by index and fixes those whose indices it treats
unlike each other. Every operator here commutes with permutations of the units of all axes that stay
free; one that is not here fixes all that it touches.
"""

from collections.abc import Callable
from typing import Any

from nets.symmetry.axes_of_tensors import Axes, Call, Label, Stack, broadcast, unify_all
from nets.symmetry.axis_factors import STRUCTURE, Factor, concatenation, cut, fix, product, unify

Rule = Callable[[Call], Label]


def unknown(call: Call) -> Label:
    """Fix all axes of an operator's inputs and outputs."""
    for axes in call.tensors:
        axes.fix(f"the operator {call.operator}")
    return _several(call, [Axes.of_shape(shape, STRUCTURE) for shape in call.shapes])


def pointwise(call: Call) -> Label:
    """Functions of single numbers, and of numbers at the same indices."""
    axes = broadcast(call.tensors, call.shape)
    return _several(call, [axes] * len(call.shapes))


def _several(call: Call, outputs: list[Any]) -> Label:
    return outputs if len(call.shapes) > 1 else outputs[0]


def _uniform(call: Call) -> Label:
    """New tensors of one number."""
    return Axes.of_shape(call.shape)


# --- products


def _product(call: Call) -> Label:
    """Products of matrices, of several matrices, with a tensor added to them."""
    *added, left, right = call.tensors
    vector = len(right) == 1
    unify(left[-1], right[-1 if vector else -2])
    if not vector:
        unify_all(left[:-2], right[:-2])
    axes = Axes(left[:-1] if vector else (*left[:-1], right[-1]))
    return broadcast([axes, *added], call.shape)


def _convolution(call: Call) -> Label:
    """Convolutions; channels of several groups are (group, channel of the group)."""
    x, weight, bias, groups = call["input"], call["weight"], call["bias"], call["groups"]
    outputs = call.shape[1]
    group = Factor(groups, STRUCTURE if groups == 1 else None)
    inside, outside = Factor(x[1].size // groups), Factor(outputs // groups)
    taken, given = product([group, inside]), product([group, outside])
    unify(x[1], taken)
    if call["transposed"]:
        pairs = (weight[0], taken), (weight[1], outside)
    else:
        pairs = (weight[0], given), (weight[1], inside)
    for axis, factor in pairs:
        unify(axis, factor)
    if bias is not None:
        unify(bias[0], given)
    for factor in (*x[2:], *weight[2:]):
        fix(factor, STRUCTURE)
    return Axes((x[0], given, *Axes.of_shape(call.shape[2:], STRUCTURE)))


def _embedding(call: Call) -> Label:
    """Rows of a table, by the numbers of the inputs."""
    fix(call["weight"][0], STRUCTURE)
    return Axes((*call["indices"], call["weight"][1]))


# --- norms and reductions


def _batch_norm(call: Call) -> Label:
    x = call["input"]
    for name in ("weight", "bias", "running_mean", "running_var"):
        if call[name] is not None:
            unify(call[name][0], x[1])
    return [x] + [Axes([x[1]]) if shape == (x[1].size,) else Axes.of_shape(shape, STRUCTURE)
                  for shape in call.shapes[1:]]  # fmt: skip


def _layer_norm(call: Call) -> Label:
    x = call["input"]
    last = len(call["normalized_shape"])
    for name in ("weight", "bias"):
        if call[name] is not None:
            unify_all(call[name], x[-last:])
    return [x] + [Axes((*x[:-last], *Axes.of_shape([1] * last))) for _ in call.shapes[1:]]


def _group_norm(call: Call) -> Label:
    x, groups = call["input"], call["group"]
    channels = product([Factor(groups), Factor(x[1].size // groups)])
    unify(x[1], channels)
    for name in ("weight", "bias"):
        if call[name] is not None:
            unify(call[name][0], channels)
    return [x] + [Axes.of_shape(shape, STRUCTURE) for shape in call.shapes[1:]]


def _reduction(call: Call) -> Label:
    """Sums, means, norms and the like over axes, in any order of their indices."""
    x, dims = call["self"], call["dim"]
    dims = range(len(x)) if dims is None or dims == [] else dims
    gone = {dim % len(x) for dim in ([dims] if isinstance(dims, int) else dims)} if x else set()
    kept = len(call.shape) == len(x)
    axes = [Factor(1, STRUCTURE) if dim in gone else factor
            for dim, factor in enumerate(x) if kept or dim not in gone]  # fmt: skip
    return _several(call, [Axes(axes)] * len(call.shapes))


def _along(call: Call) -> Label:
    """Functions along an axis that are the same for each order of its indices."""
    return call["self"]


def _ordered(call: Call) -> Label:
    """Operators that mind the order along axes, of which each output keeps the others."""
    x = call["self"]
    dims = call["dim"] if call["dim"] is not None else call["dims"]
    if dims is None or dims == []:
        return _reduction(call) if call.operator in ("max", "min") else unknown(call)
    fixed = {dim % len(x) for dim in ([dims] if isinstance(dims, int) else dims)}
    for dim in fixed:
        fix(x[dim], f"the operator {call.operator}")
    kept = all(len(shape) == len(x) for shape in call.shapes)
    outputs = [
        Axes(Factor(shape[dim], STRUCTURE) if dim in fixed else f for dim, f in enumerate(x))
        if kept
        else Axes(f for dim, f in enumerate(x) if dim not in fixed)
        for shape in call.shapes
    ]
    return _several(call, outputs)


def _spatial(call: Call) -> Label:
    """Pooling and resizing: places are fixed, examples and channels stay."""
    x = call["self"] if call["self"] is not None else call["input"]
    number = next(int(c) for c in call.operator if c in "123")
    for factor in x[-number:]:
        fix(factor, STRUCTURE)
    axes = Axes((*x[:-number], *Axes.of_shape(call.shape[-number:], STRUCTURE)))
    return _several(call, [axes] * len(call.shapes))


def _padded(call: Call) -> Label:
    x, pad = call["self"], call["pad"]
    axes = list(x)
    for back in range(len(pad) // 2):
        dim = len(x) - 1 - back
        if pad[2 * back] or pad[2 * back + 1]:
            fix(x[dim], "padding")
            axes[dim] = Factor(call.shape[dim], STRUCTURE)
    return Axes(axes)


def _triangle(call: Call) -> Label:
    for factor in call["self"][-2:]:
        fix(factor, "a triangle of a matrix")
    return call["self"]


def _gated(call: Call) -> Label:
    """Gated linear units: one half of an axis times the sigmoid of the other."""
    x = call["self"]
    dim = call["dim"] % len(x)
    halves = cut(x[dim], [x[dim].size // 2] * 2)
    unify(*halves)
    return Axes((*x[:dim], halves[0], *x[dim + 1 :]))


def _indexed(call: Call) -> Label:
    """Numbers at listed indices of some axes, all others kept."""
    x, indices = call["self"], call["indices"]
    listed = [dim for dim, index in enumerate(indices) if index is not None]
    index_axes = [index for index in indices if index is not None]
    count = len(call.shape) - len(x) + len(listed)
    if max(map(len, index_axes)) != count:  # masks
        return unknown(call)
    for dim in listed:
        fix(x[dim], STRUCTURE)
    adjacent = listed == list(range(listed[0], listed[-1] + 1))
    start = listed[0] if adjacent else 0
    chosen = broadcast(index_axes, call.shape[start : start + count])
    kept = [factor for dim, factor in enumerate(x) if dim not in listed]
    return Axes((*kept[:start], *chosen, *kept[start:]))


def _selected(call: Call) -> Label:
    """Numbers at the indices of one list along one axis."""
    x = call["self"]
    dim = call["dim"] % len(x)
    fix(x[dim], STRUCTURE)
    return Axes((*x[:dim], Factor(call.shape[dim], STRUCTURE), *x[dim + 1 :]))


def _joined(call: Call) -> Label:
    """Concatenation along an axis."""
    tensors = [axes for axes in call.tensors if len(axes) == len(call.shape)]
    dim = (call["dim"] or 0) % len(call.shape)
    for axes in tensors[1:]:
        for at, (x, y) in enumerate(zip(tensors[0], axes, strict=True)):
            if at != dim:
                unify(x, y)
    whole = concatenation([axes[dim] for axes in tensors])
    return Axes((*tensors[0][:dim], whole, *tensors[0][dim + 1 :]))


def _stacked(call: Call) -> Label:
    """Tensors along a new axis."""
    tensors = call.tensors
    dim = (call["dim"] or 0) % len(call.shape)
    stack = Stack(dim, tuple(tensors))
    return stack if call.enumerated(dim) else stack.merged()


_SPATIAL = [
    "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "adaptive_avg_pool1d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "upsample_nearest1d", "upsample_nearest2d",
    "upsample_nearest3d", "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d",
    "upsample_trilinear3d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
    "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d",
]  # fmt: skip
_REDUCTIONS = [
    "sum", "mean", "amax", "amin", "prod", "any", "all", "logsumexp", "var", "std", "var_mean",
    "std_mean", "linalg_vector_norm", "norm",
]  # fmt: skip
_POINTWISE = [
    "hardswish", "lift_fresh", "lift_fresh_copy", "native_dropout", "softplus_backward",
    "log_sigmoid", "log_sigmoid_forward", "floor_divide", "_prelu_kernel", "copy", "prelu",
    "hardswish_backward", "hardtanh_backward", "elu_backward", "leaky_relu_backward", "fill",
]  # fmt: skip

RULES: dict[str, Rule] = {
    **dict.fromkeys(_POINTWISE, pointwise),
    **dict.fromkeys(("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot"), _product),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys(_SPATIAL, _spatial),
    **dict.fromkeys(
        ("_softmax", "_safe_softmax", "_log_softmax", "softmax", "log_softmax"), _along
    ),
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"),
        _batch_norm,
    ),
    **dict.fromkeys(("native_layer_norm", "_fused_rms_norm"), _layer_norm),
    **dict.fromkeys(
        ("cumsum", "cumprod", "flip", "roll", "sort", "topk", "argmax", "argmin", "max", "min"),
        _ordered,
    ),
    **dict.fromkeys(
        ("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"), _uniform
    ),
    **dict.fromkeys(("tril", "triu"), _triangle),
    "convolution": _convolution,
    "embedding": _embedding,
    "native_group_norm": _group_norm,
    "constant_pad_nd": _padded,
    "glu": _gated,
    "index": _indexed,
    "index_select": _selected,
    "cat": _joined,
    "stack": _stacked,
}
