"""What a client received, and when."""

from dataclasses import dataclass


@dataclass
class Answer:
    """One request: its status, and times in seconds.

    Times are from sending to the first and last audio, of speech, and of stalled playback.
    """

    status: int = 200
    first: float = 0.0
    last: float = 0.0
    speech: float = 0.0
    starved: float = 0.0

    def hear(self, now: float, seconds: float) -> None:
        """Record `seconds` of speech that arrive at time `now`."""
        self.first = self.first or now
        self.starved += max(0.0, now - self.first - self.speech - self.starved)
        self.last, self.speech = now, self.speech + seconds
