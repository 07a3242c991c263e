"""Onboarding of a voice: read, choose, verify, listen, encode, speak, keep."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TypeVar
from uuid import uuid4

import numpy as np

from audio.decode import decode_audio
from audio.delivery import Delivery
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from audio.recording_issues import RecordingIssue
from audio.reference_selection import ReferenceSelection, select_reference
from errors import Cancelled, Conflict, InvalidAudio, Overloaded, StoreUnavailable, VoiceServerError
from higgs.speech import SpeechStream
from higgs.spoken import Speech
from speakers.verifier import SAME_SPEAKER, SpeakerVerifier
from synthesis.references import VoiceReference
from text.pronunciations import Entries
from voice_cloning import VoiceCloner
from voices.store.profiles import packed
from voices.store.sessions import Step
from voices.store.tables import SessionState, VoiceCloneSession, VoiceProfile
from voices.store.voice_store import VoiceStore

MAX_UPLOAD_SECONDS = 300.0
Result = TypeVar("Result")


@contextmanager
def place_among(places: threading.Semaphore) -> Iterator[None]:
    """Hold one of the places for concurrent onboardings. Raises Overloaded if all are taken."""
    if not places.acquire(blocking=False):
        raise Overloaded("Too many voices are being created; try again in a moment.", retry_after=10)
    try:
        yield
    finally:
        places.release()


def selected_part(samples: np.ndarray, cloner: VoiceCloner, verifier: SpeakerVerifier) -> ReferenceSelection:
    """Select the best part of a recording, within the model's maximum. Raises InvalidAudio."""
    judge = partial(verifier.second_speaker, sample_rate=SAMPLE_RATE) if verifier.installed else None
    return select_reference(samples, judge, cloner.max_reference_seconds)


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


