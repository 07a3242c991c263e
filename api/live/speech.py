"""Turn a response of a Realtime session into speech in progress."""

from base64 import b64encode
from dataclasses import replace
from typing import TypeVar

from api.live.conversation import Conversation, StoredItem
from api.live.responses import ResponseRequest
from api.schemas.realtime import ResponseConfig, SessionConfig
from api.schemas.timestamps import Timestamps
from api.speaking import BegunSpeech, SpeechOrder, begin
from api.state import ServerState
from api.text_validation import check_text
from api.voice_resolution import Recording, VoiceRequest
from audio.delivery import Delivery
from audio.encode import encode_audio
from errors import InvalidRequest
from synthesis.options import SpeechOptions
from synthesis.references import CLONE
from voice_cloning import VoiceCloner

T = TypeVar("T")

SAMPLING = ("temperature", "top_k", "top_p", "seed")


def response_request(
    wanted: ResponseConfig, session: SessionConfig, text: str, conversation: Conversation | None
) -> ResponseRequest:
    """Return a response's request, with the session's settings as defaults."""
    output = wanted.audio.output
    return ResponseRequest(
        text,
        output.voice or session.audio.output.voice,
        output.format or session.audio.output.format,
        Timestamps(
            timestamp_granularities=_chosen(wanted.timestamp_granularities, session.timestamp_granularities),
            caption_format=_chosen(wanted.caption_format, session.caption_format),
        ),
        wanted.metadata,
        wanted.max_output_tokens or session.max_output_tokens,
        conversation,
    )


def speech_of(
    wanted: ResponseConfig,
    session: SessionConfig,
    request: ResponseRequest,
    recording: StoredItem | None,
    cloner: VoiceCloner,
    state: ServerState,
    owner: str,
) -> BegunSpeech:
    """Queue a response's text. recording: for the voice "clone". Raises what `begin` lists."""
    options = speech_options(wanted, session, request)
    path, reference = "response.audio.output.voice", _reference(request.voice, recording)
    asked = VoiceRequest(request.voice, path, reference, consent=session.consent)
    check_text(request.text, "response.input", state.limits.text_characters)
    return begin(SpeechOrder(request.text, "response.input", [asked], options, False), cloner, state, owner)


def speech_options(wanted: ResponseConfig, session: SessionConfig, request: ResponseRequest) -> SpeechOptions:
    own, shared = wanted.sampling(), session.sampling()
    chosen = {name: getattr(shared, name) for name in SAMPLING if getattr(own, name) is None}
    speed = wanted.audio.output.speed or session.audio.output.speed
    instructions = _chosen(wanted.instructions, session.instructions)
    longest = request.max_output_tokens
    return replace(
        own,
        **chosen,
        max_steps=longest if isinstance(longest, int) else None,
        delivery=Delivery(speed=speed, instructions=instructions or None),
        pronunciations=_chosen(wanted.pronunciations, session.pronunciations) or {},
    )


def _chosen(own: T | None, shared: T | None) -> T | None:
    """Return a field of the response, else of the session."""
    return shared if own is None else own


def _reference(voice: str, recording: StoredItem | None) -> Recording | None:
    """Return the recording of the voice "clone" as the other routes have it."""
    if voice != CLONE:
        return None
    if recording is None:
        reason = (
            "The voice 'clone' needs a recording: append one to input_audio_buffer and commit it, or send"
        )
        reason += " an input_audio part."
        raise InvalidRequest(reason, code="missing_required_parameter", param="response.audio.output.voice")
    file = encode_audio(recording.sound.astype("float32") / 32_768, "wav")
    return Recording(b64encode(file.data).decode("ascii"), "response.input", recording.transcript)
