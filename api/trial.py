"""Checks a new voice's trial with the recogniser; an unintelligible voice is saved with an issue."""

from collections.abc import Callable

import numpy as np

from api.attempts import checkable, words_heard, words_said
from asr.transcriber import Transcriber
from asr.words import wrong_words
from audio.frames import SAMPLE_RATE
from audio.recording_issues import RecordingIssue
from audio.speech_issues import find_speech_issues
from errors import ModelError, Overloaded

ADVICE = "Try a clearer recording of 5 to 10 s."


def trial_check(transcriber: Transcriber) -> Callable[[np.ndarray, str], RecordingIssue | None]:
    """Return a check of samples (N,) at 24 kHz against their text, which returns an issue or None.

    Faults of the sound are found without the recogniser, which would be slow on them. The check is skipped if
    the recogniser is unavailable, overloaded, or doesn't know the language.
    """

    def check(samples: np.ndarray, text: str) -> RecordingIssue | None:
        issues = find_speech_issues(samples, text)
        if issues:
            return RecordingIssue("misheard", f"The trial failed: {issues[0].message} {ADVICE}")
        try:
            if not checkable(text, transcriber):
                return None
            transcript = transcriber.transcribe(samples, SAMPLE_RATE)
            english = transcript.language == "en"
            said, heard = words_said(text, english), words_heard(transcript.text, english)
            wrong = wrong_words(said, heard)
            if wrong <= max(1, transcriber.expected_wer * len(said)):
                return None
        except (ModelError, Overloaded):
            return None
        message = f"The trial was hard to understand: {min(wrong, len(said))} of {len(said)} words were"
        return RecordingIssue("misheard", f"{message} misrecognised. {ADVICE}")

    return check
