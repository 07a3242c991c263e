"""Turn the body of /v1/audio/speech, and of routes with the same fields, into speech in progress."""

import re
from contextlib import nullcontext
from dataclasses import dataclass, replace

from api.errors import blamed_on
from api.model_names import check_model
from api.schemas.speech import SpeechFields, SpeechRequest
from api.speaking import BegunSpeech, SpeechOrder, begin
from api.state import ServerState
from api.text_validation import check_reference_text, check_text
from api.voice_resolution import Recording, VoiceRequest, choose_voices
from errors import InvalidRequest, quoted
from higgs.speech import SpeechStream
from synthesis.options import SpeechOptions
from synthesis.references import CLONE, DEFAULT, VoiceReference
from voice_cloning import VoiceCloner


@dataclass(frozen=True)
class Speaker:
    """The voices of a body, and how they speak."""

    voices: list[VoiceReference | None]
    options: SpeechOptions


def begin_speech(body: SpeechRequest, cloner: VoiceCloner, state: ServerState, owner: str) -> BegunSpeech:
    """Queue the text of a body.

    Args:
        body: the request.
        cloner: speaks it.
        state: the server's state, for its voices and limits.
        owner: whose voices may be used.

    Raises:
        NotFound: another model's name, or an unknown voice.
        InvalidRequest, PayloadTooLarge: a field can't be served.
        Overloaded, InvalidAudio, Cancelled: see `begin`.
    """
    check_speakable(body, cloner)
    check_text(body.input, "input", state.limits.text_characters)
    order = SpeechOrder(body.input, "input", voice_requests(body), options_of(body), body.verify)
    return begin(order, cloner, state, owner)


def options_of(body: SpeechFields) -> SpeechOptions:
    """Return the options of a body: sampling, delivery and pronunciations."""
    return replace(
        body.sampling(),
        delivery=body.delivery(body.instructions),
        pronunciations=body.pronunciations or {},
    )


def speaker_of(body: SpeechRequest, cloner: VoiceCloner, state: ServerState, owner: str) -> Speaker:
    """Return the voices of a body as references. Raises what choose_voices lists."""
    options = options_of(body)
    voices, _ = choose_voices(voice_requests(body), options, cloner, state, owner)
    return Speaker(voices, options)


def speak_on(
    speaker: Speaker,
    text: str,
    path: str,
    cloner: VoiceCloner,
    state: ServerState,
    follows: SpeechStream | None = None,
    admitted: bool = False,
) -> SpeechStream:
    """Queue a text for a speaker.

    Args:
        speaker: from `speaker_of`.
        text: the text.
        path: the field of the text.
        cloner: speaks it.
        state: the server's state, for its limits.
        follows: the speaker's last speech, to continue; see VoiceCloner.stream.
        admitted: `follows` belongs to the same utterance, which doesn't queue again.

    Raises:
        InvalidRequest, PayloadTooLarge, Overloaded: see VoiceCloner.stream.
    """
    check_text(text, path, state.limits.text_characters)
    with nullcontext() if admitted else cloner.admitted() as place, blamed_on(path):
        return cloner.stream(text, speaker.voices, speaker.options, place, follows)


def check_speakable(body: SpeechFields, cloner: VoiceCloner) -> None:
    """Raise NotFound for another model's name, InvalidRequest for a language that the model doesn't speak."""
    check_model(body.model, [cloner.model_id])
    check_language(body.language, cloner)


def voice_requests(body: SpeechFields) -> list[VoiceRequest]:
    """Return the voice request of each speaker. A recording in the body is cloned, whatever `voice` is."""
    recording = None
    if body.recording is not None:
        data, path, words = body.recording
        check_reference_text(words, "ref_text" if path == "ref_audio" else "references[0].text")
        recording = Recording(data, path, (words or "").strip() or None)
    named = [(f"voices[{number}]", name) for number, name in enumerate(body.voices or ())]
    clones = recording is not None or (body.task_type == "Base" and body.voice == DEFAULT)
    named = named or [("voice", CLONE if clones else body.voice)]
    if recording is None and any(name == CLONE for _, name in named):
        message = "The voice 'clone' needs a recording: send one in ref_audio, base64-encoded."
        raise InvalidRequest(message, code="missing_required_parameter", param="ref_audio")
    return [
        VoiceRequest(name, path, recording if name == CLONE else None, consent=body.consent)
        for path, name in named
    ]


def check_language(language: str | None, cloner: VoiceCloner) -> None:
    """Raise InvalidRequest for a language that an English-only model is asked to speak."""
    code = re.split("[-_]", (language or "auto").strip().lower())[0]
    if cloner.english_only and code not in ("", "auto", "en", "eng", "english"):
        message = f"This model speaks English only, not {quoted(language or '')}; set HIGGS_MODEL to another."
        raise InvalidRequest(message, code="unsupported_language", param="language")
