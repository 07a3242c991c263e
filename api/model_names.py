"""Accepted model names: the served model's own, and OpenAI's speech and transcription models."""

import re
from collections.abc import Sequence

from errors import NotFound, quoted

ALIAS = "higgs-audio"
# Names that clients of OpenAI's API send. OpenAI names models by their function, so future ones are matched
# too: gpt-audio-2, gpt-5-mini-tts-2027-03-01, gpt-6-transcribe-diarize.
_GPT = r"gpt(?:-[a-z0-9.]+)*-(?:audio|realtime|tts|transcribe|whisper)(?:-[a-z0-9.]+)*"
_TTS = r"tts-\d+(?:\.\d+)?(?:-[a-z0-9.]+)*"
_WHISPER = r"whisper-\d+(?:\.\d+)?(?:-\d+)*"
OPENAI_AUDIO_MODEL = re.compile(rf"(?:openai/)?(?:{_GPT}|{_TTS}|{_WHISPER})")
MAX_NAME = 100


def check_model(name: str, own: Sequence[str]) -> None:
    """Raise NotFound (model_not_found) unless the name is accepted.

    Args:
        name: as in the request.
        own: ids of the route's models; their last parts and `higgs-audio` are accepted too.
    """
    known = {*own, *(one.rpartition("/")[2] for one in own), ALIAS}
    if name in known or (len(name) <= MAX_NAME and OPENAI_AUDIO_MODEL.fullmatch(name)):
        return
    message = f"The model {quoted(name)} is not served here; use {' or '.join(map(repr, (*own, ALIAS)))}."
    raise NotFound(message, code="model_not_found", param="model")
