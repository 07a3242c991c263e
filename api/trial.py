"""A new voice's trial is listened to: a voice that nobody understands is kept, but said to be one."""

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


def trial_listener(transcriber: Transcriber) -> Callable[[np.ndarray, str], RecordingIssue | None]:
    """What tells of samples (N,) at 24 kHz that should say a text whether they are misheard.

    What its sound gives away needs no recogniser, who may take long over babble. Nothing is told where the
    recogniser can't know the words, is missing, or has too much to do.
    """

    def listen(samples: np.ndarray, text: str) -> RecordingIssue | None:
        issues = find_speech_issues(samples, text)
        if issues:
            return RecordingIssue("misheard", f"Its trial went wrong: {issues[0].message} {ADVICE}")
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
        message = f"Its trial was hard to understand: {min(wrong, len(said))} of {len(said)} words were heard"
        return RecordingIssue("misheard", f"{message} wrongly. {ADVICE}")

    return listen
