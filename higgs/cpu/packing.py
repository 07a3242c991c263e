"""What the kernels read and where they write: packed weights, and room."""

from typing import NamedTuple

import numpy as np

from higgs.cpu.intrinsics import PANEL


class Parts(NamedTuple):
    """What positions of one kind, text or audio, pass through beside attention: norms [L, H], packed matrices
    [L, panels, in, PANEL]."""

    input_norm: np.ndarray
    feed_norm: np.ndarray
    gate_up: np.ndarray
    down: np.ndarray


class Layers(NamedTuple):
    """The weights of all L layers; matrices are packed, [L, panels, in, PANEL].

    head_norms are those of the queries and keys, [L, heads + kv_heads, D], or 0 for D where there are none.
    """

    query_key_value: np.ndarray
    head_norms: np.ndarray
    output: np.ndarray
    text: Parts
    audio: Parts


class Scratch(NamedTuple):
    """Room for what is on its way, of up to `rows` positions.

    What the matrices of a layer read, [rows, H], [rows, heads * D] and [rows, F]; what they write, in whole
    panels; scores, and a mean of values, [heads, ·] in whole panels.
    """

    rms_norm: np.ndarray
    heads: np.ndarray
    fed: np.ndarray
    wide: np.ndarray
    scores: np.ndarray
    mean: np.ndarray


def pack(matrix: np.ndarray, halve: bool) -> np.ndarray:
    """A matrix float32 [in, out] in panels; halve: as bfloat16, in uint16."""
    rows, columns = matrix.shape
    padded = np.zeros((rows, -(-columns // PANEL) * PANEL), np.float32)
    padded[:, :columns] = matrix
    panels = np.ascontiguousarray(padded.reshape(rows, -1, PANEL).transpose(1, 0, 2))
    return (panels.view(np.uint32) >> 16).astype(np.uint16) if halve else panels


def halves(matrix: np.ndarray) -> bool:
    """Whether bfloat16 holds each number of a float32 matrix exactly."""
    return not (np.ascontiguousarray(matrix).view(np.uint32) & 0xFFFF).any()
