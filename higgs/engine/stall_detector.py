"""Detects streams that are stuck: endless silence, and loops."""

from audio.frames import FRAME_RATE

MEMORY = 2 * FRAME_RATE  # frames; loops of a longer period are not detected
PATIENCE = 5 * FRAME_RATE  # frames without a new code after which a stream is stuck


class StallDetector:
    """Watches codebook 0, which has most of the content.

    Speech keeps producing codes that did not occur in the last two seconds; silence and loops don't.
    """

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._frame, self._new = 0, 0

    def note(self, code: int) -> None:
        """Add the code of the next frame."""
        self._frame += 1
        if self._frame - self._seen.get(code, -MEMORY) > MEMORY:
            self._new = self._frame
        self._seen[code] = self._frame

    @property
    def stalled(self) -> bool:
        """Whether there was no new code for five seconds."""
        return self._frame - self._new >= PATIENCE
