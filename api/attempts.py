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
from audio.speech_issues import SpeechIssue, find_speech_issues, short_texts, speech_issues_in, unheard
from audio.speech_track import SpeechTrack
from concurrency import on_cancel
from errors import Cancelled, VoiceServerError
from higgs.spoken import Speech, SpokenText
from text.chunking import SENTENCE, has_words
from text.english import english_words
from text.normalise import speakable, without_tags
from text.pauses import without_pauses

log = logging.getLogger(__name__)

# The model's tags: speakers, sounds, delivery.
MARKS = re.compile(r"<SE.*?</SE\w*>|\[[^\]]*\]|<[^>]*>")
# A fault of the sound counts as one wrong word in five.
FAULT_WEIGHT = 0.2
# Minimum share of Latin letters for an English-only recogniser to check a text.
LATIN_SHARE = 0.8


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
    def badness(self) -> tuple[bool, float]:
        """Sort key for choosing the best attempt: wrong words first, then faults of the sound."""
        return self.misheard, (self.word_error_rate or 0.0) + FAULT_WEIGHT * len(self.faults)

    def quality(self, takes: int) -> SpeechQuality:
        """Return the quality for the answer; `takes` is the number of attempts."""
        return quality(
            self.faults,
            takes=takes,
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
        most: int,
        patient: bool = False,
    ) -> None:
        """first: the take on its way. verifier: who listens; without one, bad takes are not made again, but
        for who is patient.

        again: begins another take, None where there is only this one; most: how many may be made in all.
        """
        listens = verifier is not None or patient
        self._first, self._again, self._text = first, again if listens else None, without_pauses(text)
        self._verifier, self._most = verifier, most
        self._waited_for: Cancellable = first
        self._cancelled = False

    def best(self) -> tuple[Speech, SpeechQuality]:
        """Return the first good attempt, or else the one with the fewest wrong words and faults.

        Finished speech is never lost: if a further attempt fails, or the queue or recogniser is full, the
        best one so far is returned. Raises what SpeechStream.speech raises for the first attempt.
        """
        takes = [self._judged(self._first)]
        while self._again and not takes[-1].good and not takes[-1].unheard and len(takes) < self._most:
            try:
                stream = self._again()
                note_retry()
                takes.append(self._judged(stream))
            except Cancelled:
                raise
            except VoiceServerError as error:
                log.warning("another attempt failed: %s", error)
                break
        best = min(takes, key=lambda take: take.badness)
        return best.speech, best.quality(len(takes))

    def cancel(self) -> None:
        self._cancelled = True
        self._waited_for.cancel()

    def _judged(self, stream: Speaking) -> Attempt:
        self._wait_for(stream)
        speech = stream.speech()
        spoken = spoken_texts(speech.texts, self._text, len(speech.as_spoken) / SAMPLE_RATE)
        faults = (*find_speech_issues(speech.as_spoken, joined(spoken)), *short_chunks(spoken))
        if self._verifier is None:
            return Attempt(speech, faults)
        try:
            if not checkable(self._text, self._verifier):
                return Attempt(speech, faults)
            return self._listened_to(speech, spoken, faults, self._verifier)
        except Cancelled:
            raise
        except VoiceServerError as error:
            return Attempt(speech, faults, unheard=f"The speech was not verified: {error.message}")

    def _listened_to(
        self,
        speech: Speech,
        spoken: tuple[SpokenText, ...],
        faults: tuple[SpeechIssue, ...],
        verifier: Transcriber,
    ) -> Attempt:
        job = verifier.listen(speech.as_spoken, SAMPLE_RATE)
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
    marked = MARKS.sub(" ", text)
    return (
        words_of(MARKS.sub(" ", speakable(text, "english" if english else "plain")))
        if has_words(marked)
        else []
    )


def words_heard(text: str, english: bool) -> list[str]:
    return words_of(english_words(text) if english else text)


def best_attempt(
    transcriber: Transcriber, most: int, begin: Callable[[], Speaking], text: str, verify: bool
) -> tuple[Speech, list[dict[str, Any]]]:
    """The best of up to `most` takes of a text that nobody waits for, and what is wrong with it.

    It is called off with the work under way. Errors as of Attempts.best.
    """
    takes = Attempts(begin(), begin, text, transcriber if verify else None, most, patient=True)
    on_cancel(takes.cancel)
    speech, quality = takes.best()
    return speech, [fault.model_dump() for fault in quality.faults]
