"""Answers of the voice routes. Fields that OpenAI doesn't have are extensions."""

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.chat import ErrorDetail, Instructions, OpenAIVoice, SoundOfVoice
from api.schemas.fields import RequestBody
from api.schemas.pronunciations import Pronunciations
from audio.reference_selection import ReferenceSelection
from speakers.verifier import MODEL, SAME_SPEAKER
from voices.library import delivery_of
from voices.store.tables import SessionState, VoiceConsent, VoiceProfile, VoiceSample

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]


class Place(BaseModel):
    """A part of the upload, in seconds."""

    start: float
    end: float


class RecordingIssue(BaseModel):
    """A problem of a voice: a machine-readable name and a message for people.

    Of its recording: clipping, hum, noise, music, two_voices, or words_left_out if ref_text has more than the
    used part. Of its trial: misheard, or unlike (the recording). places: where in the upload it is heard.
    """

    name: str
    message: str
    places: list[Place] = []


class PartUsed(BaseModel):
    """The part of the upload that became the voice, in seconds of the upload."""

    seconds: float
    start: float
    end: float

    @classmethod
    def of(cls, profile: VoiceProfile) -> "PartUsed":
        return cls(seconds=profile.source_seconds, start=profile.start_seconds, end=profile.end_seconds)


class RecordingCheck(BaseModel):
    """The part of a recording that would become a voice, and the problems of the recording."""

    used: PartUsed
    findings: list[RecordingIssue]

    @classmethod
    def of(cls, chosen: ReferenceSelection) -> "RecordingCheck":
        used = PartUsed(seconds=chosen.source_seconds, start=chosen.start_seconds, end=chosen.end_seconds)
        return cls(used=used, findings=[RecordingIssue(**asdict(issue)) for issue in chosen.issues])


def find_recording_issues(profile: VoiceProfile) -> list[RecordingIssue]:
    return [RecordingIssue(**finding) for finding in profile.findings]


class SimilarityResult(BaseModel):
    """Speaker similarity, 0 to 1; from the threshold on, the speakers count as the same."""

    similarity: float
    threshold: float
    same_speaker: bool
    model: str

    @classmethod
    def of(cls, similarity: float) -> "SimilarityResult":
        same = similarity >= SAME_SPEAKER
        return cls(similarity=similarity, threshold=SAME_SPEAKER, same_speaker=same, model=MODEL)


def similarity_of(similarity: float | None) -> SimilarityResult | None:
    """Return the result for a voice's similarity; None if it wasn't compared."""
    return None if similarity is None else SimilarityResult.of(similarity)


class OnboardingAnswer(BaseModel):
    """A text spoken by a saved voice; sample_audio is a data: URI of an MP3."""

    success: Literal[True] = True
    voice_id: str
    voice_name: str
    sample_text: str
    sample_audio: str
    used: PartUsed
    findings: list[RecordingIssue]
    likeness: SimilarityResult | None


class OnboardingStep(BaseModel):
    name: Literal["read", "choose", "verify", "listen", "encode", "speak", "keep"]
    state: Literal["running", "completed", "failed"]
    started_at: float
    seconds: float | None


class OnboardingError(BaseModel):
    code: str | None
    message: str | None


class OnboardingStatus(BaseModel):
    """The progress of an onboarding. `used`, `findings` and `likeness` are set once it is completed."""

    success: Literal[True] = True
    voice_id: str
    voice_name: str
    user_id: str
    status: SessionState
    steps: list[OnboardingStep]
    error: OnboardingError | None
    file_name: str
    upload_bytes: int
    created_at: float
    duration_seconds: float
    used: PartUsed | None
    findings: list[RecordingIssue] | None
    likeness: SimilarityResult | None


class OnboardingDeleted(BaseModel):
    success: Literal[True] = True
    voice_id: str


class SampleBody(RequestBody):
    text: str


class SampleOfVoice(BaseModel):
    """A further recording of a voice, and its transcript."""

    id: str
    seconds: float
    ref_text: str

    @classmethod
    def of(cls, sample: VoiceSample) -> "SampleOfVoice":
        return cls(id=sample.id, seconds=sample.seconds, ref_text=sample.transcript)


class Voice(BaseModel):
    """OpenAI's audio.voice.

    built_in: the model's own, read-only; description: what it sounds like. samples: further recordings.
    aliases: OpenAI's names that it answers to.
    """

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int
    name: str
    type: Literal["audio_sample"] = "audio_sample"
    built_in: bool = False
    description: str | None = None
    aliases: list[str] = []
    user_id: str | None = None
    ref_text: str | None = None
    speed: float | None = None
    pitch: float | None = None
    volume: float | None = None
    instructions: str | None = None
    pronunciations: dict[str, str] = {}
    consent: str | None = None
    used: PartUsed | None = None
    findings: list[RecordingIssue] = []
    samples: list[SampleOfVoice] = []
    likeness: SimilarityResult | None = None

    @classmethod
    def of(cls, profile: VoiceProfile) -> "Voice":
        return cls(
            id=profile.id,
            created_at=int(profile.created_at),
            name=profile.name,
            user_id=profile.user_id or None,
            ref_text=profile.transcript,
            **asdict(delivery_of(profile)),
            pronunciations=profile.pronunciations or {},
            consent=profile.consent_id,
            used=PartUsed.of(profile),
            findings=find_recording_issues(profile),
            samples=[SampleOfVoice.of(sample) for sample in profile.samples],
            aliases=[alias.name for alias in profile.aliases],
            likeness=similarity_of(profile.similarity),
        )


class VoiceOption(BaseModel):
    """A voice in a list to choose from."""

    id: str
    name: str


class VoiceList(BaseModel):
    """`voices`, for Open WebUI, has those of `data` and, on the first page, OpenAI's names.

    aliases: OpenAI's names that saved voices answer to, with the voice's id, or, where it is a setting of the
    server, its id or name.
    """

    object: Literal["list"] = "list"
    data: list[Voice]
    has_more: bool
    voices: list[VoiceOption]
    aliases: dict[str, str] = {}


class BatchResult(BaseModel):
    """The result of one file of a batch: a voice or an error."""

    index: int
    file_name: str
    voice: Voice | None = None
    error: ErrorDetail | None = None


class BatchAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[BatchResult]


class VoiceChange(SoundOfVoice):
    """Fields to change. Null removes a value, as does an empty text; a voice can't lose its name.

    Null for speed, pitch or volume restores the model's own. aliases: which of OpenAI's names the voice is to
    answer to; another voice that has one of them loses it.
    """

    model_config = ConfigDict(extra="forbid")  # an unknown field must not look like a successful change

    name: str | None = None
    ref_text: str | None = None
    instructions: Instructions | None = None
    pronunciations: Pronunciations | None = None
    aliases: list[OpenAIVoice] | None = None


class VoiceDeleted(BaseModel):
    id: str
    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    deleted: Literal[True] = True


class Consent(BaseModel):
    """OpenAI's audio.voice_consent."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    created_at: int
    name: str
    language: str

    @classmethod
    def of(cls, consent: VoiceConsent) -> "Consent":
        return cls(
            id=consent.id, created_at=int(consent.created_at), name=consent.name, language=consent.language
        )


class ConsentList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Consent]
    has_more: bool


class ConsentChange(RequestBody):
    name: str = Field(description="The new label.")


class ConsentDeleted(BaseModel):
    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    deleted: Literal[True] = True
