"""Onboarding of a voice: read, choose, verify, listen, encode, speak, keep."""

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from typing import TypeVar

import numpy as np

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from audio.recording_issues import RecordingIssue
from audio.reference_selection import ReferenceSelection
from concurrency import driven
from errors import Cancelled, Conflict, InvalidAudio
from higgs.speech import SpeechStream
from higgs.spoken import Speech
from speakers.verifier import SAME_SPEAKER, SpeakerVerifier
from synthesis.references import VoiceReference
from voice_cloning import VoiceCloner
from voices.progress import Progress
from voices.recordings import MAX_UPLOAD_SECONDS, place_among, selected_part
from voices.store.profiles import packed
from voices.store.sessions import Step
from voices.store.tables import VoiceProfile
from voices.store.voice_store import VoiceStore
from voices.voice_order import VoiceOrder, new_voice_id, with_free_name

Result = TypeVar("Result")


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
        self._places, self._verifier = places, verifier
        self._progress = Progress(store.sessions, self.voice_id)
        self._changing = threading.Lock()
        self._cancelled = False
        self._speaking: SpeechStream | None = None
        self._issues: list[RecordingIssue] = []

    def __iter__(self) -> Iterator[list[Step]]:
        """Run the steps, in a thread of their own. Raises Overloaded if too many onboardings are running."""
        return driven(self._recorded())

    def _recorded(self) -> Iterator[list[Step]]:
        with place_among(self._places), self._progress.recorded(self._order):
            yield from self._walk()

    @property
    def steps(self) -> list[Step]:
        """The steps started so far; see Progress.steps."""
        return self._progress.steps

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
        chosen = yield from self._step("choose", lambda: selected_part(samples, self._cloner, self._verifier))
        self._issues += chosen.issues
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
        if self._cancelled:
            raise Cancelled("The onboarding was cancelled.")
        return (yield from self._progress.step(name, work))

    def _words(self, chosen: ReferenceSelection) -> str | None:
        """Return the given transcript if it matches the selected part."""
        words = self._order.transcript
        if words is None or chosen.whole:
            return words
        message = "Only part of the recording was used, so the transcript of the whole was left out."
        self._issues.append(RecordingIssue("words_left_out", message))
        return None

    def _check_consent(self, samples: np.ndarray) -> None:
        """Raise InvalidAudio if the consent was recorded by another speaker."""
        consent_id = self._order.consent_id
        assert consent_id is not None
        consent = decode_audio(self._store.consents.recording(self._order.owner, consent_id))
        similarity = self._verifier.similarity(samples, consent, SAMPLE_RATE)
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
        if self._verifier.installed:
            self.similarity = self._verifier.similarity(reference, speech.as_spoken, SAMPLE_RATE)
            if self.similarity < SAME_SPEAKER:
                message = f"The trial's similarity to the recording is only {self.similarity:.2f};"
                message += f" two recordings of the same speaker usually give {SAME_SPEAKER:g} or more."
                self._issues.append(RecordingIssue("unlike", message))
        check = self._order.check_trial
        misheard = check(speech.as_spoken, text) if check else None
        if misheard is not None:
            self._issues.append(misheard)
        return speech

    def _keep(self, make: Callable[[], VoiceProfile]) -> None:
        """Save the voice; choose another number if a numbered name was taken meanwhile."""
        steps = self._progress.completed()
        while self.profile is None:
            profile = make()
            try:
                self._store.keep(profile, steps)
                self.profile = profile
            except Conflict:
                if not self._order.numbered:
                    raise
                self._order = with_free_name(self._order, self._store)

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
            findings=[asdict(issue) for issue in self._issues],
            similarity=self.similarity,
            **asdict(order.delivery),
            pronunciations=dict(order.pronunciations) or None,
            samples=[],
            aliases=[],
            codec=self._codec,
            flac=flac,
            codes=packed(voice.codes.numpy()),
        )
