"""A progress bar for speech on the command line."""

from collections.abc import Iterable

import numpy as np
from tqdm import tqdm

from audio.frames import SAMPLE_RATE
from higgs.spoken import SampleBuffer


def heard_with_progress(stream: Iterable[np.ndarray], expected_seconds: float) -> np.ndarray:
    """Collect the samples (N,) of a stream behind a bar that fills as the speech arrives."""
    heard = SampleBuffer()
    layout = "{desc} |{bar:30}| {n:.1f} s of speech in {elapsed}"
    with tqdm(desc="speaking", total=expected_seconds, bar_format=layout) as progress:
        for samples in stream:
            heard.append(samples)
            progress.total = max(progress.total, progress.n + len(samples) / SAMPLE_RATE)
            progress.update(len(samples) / SAMPLE_RATE)
        progress.total = progress.n
        progress.refresh()
    return heard.samples