class Onboarding:
    """The onboarding of one voice: iterate over it once, in any thread; call `cancel` from any thread.

    Each iteration yields the current steps: read, choose, verify (of a consent), listen (if the transcript is
    to be recognised), encode, speak (if there is a sample text) and keep. Errors are raised, and recorded in
    the session. The voice exists only after `keep`.

    Attributes:
        voice_id, profile: the new voice; profile is None before `keep`.
        sample, similarity: the trial's speech, and its similarity to the recording, 0 to 1.
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
        self._findings: list[RecordingIssue] = []

    def __iter__(self) -> Iterator[list[Step]]:
        """Run the steps. Raises Overloaded if too many onboardings are running."""
        with place_among(self._places):
            self._store.sessions.begin(self._session())
            with self._store.sessions.held(self.voice_id):
                yield from self._noted()

    def _noted(self) -> Iterator[list[Step]]:
        """Run the steps; record a failure in the session."""
        try:
            yield from self._walk()
        except VoiceServerError as error:
            self._end("cancelled" if isinstance(error, Cancelled) else "failed", error)
            raise
        except GeneratorExit:
            if self.profile is None:
                self._end("cancelled", Cancelled("The client disconnected."))
            raise
        except Exception:
            self._end(
                "failed", VoiceServerError("The server failed; its log says why.", code="internal_error")
            )
            raise

    def cancel(self) -> None:
        """Stop before the next step, or while speaking; nothing is saved."""
        with self._changing:
            self._cancelled = True
            if self._speaking is not None:
                self._speaking.cancel()

    def _walk(self) -> Generator[list[Step], None, None]:
        order = self._order
        samples = yield from self._step(
            "read", lambda: decode_audio(order.upload, max_seconds=MAX_UPLOAD_SECONDS)
        )
        chosen = yield from self._step("choose", lambda: selected_part(samples, self._cloner, self._judge))
        self._findings += chosen.findings
        if order.verify_consent:
            yield from self._step("verify", lambda: self._check_consent(chosen.samples))
        words, transcribe = self._words(chosen), order.transcribe
        if words is None and transcribe is not None:
            words = yield from self._step("listen", lambda: transcribe(chosen.samples))
        flac = encode_audio(chosen.samples, "flac").data
        voice = yield from self._step("encode", lambda: self._cloner.reference(flac, words))
        voice = replace(voice, delivery=order.delivery, pronunciations=order.pronunciations)
        text = order.sample_text
        if text is not None:
            self.sample = yield from self._step("speak", lambda: self._speak(text, voice, chosen.samples))
        yield from self._step("keep", lambda: self._keep(lambda: self._profile(chosen, flac, voice)))

    def _step(self, name: str, work: Callable[[], Result]) -> Generator[list[Step], None, Result]:
        """Run one step; record it and yield the steps when it starts and when it ends."""
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
        """The steps started so far: name, state (running, completed or failed), started_at and seconds."""
        return [dict(step) for step in self._steps]

    def _words(self, chosen: ReferenceSelection) -> str | None:
        """Return the given transcript if it matches the selected part."""
        words = self._order.transcript
        if words is None or chosen.whole:
            return words
        message = "Only part of the recording was used, so the transcript of the whole was left out."
        self._findings.append(RecordingIssue("words_left_out", message))
        return None

    def _check_consent(self, samples: np.ndarray) -> None:
        """Raise InvalidAudio if the consent was recorded by another speaker."""
        consent_id = self._order.consent_id
        assert consent_id is not None
        consent = decode_audio(self._store.consents.recording(self._order.owner, consent_id))
        similarity = self._judge.similarity(samples, consent, SAMPLE_RATE)
        if similarity < SAME_SPEAKER:
            message = "The consent was spoken by someone else: its similarity to the recording is"
            message += f" {similarity:.2f}; the same speaker gives {SAME_SPEAKER:g} or more."
            message += " Record both in a quiet room."
            raise InvalidAudio(message, code="consent_other_speaker")

    def _speak(self, text: str, voice: VoiceReference, reference: np.ndarray) -> Speech:
        """Speak the sample text; check if it is understood and similar to the reference, before effects."""
        with self._changing:
            if self._cancelled:
                raise Cancelled("The onboarding was cancelled.")
            self._speaking = self._cloner.stream(text, voice)
        speech = self._speaking.speech()
        if self._judge.installed:
            self.similarity = self._judge.similarity(reference, speech.as_spoken, SAMPLE_RATE)
            if self.similarity < SAME_SPEAKER:
                message = f"The trial's similarity to the recording is only {self.similarity:.2f};"
                message += f" two recordings of the same speaker usually give {SAME_SPEAKER:g} or more."
                self._findings.append(RecordingIssue("unlike", message))
        check = self._order.check_trial
        misheard = check(speech.as_spoken, text) if check else None
        if misheard is not None:
            self._findings.append(misheard)
        return speech

    def _keep(self, make: Callable[[], VoiceProfile]) -> None:
        """Save the voice; choose another number if a numbered name was taken meanwhile."""
        now = time.time()
        last = self._steps[-1] | {"state": "completed", "seconds": now - self._steps[-1]["started_at"]}
        while self.profile is None:
            profile = make()
            try:
                self._store.keep(profile, [*self._steps[:-1], last])
                self.profile = profile
            except Conflict:
                if not self._order.numbered:
                    raise
                self._order = named_freely(self._order, self._store)

    def _end(self, state: SessionState, error: VoiceServerError) -> None:
        """Record the end of the session; if the database is unavailable, the next start will."""
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
            findings=[asdict(finding) for finding in self._findings],
            similarity=self.similarity,
            **asdict(order.delivery),
            pronunciations=dict(order.pronunciations) or None,
            samples=[],
            aliases=[],
            codec=self._codec,
            flac=flac,
            codes=packed(voice.codes.numpy()),
        )


def named_freely(order: VoiceOrder, store: VoiceStore) -> VoiceOrder:
    """Return the order with a number appended to its name if that is taken."""
    return replace(order, name=store.profiles.free_name(order.owner, order.user_id, order.name))


def new_voice_id() -> str:
    return f"voice_{uuid4().hex}"
