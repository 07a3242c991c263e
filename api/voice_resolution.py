"""Resolve a request's voice names and recordings to voice references."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.errors import blamed_on
from api.schemas.chat import OPENAI_VOICES, ReferenceUsed, VoiceUsed
from api.speaker_consent import check_consent, check_kept_voice, note_consent
from api.state import ServerState
from audio.decode import decode_base64_audio
from errors import InvalidAudio, NotFound, quoted
from synthesis.options import SpeechOptions
from synthesis.references import CLONE, DEFAULT, VoiceReference
from voice_cloning import VoiceCloner

MODEL_VOICES = (CLONE, DEFAULT, *OPENAI_VOICES)


@dataclass(frozen=True)
class Recording:
    """A recording in a request: base64 data, the path of its field, and its transcript if known.

    `ours` marks an earlier answer of this server, which is a voice without a check.
    """

    data: str
    path: str
    transcript: str | None
    ours: bool = False


@dataclass(frozen=True)
class VoiceRequest:
    """A requested voice, and the recording sent with it.

    Attributes:
        name: name or id of the voice, or "clone".
        path: the field of the name.
        recording: to clone, if any.
        falls_back: use the default voice if the recording can't be cloned.
        transcribes: recognise a missing transcript; None for the server's setting.
        consent: attests that the speaker consents; see api.speaker_consent.
    """

    name: str
    path: str
    recording: Recording | None = None
    falls_back: bool = False
    transcribes: bool | None = None
    consent: str | None = None


def choose_voices(
    wanted: Sequence[VoiceRequest],
    options: SpeechOptions,
    cloner: VoiceCloner,
    state: ServerState,
    owner: str,
) -> tuple[list[VoiceReference | None], VoiceUsed]:
    """Call `choose_voice` for each speaker; the result names all voices."""
    voices, used = zip(*(choose_voice(each, cloner, state, owner) for each in wanted), strict=True)
    followed = cloner.followed(voices, options)
    if len(wanted) == 1:
        return list(voices), used[0].model_copy(update={"instructions_followed": followed})
    notes = [f"[SPEAKER{number}]: {one.note}" for number, one in enumerate(used) if one.note]
    names = ", ".join(one.used for one in used)
    return list(voices), VoiceUsed(used=names, note=" ".join(notes) or None, instructions_followed=followed)


def choose_voice(
    wanted: VoiceRequest, cloner: VoiceCloner, state: ServerState, owner: str
) -> tuple[VoiceReference | None, VoiceUsed]:
    """Return the reference to speak with (None: the default voice), and what the answer says about it.

    Raises:
        NotFound: voice_not_found, neither a built-in nor one of this owner's voices.
        InvalidAudio: the recording can't be cloned.
        Forbidden: consent_required, see api.speaker_consent.
    """
    if wanted.name == CLONE:
        return _clone(wanted, cloner, state, owner)
    if wanted.name in OPENAI_VOICES and state.voices is not None:
        aliased = state.voices.aliased(owner, wanted.name)
        if aliased is not None:
            profile, voice = aliased
            check_kept_voice(profile, wanted.path, state, owner, wanted.consent)
            return voice, VoiceUsed(used=profile.id, note=_note_on_unused(wanted))
    name = state.voice_aliases.get(wanted.name, wanted.name)
    own = cloner.built_in_voices.find(name)
    if name in OPENAI_VOICES and own:
        return cloner.built_in(own.id), VoiceUsed(used=own.id, note=_note_on_built_in(wanted, own.id))
    if name == DEFAULT or name in OPENAI_VOICES:
        return None, VoiceUsed(used=DEFAULT, note=_note_on_default(wanted))
    with blamed_on(wanted.path):
        kept = state.voices.find(owner, name) if state.voices else None
    if kept is not None:
        profile, voice = kept
        check_kept_voice(profile, wanted.path, state, owner, wanted.consent)
        return voice, VoiceUsed(used=profile.id, note=_note_on_unused(wanted))
    if own:  # after saved voices, one of which may have this name
        return cloner.built_in(own.id), VoiceUsed(used=own.id, note=_note_on_built_in(wanted, own.id))
    names = ", ".join((*MODEL_VOICES, *(voice.id for voice in cloner.built_in_voices.voices)))
    message = f"There is no voice {quoted(name)}; besides your saved voices, there are {names}."
    if name != wanted.name:
        message = f"{quoted(wanted.name)} is an alias of {quoted(name)} here, which is not a voice of yours."
    raise NotFound(message, code="voice_not_found", param=wanted.path)


def _clone(
    wanted: VoiceRequest, cloner: VoiceCloner, state: ServerState, owner: str
) -> tuple[VoiceReference | None, VoiceUsed]:
    recording = wanted.recording
    if recording is None:
        return None, VoiceUsed(used=DEFAULT, note="The messages have no input_audio to clone.")
    attested = None if recording.ours else check_consent(wanted.consent, recording.path, state, owner)
    try:
        with blamed_on(recording.path):
            data = decode_base64_audio(recording.data, max_bytes=state.limits.upload_bytes)
            voice = cloner.reference(data, recording.transcript, check_voice=not recording.ours)
            note_consent(attested, owner, data)
    except InvalidAudio as error:
        if not wanted.falls_back:
            raise
        return None, VoiceUsed(used=DEFAULT, note=f"The recording can't be cloned: {error.message}")
    transcribes = (
        state.request_defaults.transcribe_references if wanted.transcribes is None else wanted.transcribes
    )
    if voice.transcript is None and transcribes:
        voice = replace(voice, transcript=state.reference_transcripts.of(data, voice))
    used = _reference_used(voice, given=recording.transcript is not None and not voice.trimmed)
    note = _note_on_trim(voice, words_left_out=voice.trimmed and recording.transcript is not None)
    return voice, VoiceUsed(used=CLONE, reference=used, note=note)


def _reference_used(voice: VoiceReference, given: bool) -> ReferenceUsed:
    return ReferenceUsed(
        seconds=voice.source_seconds,
        start=voice.start_seconds,
        end=voice.end_seconds,
        trimmed=voice.trimmed,
        transcript=voice.transcript,
        transcript_from=("request" if given else "recognised") if voice.transcript else None,
    )


def _note_on_built_in(wanted: VoiceRequest, name: str) -> str | None:
    notes = [] if wanted.name == name else [f"{wanted.name!r} is spoken by the built-in voice {name!r}."]
    unused = _note_on_unused(wanted)
    return " ".join([*notes, unused] if unused else notes) or None


def _note_on_default(wanted: VoiceRequest) -> str | None:
    notes = []
    if wanted.name != DEFAULT:
        notes.append(f"This model has only one built-in voice; it speaks for {quoted(wanted.name)}.")
    unused = _note_on_unused(wanted)
    return " ".join([*notes, unused] if unused else notes) or None


def _note_on_unused(wanted: VoiceRequest) -> str | None:
    return None if wanted.recording is None else 'The input_audio was not used: audio.voice is not "clone".'


def _note_on_trim(voice: VoiceReference, words_left_out: bool) -> str | None:
    if not voice.trimmed:
        return None
    note = f"Only {voice.start_seconds:.2f} to {voice.end_seconds:.2f} s of the recording were used."
    return note + " The transcript of the whole was left out." if words_left_out else note
