"""A column's way through all layers, as one compiled function.

Matrices are packed in panels of PANEL columns, [panels, in, PANEL], which are read from the first number to
the last: as float32, as bfloat16 (uint16), or as float16 (int16). All sums are float32. Every row of x is
computed in the same order whatever the number of rows, so that a stream's numbers don't depend, to the bit,
on who shares the batch. In shapes n is the number of streams, H the hidden size, D the head size.
"""

# What Numba compiles has the types that it is called with; an intrinsic is called without its context.
# mypy: disable-error-code="no-untyped-def, call-arg"

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from higgs.cpu.compiled import compiled, compiled_sum

PANEL, LANES = 64, 16
LOG2_E, LN_2_HIGH, LN_2_LOW = (
    np.float32(1.4426950408889634),
    np.float32(0.693359375),
    np.float32(-2.12194440e-4),
)


@intrinsic
def power_of_two(context: Any, exponent: Any) -> Any:
    """float32 2 ** exponent for int32 from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def as_kept(context: Any, value: Any, array: Any) -> Any:
    """float32 to what an array keeps: itself, or float16 in int16."""
    kept = array.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if kept == types.float32:
            return arguments[0]
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return kept(types.float32, array), generate


@intrinsic(prefer_literal=True)
def tile(
    context: Any, x: Any, row: Any, depth: Any, panels: Any, number: Any, out: Any, column: Any, rows: Any
) -> Any:
    """Some rows of x [n, ·] times one panel of a packed matrix [panels, ·, PANEL], to the same rows of out.

    The first `depth` numbers of so many rows (a literal), from `row` on, and as many rows of panel `number`
    make PANEL numbers of out [n, ·], from `column` on.

    Written as vector instructions, since no loop that LLVM vectorises keeps its sums in registers.
    """
    height, parts, kept = rows.literal_value, range(PANEL // LANES), panels.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        vector, wide = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(i32, LANES)
        half = ir.VectorType(ir.IntType(16), LANES)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.fma.v16f32"
        )
        _, row, depth, _, number, _, column, _ = arguments
        x_, panels_, out_ = (
            context.make_array(signature.args[place])(context, builder, arguments[place])
            for place in (0, 3, 5)
        )
        x_columns, panel_rows, out_columns = (
            cgutils.unpack_tuple(builder, array.shape)[1] for array in (x_, panels_, out_)
        )

        def plus(base: Any, *factors: Any) -> Any:
            offset = factors[0]
            for factor in factors[1:]:
                offset = builder.mul(offset, factor)
            return builder.gep(base, [offset])

        def as_pointer(place: Any, kind: Any) -> Any:
            return builder.bitcast(place, kind.as_pointer())

        constant = [ir.Constant(i64, value) for value in range(max(height, len(parts) * LANES, PANEL) + 1)]
        starts = [plus(x_.data, builder.add(row, constant[down]), x_columns) for down in range(height)]
        panel = plus(panels_.data, number, panel_rows, constant[PANEL])
        before = builder.block
        loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(i64)
        index.add_incoming(constant[0], before)
        sums = [builder.phi(vector) for _ in range(height) for _ in parts]
        weights = []
        for part in parts:
            place = plus(plus(panel, index, constant[PANEL]), constant[part * LANES])
            if kept == types.float32:
                weights.append(builder.load(as_pointer(place, vector), align=4))
            elif kept == types.int16:
                float16 = ir.VectorType(ir.HalfType(), LANES)
                weights.append(builder.fpext(builder.load(as_pointer(place, float16), align=2), vector))
            else:
                bits = builder.load(as_pointer(place, half), align=2)
                shifted = builder.shl(builder.zext(bits, wide), ir.Constant(wide, [16] * LANES))
                weights.append(builder.bitcast(shifted, vector))
        undefined = ir.Constant(vector, ir.Undefined)
        grown: list[Any] = []
        for down in range(height):
            number_ = builder.load(plus(starts[down], index))
            one = builder.insert_element(undefined, number_, ir.Constant(i32, 0))
            spread = builder.shuffle_vector(one, undefined, ir.Constant(wide, [0] * LANES))
            for part in parts:
                grown.append(builder.call(fused, [spread, weights[part], sums[len(grown)]]))
        for old, new in zip(sums, grown, strict=True):
            old.add_incoming(ir.Constant(vector, [0.0] * LANES), before)
            old.add_incoming(new, loop)
        following = builder.add(index, constant[1])
        index.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for down in range(height):
            start = plus(out_.data, builder.add(row, constant[down]), out_columns)
            start = plus(start, column)
            for part in parts:
                target = as_pointer(plus(start, constant[part * LANES]), vector)
                builder.store(grown[down * len(parts) + part], target, align=4)
        return context.get_dummy_value()

    return types.void(x, row, depth, panels, number, out, column, rows), generate


@compiled
def product(x, panels, out):
    """x [n, in] times a packed matrix to out [n, columns], the first panels * PANEL of which it fills."""
    depth = panels.shape[1]
    for number in range(len(panels)):
        row = 0
        while row + 4 <= len(x):
            tile(x, row, depth, panels, number, out, number * PANEL, 4)
            row += 4
        while row < len(x):
            tile(x, row, depth, panels, number, out, number * PANEL, 1)
            row += 1


@compiled
def exponential(x):
    """e ** x for float32 x <= 0, to a relative 3e-7: S. L. Moshier's polynomial (Cephes, expf).

    A loop over it becomes vectors, which one over a library's function does not.
    """
    x = max(x, np.float32(-87.0))
    whole = np.int32(x * LOG2_E - np.float32(0.5))
    rest = x - np.float32(whole) * LN_2_HIGH - np.float32(whole) * LN_2_LOW
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    return (series * rest * rest + rest + np.float32(1.0)) * power_of_two(whole)


@compiled_sum
def normed(x, weight, epsilon, out):
    """RMS norm of one row."""
    total = np.float32(0.0)
    for index in range(len(x)):
        total += x[index] * x[index]
    scale = np.float32(1.0) / np.sqrt(total / np.float32(len(x)) + epsilon)
    for index in range(len(x)):
        out[index] = x[index] * scale * weight[index]


@compiled
def turned(x, turn, out):
    """Rotary embedding of one head x [D] by turn [2, D], cosine and signed sine."""
    half = len(x) // 2
    for index in range(half):
        low, high = x[index], x[index + half]
        out[index] = low * turn[0, index] + high * turn[1, index]
        out[index + half] = high * turn[0, index + half] + low * turn[1, index + half]


@compiled_sum
def largest_of(scores):
    largest = scores[0]
    for position in range(len(scores)):
        largest = max(largest, scores[position])
    return largest


@compiled_sum
def sum_of(scores):
    total = np.float32(0.0)
    for position in range(len(scores)):
        total += scores[position]
    return total


@compiled
def softened(scores, scale):
    """Scores [L] to e ** (scale * (score - largest)); their sum."""
    largest = largest_of(scores)
    for position in range(len(scores)):
        scores[position] = exponential((scores[position] - largest) * scale)
    return sum_of(scores)


@compiled
def gated(both, out):
    """silu(gate) * up of one row [gate, up]."""
    size = len(out)
    for index in range(size):
        gate = both[index]
        small = exponential(-abs(gate))
        share = np.float32(1.0) if gate >= 0 else small
        out[index] = gate * share / (np.float32(1.0) + small) * both[size + index]


@compiled
def attend(projected, turn, norms, epsilon, keys, values, position, scratch, out):
    """One stream's attention: query, key and value of a position, projected [·], to out [heads * D].

    keys and values, as of PanelCache, take those of the position; norms [heads + kv_heads, D, or 0 for none].
    """
    scores, mean = scratch.scores, scratch.mean
    kv_heads, size = keys.shape[0], keys.shape[2]
    heads = len(norms) - kv_heads
    for head in range(heads + kv_heads):
        x = projected[head * size : (head + 1) * size]
        if norms.shape[1]:
            normed(x, norms[head], epsilon, x)
        turned(x, turn, x)
    panel, place = position // PANEL, position % PANEL
    for head in range(kv_heads):
        for index in range(size):
            key = projected[(heads + head) * size + index]
            value = projected[(heads + kv_heads + head) * size + index]
            keys[head, panel, index, place] = as_kept(key, keys)
            values[head, index // PANEL, position, index % PANEL] = as_kept(value, values)
    queries = projected[: heads * size].reshape(heads, size)
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(heads):
        group = head * kv_heads // heads
        for number in range(panel + 1):
            tile(queries, head, size, keys[group], number, scores, number * PANEL, 1)
        total = softened(scores[head, : position + 1], scale)
        for number in range(values.shape[1]):
            tile(scores, head, position + 1, values[group], number, mean, number * PANEL, 1)
        for index in range(size):
            out[head * size + index] = mean[head, index] / total


@compiled
def add_to(x, more):
    """Add the first numbers of `more` to x [H]."""
    for index in range(len(x)):
        x[index] += more[index]


@compiled
def logits_of(x, positions, turns, layers, norm, head, epsilon, keys, values, scratch):
    """x [n, H] at positions [n] through all layers and the head to scratch.logits[:n]; x is overwritten.

    turns [capacity, 2, D] cosine and signed sine; keys and values as of PanelCache.
    """
    n, wide = len(x), scratch.wide
    inner, heads, fed = scratch.normed[:n], scratch.heads[:n], scratch.fed[:n]
    for layer in range(len(keys)):
        for row in range(n):
            normed(x[row], layers.input_norm[layer], epsilon, inner[row])
        product(inner, layers.query_key_value[layer], wide)
        norms = layers.head_norms[layer]
        for row in range(n):
            at, past = positions[row], (keys[layer, row], values[layer, row])
            attend(wide[row], turns[at], norms, epsilon, past[0], past[1], at, scratch, heads[row])
        product(heads, layers.output[layer], wide)
        for row in range(n):
            add_to(x[row], wide[row])
            normed(x[row], layers.feed_norm[layer], epsilon, inner[row])
        product(inner, layers.gate_up[layer], wide)
        for row in range(n):
            gated(wide[row], fed[row])
        product(fed, layers.down[layer], wide)
        for row in range(n):
            add_to(x[row], wide[row])
    for row in range(n):
        normed(x[row], norm, epsilon, inner[row])
    product(inner, head, scratch.logits)
