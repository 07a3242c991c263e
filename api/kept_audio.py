"""Answers stored for an hour, so that later messages can refer to them: `audio: {"id": …}`.

They are in memory, or in Redis, which several servers share.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from api.shared_redis import SharedRedis
from errors import RedisUnavailable

SECONDS = 3600
MAX_BYTES = 64 * 2**20  # three quarters of an hour of speech


@dataclass(frozen=True)
class EarlierAnswer:
    """A spoken answer: FLAC, transcript, and expiry time.

    The audio is as the model spoke it, before pauses and delivery: a continuation applies its own.
    """

    audio: bytes
    transcript: str
    expires_at: int


class KeptAudio(Protocol):
    """Spoken answers by owner and id. Methods may block: call them in threads."""

    def keep(self, owner: str, id: str, audio: bytes, transcript: str) -> int:
        """Store a FLAC file; return its expiry as a Unix timestamp."""

    def find(self, owner: str, id: str) -> EarlierAnswer | None:
        """Return this owner's answer; None if it is unknown or expired."""


class AudioInMemory:
    """KeptAudio of one server; the oldest answers are evicted when all together are too large."""

    def __init__(self, seconds: int = SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self._seconds, self._max_bytes = seconds, max_bytes
        self._answers: OrderedDict[tuple[str, str], EarlierAnswer] = OrderedDict()
        self._bytes = 0
        self._changing = threading.Lock()

    def keep(self, owner: str, id: str, audio: bytes, transcript: str) -> int:
        answer = EarlierAnswer(audio, transcript, int(time.time()) + self._seconds)
        with self._changing:
            self._answers[owner, id] = answer
            self._bytes += len(audio)
            self._forget()
        return answer.expires_at

    def find(self, owner: str, id: str) -> EarlierAnswer | None:
        with self._changing:
            self._forget()
            return self._answers.get((owner, id))

    def _forget(self) -> None:
        now = time.time()
        while self._answers:
            oldest = next(iter(self._answers.values()))
            if oldest.expires_at > now and self._bytes <= self._max_bytes:
                return
            self._answers.popitem(last=False)
            self._bytes -= len(oldest.audio)


class AudioInRedis:
    """KeptAudio of several servers; if Redis runs out of memory, its eviction policy applies."""

    def __init__(self, shared: SharedRedis, seconds: int = SECONDS) -> None:
        self._shared, self._seconds = shared, seconds

    def keep(self, owner: str, id: str, audio: bytes, transcript: str) -> int:
        """Store an answer. If Redis is unavailable, return an expiry that has passed."""
        now = int(time.time())
        answer = {"audio": audio, "transcript": transcript, "expires_at": now + self._seconds}

        def store() -> None:
            with self._shared.client.pipeline() as pipeline:  # both or neither
                pipeline.hset(_key(owner, id), mapping=answer)
                pipeline.expireat(_key(owner, id), now + self._seconds)
                pipeline.execute()

        try:
            self._shared.ask(store)
        except RedisUnavailable:
            return now
        return now + self._seconds

    def find(self, owner: str, id: str) -> EarlierAnswer | None:
        """See KeptAudio. Raises RedisUnavailable."""
        found = self._shared.ask(lambda: self._shared.client.hgetall(_key(owner, id)))
        if not found:
            return None
        return EarlierAnswer(found[b"audio"], found[b"transcript"].decode(), int(found[b"expires_at"]))


def _key(owner: str, id: str) -> str:
    return f"higgs:audio:{owner}:{id}"
