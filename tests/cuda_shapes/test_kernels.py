"""The kernels compute what torch does: on a GPU, or in Triton's interpreter on a CPU (TRITON_INTERPRET=1).

Covers: streams of any length beside each other, heads and widths of all models, queries that are normed,
the share of each split, a whole step beside FusedDecode's, and the codec's decoder beside its own.
"""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from higgs.codecs.higgs_v2.checkpoint import load_network
from higgs.codecs.higgs_v2.dac import Snake
from higgs.engine.fused_decode import FusedDecode
from higgs.engine.kv_cache import SlotCache
from higgs.model.quantised import KINDS, quantise, quantised_matmul
from higgs.model.transformer import HiggsModel, rotate
from tests.tiny import CONFIG, random_weights
from tests.tiny_codec import NATIVE

pytest.importorskip("triton")
from higgs.cuda import launches
from higgs.cuda.dac import KernelDacDecoder
from higgs.cuda.dac import relative_error as relative_error_of_dac
from higgs.cuda.decode import KernelDecode, relative_error
from higgs.cuda.snake import add_and_snake

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(
    DEVICE == "cpu" and not INTERPRETED, reason="needs a GPU or TRITON_INTERPRET=1"
)
CAPACITY = 200
HALF = torch.bfloat16 if DEVICE == "cuda" else torch.float16  # the interpreter has no products of bfloat16


