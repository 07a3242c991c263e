"""A request for a new voice, as the routes make it of theirs."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from uuid import uuid4

import numpy as np

from audio.delivery import Delivery
from audio.recording_issues import RecordingIssue
from text.pronunciations import Entries
from voices.store.voice_store import VoiceStore


@dataclass(frozen=True)
class VoiceOrder:
    """A request for a new voice.

    Attributes:
        owner, user_id: who owns the voice.
        name: its name.
        upload: the recording's bytes.
        numbered: append a number if the name is taken.
        file_name: of the upload.
        transcript: words of the recording, if known.
        delivery: the voice's default delivery.
        pronunciations: how it says words, as of text.pronunciations.
        consent_id: the consent to link.
        verify_consent: require that the consent is of the same speaker.
        sample_text: text for a trial; None for no trial.
        transcribe: transcribes samples at 24 kHz; None to leave the transcript out if it isn't given.
        check_trial: checks samples at 24 kHz against the sample text; returns an issue if they don't match.
    """

    owner: str
    user_id: str
    name: str
    upload: bytes
    numbered: bool = False
    file_name: str = ""
    transcript: str | None = None
    delivery: Delivery = Delivery()
    pronunciations: Entries = field(default_factory=dict)
    consent_id: str | None = None
    verify_consent: bool = False
    sample_text: str | None = None
    transcribe: Callable[[np.ndarray], str | None] | None = None
    check_trial: Callable[[np.ndarray, str], RecordingIssue | None] | None = None


def with_free_name(order: VoiceOrder, store: VoiceStore) -> VoiceOrder:
    """Return the order with a number appended to its name if that is taken."""
    return replace(order, name=store.profiles.free_name(order.owner, order.user_id, order.name))


def new_voice_id() -> str:
    return f"voice_{uuid4().hex}"
