"""Start speech for a request: a place in the queue, then text, voices and stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from api.attempts import Attempts
from api.errors import blamed_on
from api.schemas.chat import VoiceUsed
from api.state import ServerState
from api.voice_resolution import VoiceRequest, choose_voices
from higgs.speech import SpeechStream
from synthesis.options import SpeechOptions
from voice_cloning import VoiceCloner


@dataclass(frozen=True)
class SpeechOrder:
    """What a request wants spoken.

    Attributes:
        text: the text.
        path: the field of the text.
        voices: one per speaker.
        options: sampling, limits and delivery.
        verify: check the speech with the recogniser; None for the server's setting.
    """

    text: str
    path: str
    voices: Sequence[VoiceRequest]
    options: SpeechOptions
    verify: bool | None


@dataclass(frozen=True)
class BegunSpeech:
    """Started speech: its stream, attempts to choose from, and the voice used."""

    stream: SpeechStream
    attempts: Attempts
    voice: VoiceUsed


def begin(order: SpeechOrder, cloner: VoiceCloner, state: ServerState, owner: str) -> BegunSpeech:
    """Queue a text. The queue is checked before the text, and the text before any recording.

    Args:
        order: what to speak.
        cloner: speaks it.
        state: the server's state, for its voices and defaults.
        owner: whose voices may be used.

    Raises:
        Overloaded: the queue is full.
        InvalidRequest, PayloadTooLarge: see VoiceCloner.read.
        NotFound, InvalidAudio: see choose_voice.
        Cancelled: the client disconnected.
    """
    with cloner.admitted() as place:
        with blamed_on(order.path):
            text = cloner.read(order.text, len(order.voices), order.options)
        voices, used = choose_voices(order.voices, order.options, cloner, state, owner)
        speak = partial(cloner.stream, text, voices, order.options)
        with blamed_on(order.path):
            stream = speak(place)
    again = speak if order.options.seed is None else None
    verifier, max_attempts = state.verifier(order.verify), state.request_defaults.max_attempts
    return BegunSpeech(stream, Attempts(stream, again, order.text, verifier, max_attempts), used)