def qkv_and_cache(
    n: int, heads: int, kv_heads: int, size: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    qkv = torch.randn(n, heads + 2 * kv_heads, size).to(DEVICE, dtype)
    return qkv, torch.randn(n + 1, CAPACITY, 2, kv_heads, size).to(DEVICE, dtype)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "size", "lengths", "dtype"),
    [
        (24, 8, 128, [130, 1], torch.float32),
        (32, 8, 128, [3], HALF),
        (8, 2, 64, [200, 64, 65, 63, 128], HALF),
        (4, 4, 20, [1, 199, 2], torch.float32),
    ],
)
def test_attention_is_that_of_torch_over_each_streams_own_positions(
    heads: int, kv_heads: int, size: int, lengths: list[int], dtype: torch.dtype
) -> None:
    qkv, cache = qkv_and_cache(len(lengths), heads, kv_heads, size, dtype)
    positions = torch.tensor(lengths, device=DEVICE) - 1
    attended = launches.decode_attention(qkv, cache, positions)
    for row, length in enumerate(lengths):
        keys, values = cache[row, :length].float().permute(1, 2, 0, 3)
        queries = qkv[row, :heads].float()[:, None]
        exact = F.scaled_dot_product_attention(queries, keys, values, enable_gqa=True).flatten()
        tolerance = 2e-6 if dtype == torch.float32 else 2e-2
        torch.testing.assert_close(attended[row].float(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("heads", "kv_heads", "size", "chunks", "dtype"),
    [
        (6, 2, 32, [(0, 0, 33)], torch.float32),
        (4, 4, 20, [(0, 100, 17), (150, 0, 16), (117, 20, 3)], torch.float32),
        (8, 2, 64, [(60, 130, 10), (0, 40, 20)], HALF),
    ],
)
def test_each_prompts_queries_attend_to_its_own_positions_up_to_theirs(
    heads: int, kv_heads: int, size: int, chunks: list[tuple[int, int, int]], dtype: torch.dtype
) -> None:
    """Chunks: where the prompt is in the cache, and where in it they begin; they fill blocks of 16."""
    positions, firsts = [], []
    for first, start, count in chunks:
        positions += [*range(start, start + count), *[-1] * (-count % 16)]
        firsts += [first] * -(-count // 16)
    qkv, cache = qkv_and_cache(len(positions), heads, kv_heads, size, dtype)
    attended = launches.prefill_attention(
        qkv, cache[:1], torch.tensor(positions, device=DEVICE), torch.tensor(firsts, device=DEVICE)
    )
    assert attended.isfinite().all(), "also where nobody has a position"
    row, tolerance = 0, 2e-6 if dtype == torch.float32 else 2e-2
    for first, start, count in chunks:
        keys, values = cache[0, first : first + start + count].float().permute(1, 2, 0, 3)
        mask = torch.arange(start + count) <= torch.arange(start, start + count)[:, None]
        queries = qkv[row : row + count, :heads].float().transpose(0, 1)
        exact = F.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask.to(DEVICE), enable_gqa=True
        )
        expected = exact.transpose(0, 1).flatten(1)
        torch.testing.assert_close(
            attended[row : row + count].float(), expected, rtol=tolerance, atol=tolerance
        )
        row += -(-count // 16) * 16


def test_few_streams_are_split_and_many_are_not() -> None:
    assert [launches.num_splits(streams, 8) for streams in (1, 2, 4, 16, 64)] == [32, 32, 16, 4, 1]


@pytest.mark.parametrize("streams", [2, 20, 64])
def test_the_num_splits_all_batch_sizes_are_the_same_attention(streams: int) -> None:
    qkv, cache = qkv_and_cache(streams, 8, 8, 16, torch.float32)
    positions = torch.arange(streams, device=DEVICE) * 7 % CAPACITY
    attended = launches.decode_attention(qkv, cache, positions).view(streams, 8, 16)
    beyond = torch.arange(CAPACITY, device=DEVICE) > positions[:, None]
    keys, values = cache[:streams].permute(2, 0, 3, 1, 4)
    exact = F.scaled_dot_product_attention(qkv[:, :8, None], keys, values, attn_mask=~beyond[:, None, None])
    torch.testing.assert_close(attended, exact[:, :, 0], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize("size", [128, 64, 20])
def test_queries_are_turned_and_keys_and_values_stored(size: int, normed: bool) -> None:
    heads, kv_heads = 6, 2
    qkv, cache = qkv_and_cache(3, heads, kv_heads, size, torch.float32)
    angles = torch.randn(CAPACITY, 1, size // 2, device=DEVICE)
    cos, sin = angles.cos(), angles.sin()
    rope = torch.cat((torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)), dim=1)
    norms = torch.randn(heads + kv_heads, size, device=DEVICE) if normed else None
    positions = torch.tensor([0, 199, 70], device=DEVICE)

    turning = qkv[:, : heads + kv_heads]
    if norms is not None:
        turning = F.rms_norm(turning, (size,), None, 1e-5) * norms
    rotated = rotate(turning, *rope[positions].split(1, dim=1))
    expected, values = cache.clone(), qkv[:, heads + kv_heads :].clone()
    for row, position in enumerate(positions.tolist()):
        expected[row, position] = torch.stack((rotated[row, heads:], values[row]))
    firsts = torch.arange(3, device=DEVICE) * CAPACITY
    launches.rope_and_write_kv(qkv, rope, norms, positions, firsts, cache, 1e-5)
    torch.testing.assert_close(qkv[:, :heads], rotated[:, :heads], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(cache, expected, rtol=1e-5, atol=1e-5)


def test_keys_of_a_block_go_to_its_prompts_place_and_those_of_no_position_nowhere() -> None:
    qkv, cache = qkv_and_cache(32, 4, 2, 16, torch.float32)
    expected, values = cache.clone(), qkv[:, 6:].clone()
    positions = torch.tensor([*range(7, 23), 0, 1, *[-1] * 14], device=DEVICE)
    rope = torch.stack((torch.ones(CAPACITY, 16), torch.zeros(CAPACITY, 16)), dim=1).to(DEVICE)
    firsts = torch.tensor([100, 5], device=DEVICE)
    expected[0, 107:123] = torch.stack((qkv[:16, 4:6], values[:16]), dim=1)
    expected[0, 5:7] = torch.stack((qkv[16:18, 4:6], values[16:18]), dim=1)
    launches.rope_and_write_kv(qkv, rope, None, positions, firsts, cache, 1e-5)
    torch.testing.assert_close(cache, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [8192, 768, 100])
def test_swiglu(width: int) -> None:
    gate, up = torch.randn(2, 3, width, device=DEVICE)
    fed = launches.swiglu(torch.cat((gate, up), dim=1))
    torch.testing.assert_close(fed, F.silu(gate) * up, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("width", [3072, 768, 100])
def test_rms_norm(width: int) -> None:
    x, weight = 5 * torch.randn(3, width, device=DEVICE), torch.randn(width, device=DEVICE)
    normed = launches.rms_norm(x, weight, 1e-5)
    torch.testing.assert_close(normed, F.rms_norm(x, (width,), weight, 1e-5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("shape", [(3, 5, 700), (1, 2, 12)])
def test_what_stands_between_two_convolutions(shape: tuple[int, int, int], keep: bool, added: bool) -> None:
    snake = Snake(shape[1])
    snake.alpha.data.uniform_(0.1, 3)
    snake.to(DEVICE)
    x, bias = 3 * torch.randn(shape, device=DEVICE), torch.randn(shape[1], device=DEVICE)
    residual = torch.randn(shape, device=DEVICE) if added else None
    total = x + bias[:, None] + (0 if residual is None else residual)
    left = total if keep else x.clone()
    with torch.no_grad():
        found = add_and_snake(x, bias, residual, snake.alpha, keep)
        torch.testing.assert_close(found, snake(total), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(x, left, rtol=1e-6, atol=1e-6)


@torch.inference_mode()
def test_the_codecs_decoder_is_that_of_the_eager_path() -> None:
    network = load_network(NATIVE).to(DEVICE).eval()
    decoder = KernelDacDecoder(network.acoustic_decoder)
    assert relative_error_of_dac(network.acoustic_decoder, decoder) < (1e-5 if DEVICE == "cpu" else 2e-3)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 256, 96), (5, 80, 33), (70, 128, 64)])
def test_products_of_8_bits(rows: int, inner: int, columns: int, kind: str, added: bool) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(rows, inner).to(HALF), torch.randn(columns, inner)
    residual = torch.randn(rows, columns).to(HALF) if added else None
    matrix = quantise(weight, KINDS[kind])
    exact = quantised_matmul(x, *matrix, residual)
    if residual is not None:
        residual = residual.to(DEVICE)
    x, narrow, scale = (part.to(DEVICE) for part in (x, *matrix))
    found = launches.quantised_matmul(x, narrow, scale, residual).cpu()
    torch.testing.assert_close(found, exact, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("qk_norm", [False, True])
@torch.inference_mode()
def test_a_step_is_that_of_the_eager_path(qk_norm: bool) -> None:
    config = replace(CONFIG, qk_norm=qk_norm, layers=2)
    with torch.inference_mode(False):
        model = HiggsModel(config)
        model.load_state_dict(random_weights(config))
    model.to(DEVICE).eval()
    eager = FusedDecode(model, SlotCache(config, 2, 80, DEVICE))
    assert relative_error(eager, KernelDecode(eager)) < 1e-4
    assert not eager.cache.data.any(), "the check leaves nothing behind"


def test_the_kernels_are_machine_code_for_gpus_that_are_not_here() -> None:
    command = [sys.executable, "-m", "tests.cuda_shapes.compile_kernels", "80", "89", "90"]
    compiled = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"TRITON_INTERPRET": "0"}, check=False
    )
    assert compiled.returncode == 0, compiled.stderr[-2000:]
    lines = compiled.stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"sm_80", "sm_89", "sm_90"}
    assert all(" 0 B spilled" in line for line in lines), compiled.stdout
