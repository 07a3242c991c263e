"""LLVM intrinsics for the kernels: vector instructions that Numba's Python can't express."""

# Numba passes an intrinsic's context itself.
# mypy: disable-error-code="call-arg"

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

PANEL, LANES = 64, 16


@intrinsic
def power_of_two(context: Any, exponent: Any) -> Any:
    """2 ** exponent as float32, for int32 from -126 to 127."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32 = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(i32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(i32, 23)), ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def to_storage(context: Any, value: Any, array: Any) -> Any:
    """Convert float32 to the array's element type: float32, or float16 bits in int16."""
    kept = array.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if kept == types.float32:
            return arguments[0]
        return builder.bitcast(builder.fptrunc(arguments[0], ir.HalfType()), ir.IntType(16))

    return kept(types.float32, array), generate


@intrinsic(prefer_literal=True)
def tile(
    context: Any,
    x: Any,
    row: Any,
    first: Any,
    depth: Any,
    panels: Any,
    number: Any,
    out: Any,
    column: Any,
    rows: Any,
    added: Any,
) -> Any:
    """Multiply `rows` rows of x [n, ·], from `row` on, by one panel of a packed matrix [panels, ·, PANEL].

    The product of `depth` of their elements, from `first` on, and panel `number` is written to the same rows
    of out [n, ·], to PANEL columns from `column` on, or added to them if `added` is 1. `rows` and `added` are
    literals.

    Written in vector instructions, because LLVM's loop vectoriser doesn't keep the sums in registers.
    """
    height, parts, kept = rows.literal_value, range(PANEL // LANES), panels.dtype
    adds = bool(added.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        i32, i64 = ir.IntType(32), ir.IntType(64)
        vector, wide = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(i32, LANES)
        half = ir.VectorType(ir.IntType(16), LANES)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(vector, [vector] * 3), "llvm.fma.v16f32"
        )
        _, row, first, depth, _, number, _, column, _, _ = arguments
        x_, panels_, out_ = (
            context.make_array(signature.args[place])(context, builder, arguments[place])
            for place in (0, 4, 6)
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
        starts = [
            plus(plus(x_.data, builder.add(row, constant[down]), x_columns), first) for down in range(height)
        ]
        targets = [
            as_pointer(plus(plus(begin, column), constant[part * LANES]), vector)
            for begin in (
                plus(out_.data, builder.add(row, constant[down]), out_columns) for down in range(height)
            )
            for part in parts
        ]
        zeros = ir.Constant(vector, [0.0] * LANES)
        sums_before = [builder.load(target, align=4) if adds else zeros for target in targets]
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
        for old, earlier, new in zip(sums, sums_before, grown, strict=True):
            old.add_incoming(earlier, before)
            old.add_incoming(new, loop)
        following = builder.add(index, constant[1])
        index.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, after)
        builder.position_at_end(after)
        for target, sum_ in zip(targets, grown, strict=True):
            builder.store(sum_, target, align=4)
        return context.get_dummy_value()

    return types.void(x, row, first, depth, panels, number, out, column, rows, added), generate
