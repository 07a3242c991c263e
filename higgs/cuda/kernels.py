"""What the kernels of the step compute, in Triton's language; launches.py has their doors, and says what for.

In shapes n is the number of streams, H the query heads, G those of them that share a key, D the head size.
"""

import triton
import triton.language as tl


@triton.jit
def rope_and_write_kv_kernel(  # type: ignore[no-untyped-def]
    qkv,  # [n, H + 2 * H / G, D]
    rope,  # [capacity, 2, D]
    norms,  # [H + H / G, D]
    positions,  # [n], -1 for none
    firsts,  # [n / PER_FIRST]
    cache,  # [places, 2, H / G, D]
    epsilon,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    HALF: tl.constexpr,
    PER_FIRST: tl.constexpr,
    NORMED: tl.constexpr,
):
    row, head = tl.program_id(0), tl.program_id(1)
    low = tl.arange(0, HALF)
    position = tl.load(positions + row)
    place = tl.load(firsts + row // PER_FIRST) + position
    inside = (low < D // 2) & (position >= 0)
    source = qkv + (row * (HEADS + 2 * KV_HEADS) + head) * D
    first = tl.load(source + low, inside, 0.0).to(tl.float32)
    second = tl.load(source + D // 2 + low, inside, 0.0).to(tl.float32)
    if head < HEADS + KV_HEADS:
        if NORMED:
            mean = (tl.sum(first * first) + tl.sum(second * second)) / D
            scale = tl.rsqrt(mean + epsilon)
            first *= scale * tl.load(norms + head * D + low, inside, 0.0).to(tl.float32)
            second *= scale * tl.load(norms + head * D + D // 2 + low, inside, 0.0).to(tl.float32)
        angle = rope + position * 2 * D
        cos = tl.load(angle + low, inside, 0.0).to(tl.float32)
        sin = tl.load(angle + D + D // 2 + low, inside, 0.0).to(tl.float32)
        first, second = first * cos - second * sin, second * cos + first * sin
    target = source if head < HEADS else cache + place * 2 * KV_HEADS * D + (head - HEADS) * D
    tl.store(target + low, first.to(target.dtype.element_ty), inside)
    tl.store(target + D // 2 + low, second.to(target.dtype.element_ty), inside)


@triton.jit
def decode_attention_kernel(  # type: ignore[no-untyped-def]
    qkv,  # [n, H + 2 * H / G, D]
    cache,  # [rows, capacity, 2, H / G, D]
    positions,  # [n]
    means,  # [n, H, SPLITS, D] float32
    sums,  # [n, H, SPLITS] float32: log2 of what the weights add up to
    out,  # [n, H, D]
    row_stride,
    scale,  # of scores, times log2 e
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK: tl.constexpr,
    SPLITS: tl.constexpr,
):
    row, kv_head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    groups: tl.constexpr = HEADS // KV_HEADS
    query, column, place = tl.arange(0, QUERIES), tl.arange(0, WIDTH), tl.arange(0, BLOCK)
    heads = kv_head * groups + query
    of_query, of_column = query < groups, column < D
    of_head = of_query[:, None] & of_column[None, :]
    row_of_qkv = qkv + row * (HEADS + 2 * KV_HEADS) * D
    q = tl.load(row_of_qkv + heads[:, None] * D + column[None, :], of_head, 0.0)

    length = tl.load(positions + row) + 1
    share = tl.cdiv(tl.cdiv(length, BLOCK), SPLITS) * BLOCK
    begin = split * share
    end = tl.minimum(begin + share, length)
    keys = cache + row.to(tl.int64) * row_stride + kv_head * D
    largest = tl.full([QUERIES], -float("inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    mean = tl.zeros([QUERIES, WIDTH], tl.float32)
    for start in range(begin, end, BLOCK):
        here = start + place
        offsets = here[:, None] * (2 * KV_HEADS * D) + column[None, :]
        within = (here < end)[:, None] & of_column[None, :]
        k = tl.load(keys + offsets, within, 0.0)
        v = tl.load(keys + KV_HEADS * D + offsets, within, 0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        scores = tl.where((here < end)[None, :], scores, -float("inf"))
        larger = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - larger[:, None])
        shrink = tl.exp2(largest - larger)
        total = total * shrink + tl.sum(weights, 1)
        mean = mean * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        largest = larger
    if SPLITS == 1:
        target = out + (row * HEADS + heads[:, None]) * D + column[None, :]
        tl.store(target, (mean / total[:, None]).to(out.dtype.element_ty), of_head)
    else:
        # A share beyond the end weighs nothing: `largest` is -inf there.
        total = tl.where(total > 0, total, 1.0)
        part = (row * HEADS + heads) * SPLITS + split
        tl.store(sums + part, largest + tl.log2(total), of_query)
        tl.store(means + part[:, None] * D + column[None, :], mean / total[:, None], of_head)


@triton.jit
def combine_splits_kernel(  # type: ignore[no-untyped-def]
    means,  # [n, H, SPLITS, D]
    sums,  # [n, H, SPLITS]
    out,  # [n, H, D]
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    SPLITS: tl.constexpr,
):
    head = tl.program_id(0)
    split, column = tl.arange(0, SPLITS), tl.arange(0, WIDTH)
    inside = column < D
    logs = tl.load(sums + head * SPLITS + split)
    weights = tl.exp2(logs - tl.max(logs, 0))
    part = (head * SPLITS + split)[:, None] * D + column[None, :]
    mean = tl.load(means + part, inside[None, :], 0.0)
    joined = tl.sum(mean * weights[:, None], 0) / tl.sum(weights, 0)
    tl.store(out + head * D + column, joined.to(out.dtype.element_ty), inside)


@triton.jit
def prefill_attention_kernel(  # type: ignore[no-untyped-def]
    qkv,  # [S, H + 2 * H / G, D], each ROWS of one prompt
    cache,  # [places, 2, H / G, D]
    positions,  # [S], -1 for none
    firsts,  # [S / ROWS]
    out,  # [S, H, D]
    scale,  # of scores, times log2 e
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    D: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    kv_head = tl.program_id(1)
    groups: tl.constexpr = HEADS // KV_HEADS
    query, column, place = tl.arange(0, ROWS * GROUPS), tl.arange(0, WIDTH), tl.arange(0, BLOCK)
    row, heads = tl.program_id(0) * ROWS + query // GROUPS, kv_head * groups + query % GROUPS
    of_query, of_column = query % GROUPS < groups, column < D
    of_head = of_query[:, None] & of_column[None, :]
    parts: tl.constexpr = HEADS + 2 * KV_HEADS
    q = tl.load(qkv + (row * parts + heads)[:, None] * D + column[None, :], of_head, 0.0)
    # Whoever has no position reads the first one, so that what nobody reads is a number.
    position = tl.maximum(tl.load(positions + row).to(tl.int32), 0)
    end = tl.max(position, 0) + 1
    keys = cache + (tl.load(firsts + tl.program_id(0)) * 2 * KV_HEADS + kv_head) * D
    largest = tl.full([ROWS * GROUPS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS * GROUPS], tl.float32)
    mean = tl.zeros([ROWS * GROUPS, WIDTH], tl.float32)
    for start in range(0, end, BLOCK):
        here = start + place
        offsets = here[:, None] * (2 * KV_HEADS * D) + column[None, :]
        within = (here < end)[:, None] & of_column[None, :]
        k = tl.load(keys + offsets, within, 0.0)
        v = tl.load(keys + KV_HEADS * D + offsets, within, 0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        scores = tl.where(here[None, :] <= position[:, None], scores, -float("inf"))
        larger = tl.maximum(largest, tl.max(scores, 1))
        weights = tl.exp2(scores - larger[:, None])
        shrink = tl.exp2(largest - larger)
        total = total * shrink + tl.sum(weights, 1)
        mean = mean * shrink[:, None] + tl.dot(weights.to(v.dtype), v, input_precision="ieee")
        largest = larger
    target = out + (row * HEADS + heads)[:, None] * D + column[None, :]
    tl.store(target, (mean / total[:, None]).to(out.dtype.element_ty), of_head)


@triton.jit
def rms_norm_kernel(x, weight, out, epsilon, WIDTH: tl.constexpr, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row, column = tl.program_id(0), tl.arange(0, BLOCK)
    inside = column < WIDTH
    values = tl.load(x + row * WIDTH + column, inside, 0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(values * values) / WIDTH + epsilon)
    values *= scale * tl.load(weight + column, inside, 0.0).to(tl.float32)
    tl.store(out + row * WIDTH + column, values.to(out.dtype.element_ty), inside)


@triton.jit
def swiglu_kernel(gate_up, out, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row, column = tl.program_id(0), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    source = gate_up + row * 2 * width + column
    gate = tl.load(source, inside, 0.0).to(tl.float32)
    up = tl.load(source + width, inside, 0.0).to(tl.float32)
    tl.store(out + row * width + column, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty), inside)


@triton.jit
def quantised_matmul_kernel(  # type: ignore[no-untyped-def]
    x,  # [M, K]
    weight,  # [N, K], int8 or float8
    scale,  # [N] float32
    residual,  # [M, N]
    out,  # [M, N]
    M,
    N: tl.constexpr,
    K: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    ADDED: tl.constexpr,
):
    rows = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    inner = tl.arange(0, BLOCK_K)
    of_row, of_column = rows < M, columns < N
    total = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for start in range(0, K, BLOCK_K):
        of_inner = start + inner < K
        of_x = of_row[:, None] & of_inner[None, :]
        of_weight = of_column[:, None] & of_inner[None, :]
        part = tl.load(x + rows[:, None] * K + (start + inner)[None, :], of_x, 0.0)
        narrow = tl.load(weight + columns[:, None] * K + (start + inner)[None, :], of_weight, 0.0)
        total += tl.dot(part, tl.trans(narrow.to(part.dtype)), input_precision="ieee")
    total *= tl.load(scale + columns, of_column, 0.0)[None, :]
    target = rows[:, None] * N + columns[None, :]
    inside = of_row[:, None] & of_column[None, :]
    if ADDED:
        total += tl.load(residual + target, inside, 0.0).to(tl.float32)
    tl.store(out + target, total.to(out.dtype.element_ty), inside)
