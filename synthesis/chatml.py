"""Answers to boson's ChatMLSample, as of its HiggsAudioServeEngine."""

from collections.abc import Callable
from typing import Any

import torch

from audio.frames import SAMPLE_RATE
from higgs.engine.sampler import SamplingOptions
from higgs.prompts.chatml import ChatMLResponse, turns_of
from higgs.prompts.v2 import PromptBuilder
from higgs.prompts.v3 import TaskPromptBuilder
from higgs.resident_model import ResidentModel
from higgs.segments import SpeechSegment, TextChunk
from higgs.speech import SpeechStream
from synthesis.planner import FIRST_FRAME


def answer(
    sample: Any,
    encode: Callable[[bytes], torch.Tensor],
    prompts: PromptBuilder | TaskPromptBuilder,
    resident: ResidentModel,
    sampling: SamplingOptions,
    max_new_tokens: int,
    positions: int,
    min_frames: Callable[[str], int],
) -> ChatMLResponse:
    """Answer a ChatMLSample with audio.

    Args:
        sample: the conversation.
        encode: encodes an audio file's bytes to codes (8, T).
        prompts: builds the prompt.
        resident: the model.
        sampling: how to sample.
        max_new_tokens: maximum columns of speech.
        positions: maximum of prompt and speech together.
        min_frames: minimum frames of a text's speech.

    Raises:
        InvalidRequest: the sample has another shape, or doesn't fit.
    """
    turns = turns_of(sample, encode)
    prompt = prompts.build(turns)
    columns = max(min(max_new_tokens, positions - len(prompt)), FIRST_FRAME)
    said = " ".join(part for turn in turns[-1:] for part in turn.parts if isinstance(part, str))
    chunk = TextChunk(prompt, columns, min_frames(said))
    with resident.in_use() as served:
        speech = SpeechStream(served.engine, served.codec, [SpeechSegment([chunk])], sampling).speech()
    asked, spoken = len(prompt), speech.completion_audio_tokens
    usage = {"prompt_tokens": asked, "completion_tokens": spoken, "total_tokens": asked + spoken}
    return ChatMLResponse(speech.samples, SAMPLE_RATE, usage | {"cached_tokens": 0})
