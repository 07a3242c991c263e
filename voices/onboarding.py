"""A recording on its way to a kept voice, step by step: read, choose, verify, listen, encode, speak, keep."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TypeVar
from uuid import uuid4

import numpy as np

from audio.decode import SAMPLE_RATE, decode_audio
from audio.delivery import Delivery
from audio.encode import encode_audio
from audio.reference_selection import ReferenceSelection, SecondSpeaker, select_reference
from errors import Cancelled, InvalidAudio, Overloaded, StoreUnavailable, VoiceServerError
from higgs.speech import Speech, SpeechStream
from speakers.verifier import SAME_SPEAKER, SpeakerVerifier
from synthesis.planner import VoiceReference
from voice_cloning import VoiceCloner
from voices.store.profiles import packed
from voices.store.sessions import Step
from voices.store.tables import SessionState, VoiceCloneSession, VoiceProfile
from voices.store.voice_store import VoiceStore

MAX_UPLOAD_SECONDS = 300.0
Result = TypeVar("Result")


@contextmanager
def place_among(places: threading.Semaphore) -> Iterator[None]:
    """Hold one of the places for voices that are made at once. Overloaded where all are taken."""
    if not places.acquire(blocking=False):
        raise Overloaded("Many voices are being made now; try again in a moment.", retry_after=10)
    try:
        yield
    finally:
        places.release()


@dataclass(frozen=True)
class VoiceOrder:
    """A voice to be made: whose it is and its name, the uploaded file, and a text to try it with, if any.

    delivery: how the voice speaks where nobody says.
    verify_consent: the consent's recording must be of the same speaker.
    listen: tells the words of samples at 24 kHz, where the transcript is to be recognised.
    """

    owner: str
    user_id: str
    name: str
    upload: bytes
    file_name: str = ""
    transcript: str | None = None
    delivery: Delivery = Delivery()
    consent_id: str | None = None
    verify_consent: bool = False
    sample_text: str | None = None
    listen: Callable[[np.ndarray], str | None] | None = None


class Onboarding:
    """One recording on its way to a kept voice: iterate once, in any thread; `cancel` from another.

    Each turn of the iteration gives the steps as they stand: read, choose, verify (a consent, where it must
    be of the same speaker), listen (where the words are to be recognised), encode, speak (where a text is to
    be tried) and keep. What fails is raised and noted in the session. The voice is there only after `keep`.
    """

    def __init__(
        self,
        cloner: VoiceCloner,
        store: VoiceStore,
        codec: str,
        order: VoiceOrder,
        places: threading.BoundedSemaphore,
        verifier: SpeakerVerifier,
    ) -> None:
        self.voice_id = new_voice_id()
        self.profile: VoiceProfile | None = None
        self.sample: Speech | None = None
        self.similarity: float | None = None
        self._cloner, self._store, self._codec, self._order = cloner, store, codec, order
        self._places, self._judge = places, verifier
        self._steps: list[Step] = []
        self._changing = threading.Lock()
        self._cancelled = False
        self._speaking: SpeechStream | None = None

    def __iter__(self) -> Iterator[list[Step]]:
        """Overloaded if as many others are under way as are done at once."""
        with place_among(self._places):
            self._store.sessions.begin(self._session())
            yield from self._noted()

    def _noted(self) -> Iterator[list[Step]]:
        """The walk, whose failure is noted in the session."""
        try:
            yield from self._walk()
        except VoiceServerError as error:
            self._end("cancelled" if isinstance(error, Cancelled) else "failed", error)
            raise
        except GeneratorExit:
            if self.profile is None:
                self._end("cancelled", Cancelled("The client left."))
            raise
        except Exception:
            self._end(
                "failed", VoiceServerError("The server failed; its log says why.", code="internal_error")
            )
            raise

    def cancel(self) -> None:
        """Stop before the next step, or in the midst of speaking; nothing is kept."""
        with self._changing:
            self._cancelled = True
            if self._speaking is not None:
                self._speaking.cancel()

    def _walk(self) -> Generator[list[Step], None, None]:
        order = self._order
        samples = yield from self._step(
            "read", lambda: decode_audio(order.upload, max_seconds=MAX_UPLOAD_SECONDS)
        )
        chosen = yield from self._step("choose", lambda: select_reference(samples, self._second_speaker()))
        if order.verify_consent:
            yield from self._step("verify", lambda: self._check_consent(chosen.samples))
        words, listen = order.transcript, order.listen
        if words is None and listen is not None:
            words = yield from self._step("listen", lambda: listen(chosen.samples))
        flac = encode_audio(chosen.samples, "flac").data
        voice = yield from self._step("encode", lambda: self._cloner.reference(flac, words))
        voice = replace(voice, delivery=order.delivery)
        text = order.sample_text
        if text is not None:
            self.sample = yield from self._step("speak", lambda: self._speak(text, voice, chosen.samples))
        profile = self._profile(chosen, flac, voice)
        yield from self._step("keep", lambda: self._keep(profile))

    def _step(self, name: str, work: Callable[[], Result]) -> Generator[list[Step], None, Result]:
        """Do one step's work; it is noted, and given to whoever iterates, when it begins and when it ends."""
        if self._cancelled:
            raise Cancelled("The onboarding was cancelled.")
        step: Step = {"name": name, "state": "running", "started_at": time.time(), "seconds": None}
        self._steps.append(step)
        self._store.sessions.progress(self.voice_id, self._steps)
        yield self.steps
        try:
            result = work()
        except BaseException:
            step |= {"state": "failed", "seconds": time.time() - step["started_at"]}
            raise
        step |= {"state": "completed", "seconds": time.time() - step["started_at"]}
        yield self.steps
        return result

    @property
    def steps(self) -> list[Step]:
        """The steps begun so far: name, state (running, completed or failed), started_at and seconds."""
        return [dict(step) for step in self._steps]

    def _second_speaker(self) -> SecondSpeaker | None:
        """Who tells two voices, where there is a model for it."""
        if not self._judge.installed:
            return None
        return lambda phrases: self._judge.second_speaker(phrases, SAMPLE_RATE)

    def _check_consent(self, samples: np.ndarray) -> None:
        """InvalidAudio where the consent's recording is of someone else."""
        consent_id = self._order.consent_id
        assert consent_id is not None
        consent = decode_audio(self._store.consents.recording(self._order.owner, consent_id))
        similarity = self._judge.similarity(samples, consent, SAMPLE_RATE)
        if similarity < SAME_SPEAKER:
            message = "The consent was not spoken by the voice of the recording: their similarity is"
            message += (
                f" {similarity:.2f}, one speaker's at least {SAME_SPEAKER:g}. Record both in a quiet room."
            )
            raise InvalidAudio(message, code="consent_other_speaker")

    def _speak(self, text: str, voice: VoiceReference, reference: np.ndarray) -> Speech:
        """Let the voice say the text, and compare it with the reference where there is a model for it: before
        speed and pitch are changed."""
        with self._changing:
            if self._cancelled:
                raise Cancelled("The onboarding was cancelled.")
            self._speaking = self._cloner.stream(text, voice)
        speech = self._speaking.speech()
        if self._judge.installed:
            self.similarity = self._judge.similarity(reference, speech.as_spoken, SAMPLE_RATE)
        return speech

    def _keep(self, profile: VoiceProfile) -> None:
        now = time.time()
        last = self._steps[-1] | {"state": "completed", "seconds": now - self._steps[-1]["started_at"]}
        self._store.keep(profile, [*self._steps[:-1], last])
        self.profile = profile

    def _end(self, state: SessionState, error: VoiceServerError) -> None:
        """Note the end in the session, if the store can take it; the next start sweeps it otherwise."""
        with suppress(StoreUnavailable):
            self._store.sessions.end(self.voice_id, state, self._steps, error)

    def _session(self) -> VoiceCloneSession:
        order = self._order
        return VoiceCloneSession(
            voice_id=self.voice_id,
            owner=order.owner,
            user_id=order.user_id,
            voice_name=order.name,
            file_name=order.file_name[-255:],
            upload_bytes=len(order.upload),
            created_at=time.time(),
            state="running",
            steps=[],
        )

    def _profile(self, chosen: ReferenceSelection, flac: bytes, voice: VoiceReference) -> VoiceProfile:
        order = self._order
        return VoiceProfile(
            id=self.voice_id,
            owner=order.owner,
            user_id=order.user_id,
            name=order.name,
            created_at=time.time(),
            transcript=voice.transcript,
            consent_id=order.consent_id,
            source_seconds=chosen.source_seconds,
            start_seconds=chosen.start_seconds,
            end_seconds=chosen.end_seconds,
            findings=[asdict(finding) for finding in chosen.findings],
            similarity=self.similarity,
            **asdict(order.delivery),
            samples=[],
            codec=self._codec,
            flac=flac,
            codes=packed(voice.codes.numpy()),
        )


def new_voice_id() -> str:
    return f"voice_{uuid4().hex}"
