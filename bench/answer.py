"""What the one who asked for speech got, and when."""

from dataclasses import dataclass


@dataclass
class Answer:
    """One request: its status; seconds from sending to the first sound and to the last, of speech, and that a
    player had nothing to play."""

    status: int = 200
    first: float = 0.0
    last: float = 0.0
    speech: float = 0.0
    starved: float = 0.0

    def hear(self, now: float, seconds: float) -> None:
        """Take in so many seconds of speech that arrive at `now`."""
        self.first = self.first or now
        self.starved += max(0.0, now - self.first - self.speech - self.starved)
        self.last, self.speech = now, self.speech + seconds
