"""The forward pass through all layers as one compiled function.

Matrices are packed in panels of PANEL columns, [panels, in, PANEL], and read sequentially: as float32, as
bfloat16 (uint16), or as float16 (int16). All sums are float32. Each row of x is computed in the same order
for any number of rows, so that a stream's results don't depend on the batch, bit for bit. In shapes, n is the
number of streams, H the hidden size, D the head size.
"""

# Numba infers the types of compiled functions, and passes an intrinsic's context itself.
# mypy: disable-error-code="no-untyped-def, call-arg"

import numpy as np

from higgs.cpu.intrinsics import PANEL, power_of_two, tile, to_storage
from higgs.cpu.jit import jit, jit_reassociated

TILE = 4  # rows whose sums fit in registers
LOG2_E, LN_2_HIGH, LN_2_LOW = (
    np.float32(1.4426950408889634),
    np.float32(0.693359375),
    np.float32(-2.12194440e-4),
)


@jit
def gemm(x, panels, out):
    """Multiply x [n, in] by a packed matrix; fills the first panels * PANEL columns of out [n, ·]."""
    depth = panels.shape[1]
    for number in range(len(panels)):
        row = 0
        while row + TILE <= len(x):
            tile(x, row, 0, depth, panels, number, out, number * PANEL, TILE, 0)
            row += TILE
        while row < len(x):
            tile(x, row, 0, depth, panels, number, out, number * PANEL, 1, 0)
            row += 1


