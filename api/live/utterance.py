"""One utterance of a text that is being written: what has come of it, and when its next part is due."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from api.schemas.speech_stream import StreamConfig
from api.sockets import Channel
from api.speech_requests import Speaker
from audio.frames import SAMPLE_RATE
from higgs.speech import SpeechStream
from text.clauses import ClauseCutter

# Maximum characters that are spoken at once.
PART_CHARACTERS = 300
# While a player has this many seconds left, wait for whole sentences.
LEAD_SECONDS = 1.0


@dataclass
class Narrator:
    """A speaker as configured. last: what was spoken before, to go on from."""

    config: StreamConfig
    speaker: Speaker
    last: SpeechStream | None = None


class Utterance:
    """A text that ends at input.done, and is spoken in parts. Only the event loop's thread uses it.

    Attributes:
        narrator: speaks it.
        begun: whether it is being spoken, or about to.
        turn: the task that speaks it.
        parts: number of parts spoken so far.
        queued: whether a part had its place in the queue; the others don't queue again.
        ended_sentence: whether the last part ended a sentence.
    """

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator
        self.begun = self.done = self.queued = self.ended_sentence = False
        self.turn: asyncio.Task[None] | None = None
        self.parts = 0
        self._text, self._changed = ClauseCutter(), asyncio.Event()
        self._plays_until = 0.0  # when a player that began at once runs dry

    def __len__(self) -> int:
        """Number of characters that wait to be spoken."""
        return len(self._text)

    def push(self, text: str) -> None:
        """Append some more of the text."""
        self._text.push(text)
        self._changed.set()

    def flush(self) -> None:
        """Let all that has come be spoken."""
        self._text.flush()
        self._changed.set()

    def end(self) -> None:
        """Note that no more text will come."""
        self.done = True
        self._changed.set()

    async def next_part(self, channel: Channel) -> str | None:
        """Wait for a part that can be spoken; return None at the end of the utterance."""
        while (part := self._cut()) is None and not self.done:
            self._changed.clear()
            runs_dry = max(self._plays_until - LEAD_SECONDS - time.monotonic(), 0.0)
            with suppress(TimeoutError), channel.waiting_for_client():
                async with asyncio.timeout(runs_dry or None):
                    await self._changed.wait()
        return part

    def _cut(self) -> str | None:
        """Return the text to speak next, of what has come."""
        unit = self.narrator.config.split_granularity
        part = self._text.first("sentence") if unit == "sentence" else None
        if unit == "clause":
            part = self._text.sentences(PART_CHARACTERS)
            if part is None and self._plays_until - time.monotonic() < LEAD_SECONDS:
                part = self._text.first("clause")
        if part is None:
            part = self._text.rest() if self.done else self._text.due()
        return part

    def note_sound(self, samples: int) -> None:
        """Note that so many samples were spoken, and are played behind the others."""
        self._plays_until = max(self._plays_until, time.monotonic()) + samples / SAMPLE_RATE
