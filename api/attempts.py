"""Speech that is looked at before it goes out and, where asked, listened to; a bad take is made again."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from api.request_context import note_retry
from api.schemas.chat import FaultFound, SpeechQuality
from api.streaming import Cancellable
from asr.transcriber import Transcriber
from asr.words import unheard_sentences, words_of, wrong_words
from audio.reference import SAMPLE_RATE
from audio.speech_issues import SpeechIssue, find_speech_issues, short_texts, unheard
from errors import Cancelled, Overloaded
from higgs.speech import Speech, SpokenText
from text.chunking import SENTENCE, has_words
from text.english import english_words
from text.normalise import speakable, without_tags
from text.pauses import without_pauses

# The model's own marks: of speakers, of sounds, of the manner of speaking.
MARKS = re.compile(r"<SE.*?</SE\w*>|\[[^\]]*\]|<[^>]*>")
# Of a recogniser of English alone, a text of other letters can't be checked.
LATIN_SHARE = 0.8


@dataclass(frozen=True)
class Attempt:
    """One speech, its faults, and what a verifier heard in it.

    misheard: more words are wrong than can be the verifier's own mistakes.
    """

    speech: Speech
    faults: tuple[SpeechIssue, ...]
    heard: str | None = None
    word_error_rate: float | None = None
    misheard: bool = False

    @property
    def good(self) -> bool:
        return not self.faults and not self.misheard

    def quality(self, takes: int) -> SpeechQuality:
        """What the answer says of it; takes: how many were made."""
        faults = [
            FaultFound(kind=fault.kind, start=fault.start, end=fault.end, message=fault.message)
            for fault in self.faults
        ]
        return SpeechQuality(
            takes=takes, faults=faults, heard=self.heard, word_error_rate=self.word_error_rate
        )


def quality_of(speech: Speech, text: str) -> SpeechQuality:
    """What is wrong with speech that has gone out already."""
    return Attempt(speech, speech_issues_in(speech, text)).quality(takes=1)


def speech_issues_in(speech: Speech, text: str) -> tuple[SpeechIssue, ...]:
    """What its sound says is wrong; whether it is too short, as a whole and chunk by chunk."""
    texts = spoken_texts(speech, text)
    found = find_speech_issues(speech.as_spoken, " ".join(spoken.text for spoken in texts))
    parts = texts if len(texts) > 1 else ()
    return (*found, *short_texts((part.text, part.start, part.end) for part in parts))


def spoken_texts(speech: Speech, text: str) -> tuple[SpokenText, ...]:
    """What was spoken, as the model was asked to: no link's address is in it, no tag and no pause."""
    if speech.texts:
        return speech.texts
    spoken = without_tags(speakable(without_pauses(text), "plain"))
    return (SpokenText(spoken, 0.0, len(speech.as_spoken) / SAMPLE_RATE),)


def sentences_of(texts: tuple[SpokenText, ...]) -> list[SpokenText]:
    """Each sentence, with the seconds of the chunk that it stands in."""
    return [
        SpokenText(sentence.strip(), chunk.start, chunk.end)
        for chunk in texts
        for sentence in SENTENCE.findall(chunk.text)
        if sentence.strip()
    ]


class Speaking(Cancellable, Protocol):
    """A speech on its way, such as a SpeechStream."""

    def speech(self) -> Speech: ...


class Attempts:
    """Takes of one text, until one is good: get the best with `best`; `cancel` from any thread."""

    def __init__(
        self,
        first: Speaking,
        again: Callable[[], Speaking] | None,
        text: str,
        verifier: Transcriber | None,
        most: int,
    ) -> None:
        """first: the take on its way. verifier: who listens; without one, bad takes are not made again.

        again: begins another take, None where there is only this one; most: how many may be made in all.
        """
        self._first, self._again, self._text = first, again if verifier else None, without_pauses(text)
        self._verifier, self._most = verifier, most
        self._waited_for: Cancellable = first
        self._cancelled = False

    def best(self) -> tuple[Speech, SpeechQuality]:
        """The first good take or, where none is, the one with the fewest faults and wrong words.

        Errors as of SpeechStream.speech and Listener.listen.
        """
        takes = [self._judged(self._first)]
        while self._again and not takes[-1].good and len(takes) < self._most:
            try:
                stream = self._again()
            except Overloaded:
                break
            note_retry()
            takes.append(self._judged(stream))
        best = min(takes, key=lambda take: (len(take.faults), take.word_error_rate or 0.0))
        return best.speech, best.quality(len(takes))

    def cancel(self) -> None:
        self._cancelled = True
        self._waited_for.cancel()

    def _judged(self, stream: Speaking) -> Attempt:
        self._wait_for(stream)
        speech = stream.speech()
        faults = speech_issues_in(speech, self._text)
        if self._verifier is None or not checkable(self._text, self._verifier):
            return Attempt(speech, faults)
        return self._listened_to(speech, faults, self._verifier)

    def _listened_to(self, speech: Speech, faults: tuple[SpeechIssue, ...], verifier: Transcriber) -> Attempt:
        job = verifier.listen(speech.as_spoken, SAMPLE_RATE)
        self._wait_for(job)
        transcript = job.transcript(len(speech.as_spoken) / SAMPLE_RATE)
        english = transcript.language == "en"
        sentences = sentences_of(spoken_texts(speech, self._text))
        said_each = [words_said(sentence.text, english) for sentence in sentences]
        said, heard = [word for words in said_each for word in words], words_heard(transcript.text, english)
        wrong = wrong_words(said, heard)
        lost = (sentences[number] for number in unheard_sentences(said_each, heard))
        faults = (*faults, *(unheard(each.text, each.start, each.end) for each in lost))
        # A word too many or too few is the recogniser's own mistake as often as not.
        misheard = wrong > max(1, verifier.expected_wer * len(said))
        return Attempt(speech, faults, transcript.text, wrong / max(len(said), 1), misheard)

    def _wait_for(self, work: Cancellable) -> None:
        """Note whom to cancel; what was cancelled before it was noted is cancelled here."""
        self._waited_for = work
        if self._cancelled:
            work.cancel()
            raise Cancelled("The client left.")


def checkable(text: str, transcriber: Transcriber) -> bool:
    """Whether the recogniser can know the words: one of English alone knows none in other letters."""
    letters = [character for character in text if character.isalpha()]
    latin = sum(character.isascii() for character in letters)
    return len(transcriber.languages) > 1 or latin >= LATIN_SHARE * len(letters)


def words_said(text: str, english: bool) -> list[str]:
    """The words of a text as they are spoken: in English numbers are words too."""
    marked = MARKS.sub(" ", text)
    return (
        words_of(MARKS.sub(" ", speakable(text, "english" if english else "plain")))
        if has_words(marked)
        else []
    )


def words_heard(text: str, english: bool) -> list[str]:
    return words_of(english_words(text) if english else text)
