"""What a speech is made of: segments of sound, each of one or more chunks of text."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from higgs.prompts.v2 import LazyPrompt, Prompt


@dataclass(frozen=True)
class TextChunk:
    """A part of a text that the model speaks in one go.

    prompt: asks for it.
    max_steps: limit on the decode steps of its speech.
    min_frames: the fewest frames that the text can take; silence after fewer is no proper end.
    text: the words in it.
    pause: samples of silence after it, where another chunk of the same segment follows.
    previous: index of the chunk that the same voice spoke before, to continue from; None for none.
    continuation_prompt: makes the prompt used instead, from the codes (8, T) of the previous chunk.
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
    """Chunks that are decoded as one run of sound, followed by `silence` samples.

    filter: turns the decoded samples, block by block, into those that are heard.
    """

    pieces: Sequence[TextChunk]
    silence: int = 0
    filter: Callable[[Iterable[np.ndarray]], Iterable[np.ndarray]] = iter
