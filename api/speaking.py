"""What is to be spoken → speech on its way: a place in the queue, then its text, its voices, its stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from api.attempts import Attempts
from api.errors import blamed_on
from api.schemas.chat import VoiceUsed
from api.state import ServerState
from api.voice_resolution import VoiceRequest, choose_voices
from higgs.speech import SpeechStream
from synthesis.planner import SpeechOptions
from voice_cloning import VoiceCloner


@dataclass(frozen=True)
class SpeechOrder:
    """What a request wants spoken.

    path: the field of the text. verify: whether the speech is listened to; None: as the server is set.
    """

    text: str
    path: str
    voices: Sequence[VoiceRequest]
    options: SpeechOptions
    verify: bool | None


@dataclass(frozen=True)
class BegunSpeech:
    """A speech on its way: its stream, or attempts at it to choose from, and who speaks."""

    stream: SpeechStream
    takes: Attempts
    voice: VoiceUsed


def begin(order: SpeechOrder, cloner: VoiceCloner, state: ServerState, owner: str) -> BegunSpeech:
    """Queue a text. A full queue is told before the text is read, and a text that can't be spoken before any
    recording is.

    Raises:
        Overloaded: the queue is full.
        InvalidRequest, PayloadTooLarge: as of VoiceCloner.read.
        NotFound, InvalidAudio: as of choose_voice.
        Cancelled: the client left meanwhile.
    """
    with cloner.admitted() as place:
        with blamed_on(order.path):
            text = cloner.read(order.text, len(order.voices))
        voices, used = choose_voices(order.voices, order.options, cloner, state, owner)
        speak = partial(cloner.stream, text, voices, order.options)
        with blamed_on(order.path):
            stream = speak(place)
    again = speak if order.options.seed is None else None
    most = state.request_defaults.max_attempts
    return BegunSpeech(stream, Attempts(stream, again, order.text, state.verifier(order.verify), most), used)
