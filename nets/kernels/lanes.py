"""Steps on many numbers at a time, of which the loops of convolutions are built.

Numba's own loops load and store what they add up at each step. These keep it in the processor's
registers, which takes vectors by name: a step writes LLVM's instructions itself. A vector is 64
bytes, a register with AVX-512 and several elsewhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba.core import types
from numba.core.typing.templates import signature
from numba.extending import intrinsic

_step: Any = intrinsic  # its types do not know that it takes away the first parameter
BYTES = 64  # of a vector
WHOLE = ir.IntType(64)

HAS_AVX512 = bool(binding.get_host_cpu_features().get("avx512f"))
FILTERS = 8 if HAS_AVX512 else 4  # that a product is taken for, as many as registers hold
VECTORS = 2 if HAS_AVX512 else 1  # of places
WIDTH = VECTORS * BYTES // 4  # numbers of float32 of a product, twice those of float64


class _Vectors:
    """Instructions on vectors of the numbers of an array type, where a builder stands."""

    def __init__(self, context: Any, builder: Any, array: Any) -> None:
        self.builder = builder
        number = context.get_value_type(array.dtype)
        self.count = BYTES // (array.dtype.bitwidth // 8)
        self.type = ir.VectorType(number, self.count)
        self._splat = ir.Constant(ir.VectorType(ir.IntType(32), self.count), [0] * self.count)
        self._undefined = ir.Constant(self.type, ir.Undefined)
        name = f"llvm.fma.v{self.count}f{array.dtype.bitwidth}"
        known = builder.module.globals.get(name)
        kind = ir.FunctionType(self.type, [self.type] * 3)
        self._fma = known or ir.Function(builder.module, kind, name)

    def constant(self, number: float) -> Any:
        """The same number everywhere."""
        return ir.Constant(self.type, [number] * self.count)

    def load(self, begin: Any, place: Any) -> Any:
        """The vector that begins so many numbers behind a pointer."""
        pointer = self.builder.bitcast(self.builder.gep(begin, [place]), self.type.as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, vector: Any, begin: Any, place: Any) -> None:
        """Write it there."""
        pointer = self.builder.bitcast(self.builder.gep(begin, [place]), self.type.as_pointer())
        self.builder.store(vector, pointer, align=4)

    def spread(self, begin: Any, place: int) -> Any:
        """The number there, everywhere."""
        number = self.builder.load(self.builder.gep(begin, [whole(place)]))
        alone = self.builder.insert_element(self._undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(alone, self._undefined, self._splat)

    def add_product(self, total: Any, one: Any, other: Any) -> Any:
        """total + one * other, rounded once."""
        return self.builder.call(self._fma, [one, other, total])

    def combine(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """The sum of factors times vectors, without those whose factor is 0."""
        terms = [(float(f), v) for f, v in zip(factors, vectors, strict=True) if f]
        terms.sort(key=lambda term: term[0] != 1)  # a term that stands for itself first
        (factor, total), *others = terms
        if factor != 1:
            total = self.builder.fmul(self.constant(factor), total)
        for factor, vector in others:
            if factor == 1:
                total = self.builder.fadd(total, vector)
            elif factor == -1:
                total = self.builder.fsub(total, vector)
            else:
                total = self.add_product(total, self.constant(factor), vector)
        return total


def whole(number: int) -> Any:
    """An index."""
    return ir.Constant(WHOLE, number)


def _behind(context: Any, builder: Any, array: Any, value: Any, place: Any) -> Any:
    """The pointer to a place of a flat array."""
    return builder.gep(context.make_array(array)(context, builder, value).data, [place])


@_step
def product(
    _: Any,
    values: Any,
    places: Any,
    weights: Any,
    bias: Any,
    out: Any,
    at: Any,
    at_weights: Any,
    at_bias: Any,
    at_out: Any,
    row: Any,
    kept: Any,
) -> Any:
    """out[at_out + k row + i] = bias[at_bias + k] + sum over s of weights[s, k] values[at +
    places[s] + i], for filters k < kept <= FILTERS, and i in WIDTH places (half as many in
    float64). Flat arrays; weights (len(places), FILTERS) from at_weights on.
    """
    sig = signature(types.void, values, places, weights, bias, out, *[types.intp] * 6)

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        lanes = _Vectors(context, builder, values)
        read = _behind(context, builder, values, args[0], args[5])
        factors = _behind(context, builder, weights, args[2], args[6])
        first = _behind(context, builder, bias, args[3], args[7])
        written = _behind(context, builder, out, args[4], args[8])
        row, kept = args[9:]
        table = context.make_array(places)(context, builder, args[1])
        steps = builder.extract_value(table.shape, 0)
        begin = [lanes.spread(first, k) for k in range(FILTERS)]

        before, loop, after = (
            builder.block,
            builder.append_basic_block("step"),
            builder.append_basic_block("sums"),
        )
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(WHOLE)
        step.add_incoming(whole(0), before)
        sums = [[builder.phi(lanes.type) for _ in range(VECTORS)] for _ in range(FILTERS)]
        place = builder.load(builder.gep(table.data, [step]))
        following = builder.add(step, whole(1))
        of_step = builder.gep(factors, [builder.mul(step, whole(FILTERS))])
        seen = [
            lanes.load(read, builder.add(place, whole(lanes.count * j))) for j in range(VECTORS)
        ]
        step.add_incoming(following, loop)
        for k, of_filter in enumerate(sums):
            factor = lanes.spread(of_step, k)
            for j, total in enumerate(of_filter):
                total.add_incoming(begin[k], before)
                of_filter[j] = lanes.add_product(total, factor, seen[j])
                total.add_incoming(of_filter[j], loop)
        builder.cbranch(builder.icmp_signed("<", following, steps), loop, after)

        builder.position_at_end(after)
        for k, of_filter in enumerate(sums):
            with builder.if_then(builder.icmp_signed("<", whole(k), kept)):
                for j, total in enumerate(of_filter):
                    to = builder.add(builder.mul(whole(k), row), whole(lanes.count * j))
                    lanes.store(total, written, to)
        return context.get_dummy_value()

    return sig, generate


def transform(*matrices: Any, whole_square: bool) -> Any:
    """A step that writes M X M^T, for a square X of vectors and M the product of the matrices.

    (values, out, at, down, right, to, to_down, to_right, rows, columns): X[i, j] is read at at +
    i down + j right, the result's [i, j] is written at to + i to_down + j to_right, in flat arrays.
    Of a square that is not whole, numbers whose row i or column j is not among the bits of `rows`
    and `columns` are zeros, or left as they are where the result is smaller than X.
    """
    results, reads = len(matrices[0]), matrices[-1].shape[1]
    narrows = results < reads

    @_step
    def step(
        _: Any,
        values: Any,
        out: Any,
        at: Any,
        down: Any,
        right: Any,
        to: Any,
        to_down: Any,
        to_right: Any,
        rows: Any,
        columns: Any,
    ) -> Any:
        sig = signature(types.void, values, out, *[types.intp] * 8)

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            lanes = _Vectors(context, builder, values)
            read = _behind(context, builder, values, args[0], args[2])
            written = _behind(context, builder, out, args[1], args[5])
            down, right, _, to_down, to_right, rows, columns = args[3:]

            def place(i: int, j: int, down: Any, right: Any) -> Any:
                return builder.add(builder.mul(whole(i), down), builder.mul(whole(j), right))

            def is_inside(i: int, j: int) -> Any:
                bits = builder.lshr(rows, whole(i)), builder.lshr(columns, whole(j))
                return builder.trunc(builder.and_(*bits), ir.IntType(1))

            def load(i: int, j: int) -> Any:
                if whole_square or narrows:
                    return lanes.load(read, place(i, j, down, right))
                before = builder.block
                with builder.if_then(is_inside(i, j)):
                    within = builder.block
                    vector = lanes.load(read, place(i, j, down, right))
                either = builder.phi(lanes.type)
                either.add_incoming(lanes.constant(0.0), before)
                either.add_incoming(vector, within)
                return either

            def times(vectors: list[Any]) -> list[Any]:
                for matrix in reversed(matrices):
                    vectors = [lanes.combine(row, vectors) for row in matrix]
                return vectors

            square = [[load(i, j) for i in range(reads)] for j in range(reads)]
            halves = [times(column) for column in square]
            for i in range(results):
                for j, vector in enumerate(times([half[i] for half in halves])):
                    to = place(i, j, to_down, to_right)
                    if whole_square or not narrows:
                        lanes.store(vector, written, to)
                    else:
                        with builder.if_then(is_inside(i, j)):
                            lanes.store(vector, written, to)
            return context.get_dummy_value()

        return sig, generate

    return step


def aligned(count: int) -> int:
    """The least number of float32 numbers, no fewer than `count`, that fills whole vectors."""
    step = BYTES // np.dtype(np.float32).itemsize
    return -(-count // step) * step
