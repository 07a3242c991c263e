"""Clusters of embeddings: as many as there are speakers, each with what is its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speakers.clustering import clusters_of


def embeddings(*speakers: int, noise: float = 0.8, seed: int = 0) -> np.ndarray:
    """Embeddings (N, 64) of unit norm around one axis per speaker."""
    found = np.eye(64)[list(speakers)] + np.random.default_rng(seed).normal(0, noise / 8, (len(speakers), 64))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_speaker_is_a_cluster(count: int) -> None:
    speakers = np.random.default_rng(count).integers(0, count, 60)
    labels = clusters_of(embeddings(*speakers))
    assert len({*zip(labels.tolist(), speakers.tolist(), strict=True)}) == len({*labels.tolist()}) == count


def test_few_embeddings() -> None:
    assert clusters_of(np.zeros((0, 64), np.float32)).tolist() == []
    assert clusters_of(embeddings(0)).tolist() == [0]
    assert clusters_of(embeddings(0, 1)).tolist() == [0, 1]
    assert clusters_of(np.zeros((3, 64), np.float32)).tolist() == [0, 1, 2]


@given(st.lists(st.integers(0, 5), max_size=30), st.floats(0, 3), st.integers(0, 9))
def test_each_embedding_has_a_cluster_and_no_number_is_left_out(
    speakers: list[int], noise: float, seed: int
) -> None:
    labels = clusters_of(embeddings(*speakers, noise=noise, seed=seed))
    assert len(labels) == len(speakers) and {*labels.tolist()} == {*range(len({*labels.tolist()}))}
