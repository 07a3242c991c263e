"""Answers kept for a while, so that a later message can name them: `audio: {"id": …}`."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

SECONDS = 3600
MAX_BYTES = 64 * 2**20  # three quarters of an hour of speech


@dataclass(frozen=True)
class EarlierAnswer:
    """A spoken answer: a FLAC file, its words, and the time at which it is forgotten.

    It is as the model spoke it, without pauses: whoever goes on in its voice asks for a delivery again.
    """

    audio: bytes
    transcript: str
    expires_at: int


class KeptAudio:
    """Spoken answers by owner and id; the oldest go before their time where all together grow too large."""

    def __init__(self, seconds: int = SECONDS, most_bytes: int = MAX_BYTES) -> None:
        self._seconds, self._most_bytes = seconds, most_bytes
        self._answers: OrderedDict[tuple[str, str], EarlierAnswer] = OrderedDict()
        self._bytes = 0
        self._changing = threading.Lock()

    def keep(self, owner: str, id: str, audio: bytes, transcript: str) -> int:
        """Keep a FLAC file; returns when it expires, in Unix seconds."""
        answer = EarlierAnswer(audio, transcript, int(time.time()) + self._seconds)
        with self._changing:
            self._answers[owner, id] = answer
            self._bytes += len(audio)
            self._forget()
        return answer.expires_at

    def find(self, owner: str, id: str) -> EarlierAnswer | None:
        """An answer that was given to this owner."""
        with self._changing:
            self._forget()
            return self._answers.get((owner, id))

    def _forget(self) -> None:
        now = time.time()
        while self._answers:
            oldest = next(iter(self._answers.values()))
            if oldest.expires_at > now and self._bytes <= self._most_bytes:
                return
            self._answers.popitem(last=False)
            self._bytes -= len(oldest.audio)
