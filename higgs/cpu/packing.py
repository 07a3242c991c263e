"""Data structures of the kernels: packed weights, and scratch buffers."""

from typing import NamedTuple

import numpy as np

from higgs.cpu.intrinsics import PANEL


class Parts(NamedTuple):
    """The weights of one kind of position, text or audio, besides attention.

    Norms are [L, H], matrices packed [L, panels, in, PANEL].
    """

    input_norm: np.ndarray
    feed_norm: np.ndarray
    gate_up: np.ndarray
    down: np.ndarray


class Layers(NamedTuple):
    """The weights of all L layers; matrices are packed [L, panels, in, PANEL].

    head_norms are those of queries and keys, [L, heads + kv_heads, D], with D = 0 if the model has none.
    """

    query_key_value: np.ndarray
    head_norms: np.ndarray
    output: np.ndarray
    text: Parts
    audio: Parts


class Scratch(NamedTuple):
    """Buffers for up to `rows` positions.

    Inputs of a layer's matrices, [rows, H], [rows, heads * D] and [rows, F]; their outputs, in whole panels;
    attention scores and weighted values, [heads, ·] in whole panels.
    """

    rms_norm: np.ndarray
    heads: np.ndarray
    fed: np.ndarray
    wide: np.ndarray
    scores: np.ndarray
    mean: np.ndarray


def pack(matrix: np.ndarray, halve: bool) -> np.ndarray:
    """Pack a float32 matrix [in, out] in panels; `halve`: as bfloat16 bits in uint16."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, -(-columns // PANEL) * PANEL), np.float32)
    padded[:, :columns] = matrix
    panels = np.ascontiguousarray(padded.reshape(rows, -1, PANEL).transpose(1, 0, 2))
    return (panels.view(np.uint32) >> 16).astype(np.uint16) if halve else panels


def halves(matrix: np.ndarray) -> bool:
    """Return whether a float32 matrix is exactly representable in bfloat16."""
    return not (np.ascontiguousarray(matrix).view(np.uint32) & 0xFFFF).any()
