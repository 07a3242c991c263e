"""From logits to columns on a GPU by two Triton kernels; ColumnWriter says what they compute.

One samples each codebook of each stream by itself, so that a stream costs its own time only and its random
numbers give the same codes in any company. It sorts nothing: a code's key orders it by logit, likelier ones
higher, and a bisection over keys finds where top_k, top_p and the random number cut. So any top_k and top_p
are the same work in the same graph.
"""

import torch
import triton
import triton.language as tl

from higgs.model.delay import DelayRule


@triton.jit
def highest_threshold(weights, keys, beyond, reached, BITS: tl.constexpr):  # type: ignore[no-untyped-def]
    """Return the highest threshold, up to which the weights of the keys from the top come to what is asked.

    That is more than `beyond`, or `reached` or more; 0 if all keys' weights don't.
    """
    threshold = tl.full([], 0, tl.int64)
    for step in range(BITS):
        candidate = threshold | (tl.full([], 1, tl.int64) << (BITS - 1 - step))
        # Sums of fixed order are monotonic, rounded or not.
        total = tl.sum(tl.where(keys >= candidate, weights, 0.0))
        threshold = tl.where((total > beyond) | (total >= reached), candidate, threshold)
    return threshold


@triton.jit
def inverse_cdf(  # type: ignore[no-untyped-def]
    weights, keys, uniform, SIZE: tl.constexpr, BLOCK: tl.constexpr, BITS: tl.constexpr
):
    """Return the code at which uniform in [0, 1) falls among the weights, in the order of descending keys."""
    total = tl.sum(weights)
    threshold = highest_threshold(weights, keys, uniform * total, total, BITS)
    code = BLOCK - 1 - threshold % BLOCK
    return tl.minimum(code, SIZE - 1)  # beyond it where weights aren't numbers


@triton.jit
def sample_kernel(  # type: ignore[no-untyped-def]
    logits,  # [n, K, SIZE] float32
    column,  # [n]
    recent,  # [n, WINDOW, K]
    min_frames,  # [n]
    temperature,  # [n]
    top_k,  # [n]
    top_p,  # [n]
    repeats,  # [n]
    window,  # [n, WINDOW]
    uniform,  # [n, columns, 2, K]
    codes,  # [n, K]
    columns,
    bos_code,
    eos_code,
    K: tl.constexpr,
    SIZE: tl.constexpr,
    WINDOW: tl.constexpr,
    BLOCK: tl.constexpr,
    CODE_BITS: tl.constexpr,
    MARKS: tl.constexpr,
):
    row, book = tl.program_id(0).to(tl.int64), tl.program_id(1)
    code = tl.arange(0, BLOCK)
    inside = code < SIZE
    x = tl.load(logits + (row * K + book) * SIZE + code, inside, -float("inf"))
    index = tl.load(column + row)
    barred = (code == eos_code) & (index - book <= tl.load(min_frames + row))
    if MARKS == 0:
        barred |= (code == bos_code) | ((code == eos_code) & (book > 0))
    x = tl.where(barred | (x != x), -float("inf"), x)
    x = tl.where(x == 0.0, 0.0, x)  # -0.0 is as likely

    bits = x.to(tl.int32, bitcast=True)
    rising = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.int64) + (1 << 31)
    order = BLOCK - 1 - code.to(tl.int64)  # of codes as likely, the lower comes first
    keys = tl.where(inside, rising * BLOCK + order, 0)

    limit = tl.load(top_k + row).to(tl.float32)
    scaled = tl.div_rn(x, tl.load(temperature + row))
    weights = tl.where(inside, tl.exp(scaled - tl.max(scaled, 0)), 0.0)
    ones = tl.full([BLOCK], 1.0, tl.float32)
    if limit < SIZE:
        least = highest_threshold(ones, keys, float("inf"), limit, 32 + CODE_BITS)
        weights = tl.where(keys >= least, weights, 0.0)
    weights = tl.div_rn(weights, tl.sum(weights))
    share = tl.maximum(tl.load(top_p + row), 1e-30)  # 0 would keep no code
    if share < 1.0:
        least = highest_threshold(weights, keys, float("inf"), share, 32 + CODE_BITS)
        weights = tl.where(keys >= least, weights, 0.0)
    numbers = uniform + ((row * columns + index) * 2) * K + book
    chosen = inverse_cdf(weights, keys, tl.load(numbers), SIZE, BLOCK, 32 + CODE_BITS)

    back = tl.arange(0, WINDOW)
    before = tl.load(recent + (row * WINDOW + back) * K + book)
    counted = tl.load(window + row * WINDOW + back) != 0
    seen = tl.sum(((before == chosen) & counted).to(tl.int32), 0)
    if (seen >= tl.load(repeats + row)) & (chosen < bos_code):
        plain = tl.where(inside, tl.exp(x - tl.max(x, 0)), 0.0)
        chosen = inverse_cdf(plain, order, tl.load(numbers + K), SIZE, BLOCK, CODE_BITS)
    tl.store(codes + row * K + book, chosen)


