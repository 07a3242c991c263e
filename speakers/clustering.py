"""Agglomerative clustering of speaker embeddings, without knowing how many speakers there are.

Average linkage on cosine similarity, as in Garcia-Romero et al., "Speaker diarization using deep neural
network embeddings" (ICASSP 2017). The similarity of two clusters is divided by the geometric mean of their
own: the embeddings of a noisy recording are less alike, also within one speaker.
"""

import numpy as np

# Pairs added to each cluster, so that the mean similarity of a small one depends less on chance.
USUAL_SIMILARITY, USUAL_PAIRS = 0.6, 50
# Clusters that are less alike, relative to their own similarity, are two speakers. Measured: bench/LOG.md.
SAME_SPEAKER = 0.75


def clusters_of(embeddings: np.ndarray) -> np.ndarray:
    """Return the number of the cluster (N,) that each embedding belongs to.

    Needs memory for two matrices (N, N) of float32, and N steps over one of them.

    Args:
        embeddings: (N, D), of unit norm.
    """
    count = len(embeddings)
    total = (embeddings @ embeddings.T).astype(np.float32)  # sums of similarities between clusters
    within = np.zeros(count, np.float32)  # sums of similarities of pairs within clusters
    size, labels = np.ones(count, np.float32), np.arange(count)
    linkage = total / USUAL_SIMILARITY
    np.fill_diagonal(linkage, -np.inf)
    while count > 1:
        kept, gone = sorted(divmod(int(linkage.argmax()), count))
        if linkage[kept, gone] < SAME_SPEAKER:
            break
        within[kept] += within[gone] + total[kept, gone]
        size[kept] += size[gone]
        total[kept] += total[gone]
        total[:, kept] = total[kept]
        labels[labels == gone] = kept
        pairs = size * (size - 1) / 2
        own = (within + USUAL_PAIRS * USUAL_SIMILARITY) / (pairs + USUAL_PAIRS)
        row = total[kept] / (size[kept] * size) / np.sqrt(np.maximum(own[kept] * own, 1e-9))
        alive = np.isfinite(linkage[kept]) & np.isfinite(linkage[gone])
        linkage[kept] = linkage[:, kept] = np.where(alive, row, -np.inf)
        linkage[gone] = linkage[:, gone] = -np.inf
    return np.unique(labels, return_inverse=True)[1]
