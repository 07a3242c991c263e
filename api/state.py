"""The app's shared state: the model, once it is loaded, the limits of requests, and defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import anyio
from fastapi import Depends
from fastapi.requests import HTTPConnection

from api.client_secrets import ClientSecrets, SecretsInMemory, SecretsInRedis
from api.drain import Drain
from api.kept_audio import AudioInMemory, AudioInRedis, KeptAudio
from api.metrics import Metrics
from api.reference_transcripts import ReferenceTranscripts
from api.shared_redis import SharedRedis
from api.sockets import Sockets
from asr.transcriber import Transcriber
from audio.watermark import Watermark
from errors import EngineFailed, Loading, StartError
from jobs.maker import JobMaker
from speakers.verifier import SpeakerVerifier
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary


@dataclass(frozen=True)
class Limits:
    """Maximum sizes of a request."""

    upload_bytes: int
    voice_bytes: int
    text_characters: int
    job_characters: int


@dataclass(frozen=True)
class RequestDefaults:
    """Defaults for requests, and the maximum number of attempts."""

    transcribe_references: bool
    verify: bool
    max_attempts: int
    verify_consents: bool


@dataclass
class ServerState:
    """Stands at `app.state.server`; the loading thread sets `voices`, `cloner`, `jobs`, or `failure`, once.

    voice_aliases: names of OpenAI's voices → ids or names of the kept ones that speak for them.
    workers: threads for what may wait long: for the model, the recogniser, a recording. The default threads
             are left to what is short.
    watermark: mark speech that leaves; see audio.watermark.
    require_consent: clone only where the speaker's consent is attested; see api.speaker_consent.
    redis_url: where several servers share earlier answers and counts; None for a server alone.
    """

    limits: Limits
    request_defaults: RequestDefaults
    transcriber: Transcriber
    speakers: SpeakerVerifier
    workers: anyio.CapacityLimiter
    sockets: Sockets
    voice_aliases: Mapping[str, str] = field(default_factory=dict)
    drain: Drain = field(default_factory=Drain)
    cloner: VoiceCloner | None = None
    voices: VoiceLibrary | None = None
    jobs: JobMaker | None = None
    failure: StartError | EngineFailed | None = None
    redis_url: str | None = None
    watermark: bool = False
    require_consent: bool = False
    redis: SharedRedis | None = field(init=False, default=None)
    kept_audio: KeptAudio = field(init=False)
    client_secrets: ClientSecrets = field(init=False)
    reference_transcripts: ReferenceTranscripts = field(init=False)
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.reference_transcripts = ReferenceTranscripts(self.transcriber)
        self.metrics = Metrics(lambda: self.cloner, lambda: self.sockets.open)
        self.kept_audio, self.client_secrets = AudioInMemory(), SecretsInMemory()
        if self.watermark:
            Watermark()  # computes the filters, which the first request would wait for
        if self.redis_url is not None:
            self.redis = SharedRedis(self.redis_url, self.metrics.note_redis_failure)
            self.kept_audio, self.client_secrets = AudioInRedis(self.redis), SecretsInRedis(self.redis)

    @property
    def dead(self) -> str | None:
        """Why the server can't recover: the model can't be loaded, or failed for good; None otherwise."""
        if self.failure is not None:
            return self.failure.message
        failed = self.cloner.resident.failed if self.cloner is not None else None
        return None if failed is None else failed.message

    @property
    def model_status(self) -> Literal["loading", "ready", "unloaded"]:
        """Whether the model is in memory; where it is unloaded, the next request loads it again."""
        state = "loading" if self.cloner is None else self.cloner.resident.state
        return "ready" if state == "loaded" else state

    def verifier(self, asked: bool | None) -> Transcriber | None:
        """Return the recogniser if the request, or else the setting, wants speech to be checked."""
        return self.transcriber if (self.request_defaults.verify if asked is None else asked) else None

    @property
    def model_names(self) -> list[str]:
        """Ids of the served models: the language model, once it is loaded, and the recogniser."""
        return [*([self.cloner.model_id] if self.cloner else []), *self.transcriber.names]


# These are coroutines so that they take no thread: with a full pool they would wait for one.
async def server_state(request: HTTPConnection) -> ServerState:
    return request.app.state.server


async def _loaded_cloner(state: Annotated[ServerState, Depends(server_state)]) -> VoiceCloner:
    if state.cloner is None:
        raise Loading("The model is still being loaded; ask again in a moment.")
    return state.cloner


async def _opened_voices(state: Annotated[ServerState, Depends(server_state)]) -> VoiceLibrary:
    if state.voices is None:
        raise Loading("The model is still being loaded; ask again in a moment.")
    return state.voices


State = Annotated[ServerState, Depends(server_state)]
Cloner = Annotated[VoiceCloner, Depends(_loaded_cloner)]
Voices = Annotated[VoiceLibrary, Depends(_opened_voices)]