@triton.jit
def append_kernel(  # type: ignore[no-untyped-def]
    codes,  # [n, K], as sampled
    recent,  # [n, WINDOW, K]
    position,  # [n]
    column,  # [n]
    end,  # [n]
    speaking,  # [n]
    written,  # [n, K + 1]
    last,
    bos_code,
    eos_code,
    OPEN: tl.constexpr,
    K: tl.constexpr,
    BOOKS: tl.constexpr,
    WINDOW: tl.constexpr,
    MARKS: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    book, back = tl.arange(0, BOOKS), tl.arange(0, WINDOW)
    inside = book < K
    index = tl.load(column + row)
    frames = index - book
    code = tl.where(frames <= 0, bos_code, tl.load(codes + row * K + book, inside, 0))
    ended = tl.max(tl.where(inside & (code == eos_code), frames, -1), 0)
    before = tl.load(end + row)
    ending = tl.where((before == OPEN) & (ended >= 0), ended, before)
    code = tl.where(frames >= ending + MARKS, eos_code, code)

    standing, moving = tl.load(position + row), tl.load(speaking + row)
    places = recent + (row * WINDOW + back[:, None]) * K + book[None, :]
    newest = (back == WINDOW - 1)[:, None]
    moved = tl.load(places + K, inside[None, :] & ~newest, 0)
    moved = tl.where(newest, code[None, :], moved)
    tl.debug_barrier()  # every column is read before another is written to its place
    tl.store(places, moved, inside[None, :])
    complete = tl.sum(tl.where(back[:, None] == WINDOW - K + book[None, :], moved, 0), 0)
    tl.store(written + row * (K + 1) + book, tl.minimum(complete, bos_code - 1), inside)
    tl.store(written + row * (K + 1) + K, ending)
    tl.store(end + row, ending)
    tl.store(column + row, tl.minimum(index + 1, last))
    tl.store(position + row, tl.minimum(standing + moving, last))


@torch.library.custom_op("higgs::sample", mutates_args=())
def sample(
    logits: torch.Tensor,
    column: torch.Tensor,
    recent: torch.Tensor,
    min_frames: torch.Tensor,
    temperature: torch.Tensor,
    top_k: torch.Tensor,
    top_p: torch.Tensor,
    repeats: torch.Tensor,
    window: torch.Tensor,
    uniform: torch.Tensor,
    bos_code: int,
    eos_code: int,
    marks: int,
) -> torch.Tensor:
    """Sample codes [n, K] from logits [n, K, V], float32, by DelayRule.bar and Sampler.draw.

    The tensors are those of ColumnWriter, Sampler and DelayRule, of n or more streams. Logits that are NaN
    count as -inf.
    """
    n, books, size = logits.shape
    codes = torch.empty(n, books, device=logits.device, dtype=torch.int64)
    options = (temperature, top_k, top_p, repeats, window, uniform)
    sample_kernel[(n, books)](
        logits.contiguous(),
        column,
        recent,
        min_frames,
        *options,
        codes,
        uniform.shape[1],
        bos_code,
        eos_code,
        K=books,
        SIZE=size,
        WINDOW=recent.shape[1],
        BLOCK=triton.next_power_of_2(size),
        CODE_BITS=triton.next_power_of_2(size).bit_length() - 1,
        MARKS=marks,
    )
    return codes


@sample.register_fake
def _(logits: torch.Tensor, column: torch.Tensor, *rest: object) -> torch.Tensor:
    return column.new_empty(logits.shape[:2])


@torch.library.custom_op("higgs::append_column", mutates_args=("recent", "position", "column", "end"))
def append_column(
    codes: torch.Tensor,
    recent: torch.Tensor,
    position: torch.Tensor,
    column: torch.Tensor,
    end: torch.Tensor,
    speaking: torch.Tensor,
    last: int,
    bos_code: int,
    eos_code: int,
    marks: int,
) -> torch.Tensor:
    """Append sampled codes [n, K] as ColumnWriter.write does; returns [n, K + 1].

    The tensors are those of ColumnWriter and DelayRule, of n or more streams; `last` is the last position.
    """
    n, books = codes.shape
    written = torch.empty(n, books + 1, device=codes.device, dtype=torch.int64)
    append_kernel[(n,)](
        codes,
        recent,
        position,
        column,
        end,
        speaking,
        written,
        last,
        bos_code,
        eos_code,
        OPEN=DelayRule.OPEN,
        K=books,
        BOOKS=triton.next_power_of_2(books),
        WINDOW=recent.shape[1],
        MARKS=marks,
        num_warps=1,
    )
    return written


@append_column.register_fake
def _(codes: torch.Tensor, *rest: object) -> torch.Tensor:
    return codes.new_empty(codes.shape[0], codes.shape[1] + 1)
