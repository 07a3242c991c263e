"""The plan of a speech: segments of sound, each with text chunks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from higgs.prompts.v2 import LazyPrompt, Prompt


@dataclass(frozen=True)
class TextChunk:
    """A part of a text that the model speaks at once.

    Attributes:
        prompt: asks for it.
        max_steps: maximum decode steps.
        min_frames: minimum frames that the text needs; the speech doesn't end before.
        text: its words.
        pause: samples of silence after it, if another chunk of the segment follows.
        previous: index of the same voice's previous chunk, to continue from; None for none.
        continuation_prompt: creates the prompt used instead, from the codes (8, T) of the previous chunk.
    """

    prompt: Prompt | LazyPrompt
    max_steps: int
    min_frames: int = 0
    text: str = ""
    pause: int = 0
    previous: int | None = None
    continuation_prompt: Callable[[torch.Tensor], Prompt] | None = None


@dataclass(frozen=True)
class SpeechSegment:
    """Chunks that sound alike, followed by `silence` samples.

    filter: turns the decoded samples, block by block, into those that are heard.
    tempo: times as fast as they are decoded.
    """

    chunks: Sequence[TextChunk]
    silence: int = 0
    filter: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]] = iter
    tempo: float = 1.0
