"""Check speech before it is sent, optionally with the recogniser, and repeat bad attempts."""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from api.request_context import note_retry
from api.schemas.chat import FaultFound, SpeechQuality
from api.streaming import Cancellable
from asr.transcriber import Transcriber
from asr.words import unheard_sentences, words_of, wrong_words
from audio.frames import SAMPLE_RATE
from audio.speech_issues import (
    SpeechIssue,
    cut_off,
    find_speech_issues,
    short_texts,
    speech_issues_in,
    unheard,
)
from audio.speech_track import SpeechTrack
from concurrency import on_cancel
from errors import Cancelled, VoiceServerError
from higgs.spoken import Speech, SpokenText
from text.chunking import SENTENCE, has_words
from text.english import english_words
from text.normalise import speakable, without_tags
from text.pauses import without_pauses

log = logging.getLogger(__name__)

# Tags of speakers, sounds and delivery.
TAGS = re.compile(r"<SE.*?</SE\w*>|\[[^\]]*\]|<[^>]*>")
WRONG_LENGTH = ("too_short", "too_long")
FAULT_WEIGHT = 0.2  # a fault of the sound counts like one wrong word in five
LATIN_SHARE = 0.8  # minimum share of Latin letters for an English-only recogniser to check a text


@dataclass(frozen=True)
class Attempt:
    """One speech, its faults, and what the recogniser heard.

    Attributes:
        misheard: more words are wrong than the recogniser's own errors explain.
        unheard: why the recogniser, though requested, was not used.
    """

    speech: Speech
    faults: tuple[SpeechIssue, ...]
    heard: str | None = None
    word_error_rate: float | None = None
    misheard: bool = False
    unheard: str | None = None

    @property
    def good(self) -> bool:
        return not self.faults and not self.misheard

    @property
    def repeatable(self) -> bool:
        """Whether another attempt may be better, and could be checked."""
        return not self.good and not self.unheard

    @property
    def badness(self) -> tuple[bool, float]:
        """Sort key for choosing the best attempt: wrong words first, then faults of the sound."""
        return self.misheard, (self.word_error_rate or 0.0) + FAULT_WEIGHT * len(self.faults)

    def quality(self, attempts: int) -> SpeechQuality:
        """Return the quality for the answer, with the number of attempts."""
        return quality(
            self.faults,
            takes=attempts,
            heard=self.heard,
            word_error_rate=self.word_error_rate,
            note=self.unheard,
        )


def quality_of(track: SpeechTrack, text: str, texts: tuple[SpokenText, ...] = ()) -> SpeechQuality:
    """Return the quality of streamed speech from the record of its sound.

    texts: what the model was asked to speak, and when it did.
    """
    track.close()
    spoken = spoken_texts(texts, text, track.samples / SAMPLE_RATE)
    return quality([*speech_issues_in(track, joined(spoken)), *short_chunks(spoken)], takes=1)


def quality(faults: Iterable[SpeechIssue], **found: Any) -> SpeechQuality:
    """Return the quality for an answer."""
    return SpeechQuality(faults=[FaultFound(**vars(fault)) for fault in faults], **found)


def spoken_texts(texts: tuple[SpokenText, ...], text: str, seconds: float) -> tuple[SpokenText, ...]:
    """Return what the model was asked to speak; if unknown, the text without markup, tags and pauses."""
    if texts:
        return texts
    return (SpokenText(without_tags(speakable(without_pauses(text), "plain")), 0.0, seconds),)


def short_chunks(texts: tuple[SpokenText, ...]) -> list[SpeechIssue]:
    """Return issues for texts that are spoken too fast to be complete."""
    return list(short_texts((text.text, text.start, text.end) for text in texts)) if len(texts) > 1 else []


def joined(texts: tuple[SpokenText, ...]) -> str:
    """Return the texts as one."""
    return " ".join(text.text for text in texts)


def sentences_of(texts: tuple[SpokenText, ...]) -> list[SpokenText]:
    """Return each sentence, with the times of its chunk."""
    return [
        SpokenText(sentence.strip(), chunk.start, chunk.end)
        for chunk in texts
        for sentence in SENTENCE.findall(chunk.text)
        if sentence.strip()
    ]


class Speaking(Cancellable, Protocol):
    """Speech in progress, such as a SpeechStream."""

    def speech(self) -> Speech: ...