@jit
def exponential(x):
    """Return e ** x for float32 x <= 0, to a relative 3e-7 (S. L. Moshier, Cephes, expf).

    Unlike a library call, it can be vectorised.
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


@jit_reassociated
def rms_norm(x, weight, epsilon, out):
    """RMS norm of one row."""
    total = np.float32(0.0)
    for index in range(len(x)):
        total += x[index] * x[index]
    scale = np.float32(1.0) / np.sqrt(total / np.float32(len(x)) + epsilon)
    for index in range(len(x)):
        out[index] = x[index] * scale * weight[index]


@jit
def apply_rope(x, rope, out):
    """Apply the rotary embedding `rope` [2, D] (cosine and signed sine) to one head x [D]."""
    half = len(x) // 2
    for index in range(half):
        low, high = x[index], x[index + half]
        out[index] = low * rope[0, index] + high * rope[1, index]
        out[index + half] = high * rope[0, index + half] + low * rope[1, index + half]


@jit_reassociated
def max_of(scores):
    largest = scores[0]
    for position in range(len(scores)):
        largest = max(largest, scores[position])
    return largest


@jit_reassociated
def sum_of(scores):
    total = np.float32(0.0)
    for position in range(len(scores)):
        total += scores[position]
    return total


@jit
def softmax_weights(scores, scale):
    """Replace scores [L] by e ** (scale * (score - max)), and return their sum."""
    largest = max_of(scores)
    for position in range(len(scores)):
        scores[position] = exponential((scores[position] - largest) * scale)
    return sum_of(scores)


@jit
def swiglu(both, out):
    """silu(gate) * up of one row [gate, up]."""
    size = len(out)
    for index in range(size):
        gate = both[index]
        small = exponential(-abs(gate))
        share = np.float32(1.0) if gate >= 0 else small
        out[index] = gate * share / (np.float32(1.0) + small) * both[size + index]


@jit
def add_to(x, more):
    """Add the first elements of `more` to x [H]."""
    for index in range(len(x)):
        x[index] += more[index]


@jit
def write_kv(projected, rope, norms, epsilon, keys, values, layer, position):
    """Normalise and rotate queries and keys of projected [·]; write keys and values to a stream's cache.

    norms is [heads + kv_heads, D], or D = 0 without norms.
    """
    kv_heads, size = keys.shape[2], keys.shape[3]
    heads = len(norms) - kv_heads
    for head in range(heads + kv_heads):
        x = projected[head * size : (head + 1) * size]
        if norms.shape[1]:
            rms_norm(x, norms[head], epsilon, x)
        apply_rope(x, rope, x)
    panel, place = position // PANEL, position % PANEL
    for head in range(kv_heads):
        for index in range(size):
            key = projected[(heads + head) * size + index]
            value = projected[(heads + kv_heads + head) * size + index]
            keys[panel, layer, head, index, place] = to_storage(key, keys)
            values[panel, layer, head, index // PANEL, place, index % PANEL] = to_storage(value, values)


@jit
def attend(projected, keys, values, layer, position, scratch, out):
    """Attend from a position's queries, projected [·], to all positions up to it; writes out [heads * D]."""
    scores, mean = scratch.scores, scratch.mean
    panels, layers, kv_heads, size, _ = keys.shape
    heads, parts = len(scores), values.shape[3]
    every_key = keys.reshape(panels * layers * kv_heads, size, PANEL)
    every_value = values.reshape(panels * layers * kv_heads * parts, PANEL, PANEL)
    queries = projected[: heads * size].reshape(heads, size)
    scale = np.float32(1.0) / np.sqrt(np.float32(size))
    for head in range(heads):
        group = head * kv_heads // heads
        for panel in range(position // PANEL + 1):
            number = (panel * layers + layer) * kv_heads + group
            tile(queries, head, 0, size, every_key, number, scores, panel * PANEL, 1, 0)
        total = softmax_weights(scores[head, : position + 1], scale)
        for index in range(parts * PANEL):
            mean[head, index] = np.float32(0.0)
        for panel in range(position // PANEL + 1):
            first = panel * PANEL
            filled = min(PANEL, position + 1 - first)
            for part in range(parts):
                number = ((panel * layers + layer) * kv_heads + group) * parts + part
                tile(scores, head, first, filled, every_value, number, mean, part * PANEL, 1, 1)
        for index in range(size):
            out[head * size + index] = mean[head, index] / total


@jit
def ffn(x, parts, layer, epsilon, inner, wide, fed):
    """Add a layer's feed-forward output to x [n, H]."""
    for row in range(len(x)):
        rms_norm(x[row], parts.feed_norm[layer], epsilon, inner[row])
    gemm(inner, parts.gate_up[layer], wide)
    for row in range(len(x)):
        swiglu(wide[row], fed[row])
    gemm(fed, parts.down[layer], wide)
    for row in range(len(x)):
        add_to(x[row], wide[row])


@jit
def forward_layers(x, texts, streams, positions, rope, layers, epsilon, keys, values, scratch):
    """Run x [n, H] through all layers, in place; the first `texts` rows are text, the others audio.

    Each row is a position of a stream, both [n], and attends to that stream's positions up to its own,
    including other rows of x. rope: [capacity, 2, D], cosine and signed sine; keys and values: see
    PanelCache.
    """
    n = len(x)
    inner, heads, fed, wide = scratch.rms_norm[:n], scratch.heads[:n], scratch.fed[:n], scratch.wide[:n]
    for layer in range(keys.shape[2]):
        for row in range(n):
            norm = layers.text.input_norm[layer] if row < texts else layers.audio.input_norm[layer]
            rms_norm(x[row], norm, epsilon, inner[row])
        gemm(inner, layers.query_key_value[layer], wide)
        for row in range(n):
            at, mine, its = positions[row], keys[streams[row]], values[streams[row]]
            write_kv(wide[row], rope[at], layers.head_norms[layer], epsilon, mine, its, layer, at)
        for row in range(n):
            mine, its = keys[streams[row]], values[streams[row]]
            attend(wide[row], mine, its, layer, positions[row], scratch, heads[row])
        gemm(heads, layers.output[layer], wide)
        for row in range(n):
            add_to(x[row], wide[row])
        ffn(x[:texts], layers.text, layer, epsilon, inner[:texts], wide[:texts], fed[:texts])
        ffn(x[texts:], layers.audio, layer, epsilon, inner[texts:], wide[texts:], fed[texts:])


@jit
def logits_of(x, norm, head, epsilon, scratch, logits):
    """Apply the final norm and the head to x [n, H]; writes logits [n, ·]."""
    inner = scratch.rms_norm[: len(x)]
    for row in range(len(x)):
        rms_norm(x[row], norm, epsilon, inner[row])
    gemm(inner, head, logits)
