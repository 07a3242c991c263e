"""Streams that have lost their way: silence without end, and loops."""

from audio.frames import FRAME_RATE

MEMORY = 2 * FRAME_RATE  # frames; a loop of a longer period is not noticed
PATIENCE = 5 * FRAME_RATE  # frames without anything new until a stream counts as stuck


class StallDetector:
    """Watches codebook 0, which carries most of what is said: speech keeps bringing codes that were not
    there in the last two seconds, silence and loops do not."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._frame, self._new = 0, 0

    def note(self, code: int) -> None:
        """Take the code of the next frame."""
        self._frame += 1
        if self._frame - self._seen.get(code, -MEMORY) > MEMORY:
            self._new = self._frame
        self._seen[code] = self._frame

    @property
    def stalled(self) -> bool:
        """Nothing new for five seconds."""
        return self._frame - self._new >= PATIENCE