class Attempts:
    """Attempts at one text until one is good: call `best`; `cancel` from any thread."""

    def __init__(
        self,
        first: Speaking,
        again: Callable[[], Speaking] | None,
        text: str,
        verifier: Transcriber | None,
        max_attempts: int,
        patient: bool = False,
    ) -> None:
        """Prepare to choose.

        Args:
            first: the first attempt, in progress.
            again: starts another attempt; None if there may be only one.
            text: what is to be spoken.
            verifier: the recogniser that checks attempts; None for none.
            max_attempts: maximum number of attempts, the first included.
            patient: repeat bad attempts even without a verifier.
        """
        repeats = verifier is not None or patient
        self._first, self._again, self._text = first, again if repeats else None, without_pauses(text)
        self._verifier, self._max_attempts = verifier, max_attempts
        self._waited_for: Cancellable = first
        self._cancelled = False

    def best(self) -> tuple[Speech, SpeechQuality]:
        """Return the first good attempt, or else the one with the fewest wrong words and faults.

        Finished speech is never lost: if a further attempt fails, or the queue or recogniser is full, the
        best one so far is returned. Raises what SpeechStream.speech raises for the first attempt.
        """
        attempts = [self._checked(self._first)]
        while self._again and attempts[-1].repeatable and len(attempts) < self._max_attempts:
            try:
                stream = self._again()
                note_retry()
                attempts.append(self._checked(stream))
            except Cancelled:
                raise
            except VoiceServerError as error:
                log.warning("another attempt failed: %s", error)
                break
        best = min(attempts, key=lambda attempt: attempt.badness)
        return best.speech, best.quality(len(attempts))

    def cancel(self) -> None:
        """Cancel the attempt or check in progress, and make no further ones."""
        self._cancelled = True
        self._waited_for.cancel()

    def _checked(self, stream: Speaking) -> Attempt:
        self._wait_for(stream)
        speech = stream.speech()
        seconds = len(speech.as_spoken) / SAMPLE_RATE
        spoken = spoken_texts(speech.texts, self._text, seconds)
        faults = (*find_speech_issues(speech.as_spoken, joined(spoken)), *short_chunks(spoken))
        if speech.finish_reason == "length" and not any(fault.kind in WRONG_LENGTH for fault in faults):
            faults = (*faults, cut_off(seconds))
        if self._verifier is None:
            return Attempt(speech, faults)
        try:
            if not checkable(self._text, self._verifier):
                return Attempt(speech, faults)
            return self._verified(speech, spoken, faults, self._verifier)
        except Cancelled:
            raise
        except VoiceServerError as error:
            return Attempt(speech, faults, unheard=f"The speech was not verified: {error.message}")

    def _verified(
        self,
        speech: Speech,
        spoken: tuple[SpokenText, ...],
        faults: tuple[SpeechIssue, ...],
        verifier: Transcriber,
    ) -> Attempt:
        job = verifier.submit(speech.as_spoken, SAMPLE_RATE)
        self._wait_for(job)
        transcript = job.transcript()
        english = transcript.language == "en"
        sentences = sentences_of(spoken)
        said_each = [words_said(sentence.text, english) for sentence in sentences]
        said, heard = [word for words in said_each for word in words], words_heard(transcript.text, english)
        wrong = wrong_words(said, heard)
        lost = (sentences[number] for number in unheard_sentences(said_each, heard))
        faults = (*faults, *(unheard(each.text, each.start, each.end) for each in lost))
        # One wrong word is as likely the recogniser's mistake.
        misheard = wrong > max(1, verifier.expected_wer * len(said))
        return Attempt(speech, faults, transcript.text, wrong / max(len(said), 1), misheard)

    def _wait_for(self, work: Cancellable) -> None:
        """Set what `cancel` cancels; cancel it at once if already cancelled."""
        self._waited_for = work
        if self._cancelled:
            work.cancel()
            raise Cancelled("The client disconnected.")


def checkable(text: str, transcriber: Transcriber) -> bool:
    """Return whether the recogniser can know the words: an English-only one knows none in other scripts."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(character.isascii() for character in letters)
    return len(transcriber.languages) > 1 or latin >= LATIN_SHARE * len(letters)


def words_said(text: str, english: bool) -> list[str]:
    """Return the words of a text as spoken: in English, numbers are words too."""
    marked = TAGS.sub(" ", text)
    return (
        words_of(TAGS.sub(" ", speakable(text, "english" if english else "plain")))
        if has_words(marked)
        else []
    )


def words_heard(text: str, english: bool) -> list[str]:
    """Return the words of a transcript, comparable with `words_said`."""
    return words_of(english_words(text) if english else text)


def best_attempt(
    transcriber: Transcriber, max_attempts: int, begin: Callable[[], Speaking], text: str, verify: bool
) -> tuple[Speech, list[dict[str, Any]]]:
    """Speak a text that no client waits for, in up to `max_attempts` attempts.

    Args:
        transcriber: checks the attempts, if asked to verify.
        max_attempts: maximum number of attempts.
        begin: starts an attempt.
        text: what is to be spoken.
        verify: check the attempts with the transcriber.

    Returns:
        The best speech, and its faults as dictionaries.

    Raises:
        Cancelled, VoiceServerError: see Attempts.best.
    """
    verifier = transcriber if verify else None
    attempts = Attempts(begin(), begin, text, verifier, max_attempts, patient=True)
    on_cancel(attempts.cancel)
    speech, quality = attempts.best()
    return speech, [fault.model_dump() for fault in quality.faults]
