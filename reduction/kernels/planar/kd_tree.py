"""Points of the plane in a k-d tree from which they can be taken out.

A node has the smallest box around its points and the number of those that are left; a box that is
farther than the length asked for, or empty, is not entered. Lengths are in a p-norm, which is no
less than the max-norm, in which boxes are compared; so rounding hides no point.

Source: Bentley (1975), "Multidimensional binary search trees"; without the points that are visited,
Kerber, Morozov & Nigmetov (2017), "Geometry helps to compare persistence diagrams", section 3.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reduction.kernels.compilation import Float, Int, njit, njit_step

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


class Tree(NamedTuple):
    """A k-d tree of n points in N nodes, the root first."""

    points: Floats  # (n, 2)
    order: Positions  # (n,) the points, node by node
    ranges: Positions  # (N, 2) a node has the points order[begin:end]
    child: Positions  # (N,) the first of two neighbouring nodes; -1 for a leaf
    parent: Positions  # (N,) -1 for the root
    boxes: Floats  # (N, 4) least and largest of each coordinate
    leaf: Positions  # (n,) the node of each point
    left: Positions  # (N,) points that are left
    there: NDArray[np.bool_]  # (n,) whether a point is left
    stack: Positions  # (128,) of a walk


LEAF = 8  # points at most


@njit
def plant(tree: Tree) -> Int:
    """Build a tree whose points and buffers are given; the number of its nodes."""
    nodes = 1
    tree.ranges[0, 0], tree.ranges[0, 1], tree.parent[0] = 0, len(tree.points), -1
    node = 0
    while node < nodes:
        begin, end = tree.ranges[node]
        rows = tree.order[begin:end].copy()
        tree.child[node], tree.left[node] = -1, rows.size
        for k in range(2):
            tree.boxes[node, 2 * k] = tree.points[rows, k].min()
            tree.boxes[node, 2 * k + 1] = tree.points[rows, k].max()
        if rows.size <= LEAF:
            tree.leaf[rows] = node
        else:
            widths = tree.boxes[node, 1::2] / 2 - tree.boxes[node, ::2] / 2
            tree.order[begin:end] = rows[np.argsort(tree.points[rows, np.argmax(widths)])]
            tree.child[node] = nodes
            middle = (begin + end) // 2
            for k in range(2):
                tree.ranges[nodes + k, 0] = middle if k else begin
                tree.ranges[nodes + k, 1] = end if k else middle
                tree.parent[nodes + k] = node
            nodes += 2
        node += 1
    return nodes


@njit_step
def fill(tree: Tree) -> None:
    """Put all points back."""
    tree.there[:] = True
    for node in range(tree.left.size):
        tree.left[node] = tree.ranges[node, 1] - tree.ranges[node, 0]


@njit_step
def take_out(point: Int, tree: Tree) -> None:
    """Take a point out, if it is there."""
    if not tree.there[point]:
        return
    tree.there[point] = False
    node = tree.leaf[point]
    while node >= 0:
        tree.left[node] -= 1
        node = tree.parent[node]


@njit_step
def p_length(x: Float, y: Float, norm: Float) -> Float:
    """The p-norm of a difference (x, y); as it stands for norm = inf, too."""
    x, y = abs(x), abs(y)
    longer, shorter = (x, y) if x > y else (y, x)
    if longer == 0:
        return longer
    return longer * (1 + (shorter / longer) ** norm) ** (1 / norm)


@njit_step
def box_distance(node: Int, x: Float, y: Float, tree: Tree) -> Float:
    """The max-norm distance of a point to the box of a node."""
    box = tree.boxes[node]
    return max(box[0] - x, x - box[1], box[2] - y, y - box[3], 0.0)


@njit_step
def find_within(x: Float, y: Float, length: Float, norm: Float, tree: Tree) -> Int:
    """A point that is left, no farther than `length` from (x, y); -1 if there is none."""
    depth, tree.stack[0] = 1, 0
    while depth:
        depth -= 1
        node = tree.stack[depth]
        if not tree.left[node] or box_distance(node, x, y, tree) > length:
            continue
        if tree.child[node] >= 0:
            tree.stack[depth], tree.stack[depth + 1] = tree.child[node], tree.child[node] + 1
            depth += 2
            continue
        for k in range(tree.ranges[node, 0], tree.ranges[node, 1]):
            j = tree.order[k]
            if tree.there[j]:
                other = tree.points[j]
                if p_length(x - other[0], y - other[1], norm) <= length:
                    return j
    return np.int64(-1)


@njit_step
def nearest_length(x: Float, y: Float, most: Float, norm: Float, tree: Tree) -> Float:
    """The least distance of (x, y) to a point that is left, or `most` if that is less."""
    depth, tree.stack[0] = 1, 0
    while depth:
        depth -= 1
        node = tree.stack[depth]
        if not tree.left[node] or box_distance(node, x, y, tree) >= most:
            continue
        first = tree.child[node]
        if first >= 0:
            nearer = box_distance(first, x, y, tree) <= box_distance(first + 1, x, y, tree)
            tree.stack[depth] = first + 1 if nearer else first  # the nearer one is taken first
            tree.stack[depth + 1] = first if nearer else first + 1
            depth += 2
            continue
        for k in range(tree.ranges[node, 0], tree.ranges[node, 1]):
            j = tree.order[k]
            if tree.there[j]:
                other = tree.points[j]
                most = min(most, p_length(x - other[0], y - other[1], norm))
    return most
