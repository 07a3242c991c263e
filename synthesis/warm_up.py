"""Run all paths of a model once, so that the first requests don't pay for compilation."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import FRAME_RATE, SAMPLE_RATE
from audio.reference import prepare_reference
from errors import InvalidRequest
from higgs.codecs.base import Codec
from higgs.speech import SpeechStream
from synthesis.options import SpeechOptions
from synthesis.references import VoiceReference

TONE_SECONDS = 3
FIRST_FRAMES = 2 * FRAME_RATE  # enough for playback chunks of all lengths
CONCURRENT_FRAMES = FRAME_RATE // 2
MAX_STREAMS = 8


def warm_up(speak: Callable[..., SpeechStream], codec: Codec, slots: int) -> None:
    """Speak a word, encode a recording, and speak in its voice in several concurrent streams.

    Args:
        speak: VoiceCloner.stream.
        codec: the model's codec.
        slots: maximum concurrent requests of the engine.
    """
    tone = 0.1 * np.sin(2 * np.pi * 120 / SAMPLE_RATE * np.arange(TONE_SECONDS * SAMPLE_RATE))
    tone = tone.astype(np.float32)
    list(speak("Hello.", options=SpeechOptions(seed=0, max_steps=FIRST_FRAMES)))
    options = SpeechOptions(seed=0, max_steps=CONCURRENT_FRAMES)
    voice = VoiceReference.of_codes(codec.encode(tone))
    with suppress(InvalidRequest):  # a tone is not a voice, and may not fit a short context
        streams = [speak("Hello.", voice, options) for _ in range(min(slots, MAX_STREAMS))]
        for stream in streams:
            list(stream)
        prepare_reference(decode_audio(encode_audio(tone, "wav").data))
