"""input_audio_buffer: sound that a client appends, until the client or the turn detection commits it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from api.live.conversation import new_id
from api.schemas.realtime import InputConfig
from audio.decode import decode_base64_audio
from audio.frames import SAMPLE_RATE
from audio.raw import RawDecoder
from audio.turn_detection import TurnDetector
from errors import InvalidRequest, PayloadTooLarge

MAX_SECONDS = 120.0
MAX_APPENDED_BYTES = 15 * 2**20  # OpenAI's own limit
MIN_COMMIT_SECONDS = 0.1
SAMPLE_BYTES = 2


@dataclass(frozen=True)
class TurnEdge:
    """Speech started or stopped, in milliseconds of the session. sound: the whole turn, when it stops."""

    kind: str
    item_id: str
    milliseconds: int
    sound: np.ndarray | None = None


class InputBuffer:
    """Sound that is not committed yet; with turn detection, sound that may be part of a turn."""

    def __init__(self, config: InputConfig) -> None:
        self._held = bytearray()  # int16 at 24 kHz
        self._dropped = 0  # samples before them, since the session began
        self._begun: int | None = None  # sample at which the present turn begins
        self._item_id = new_id("item")
        self.configure(config)

    def configure(self, config: InputConfig) -> None:
        """Set the format of the sound to come, and the turn detection."""
        self._decoder, detection = RawDecoder(config.format.name), config.turn_detection
        self._detector = None
        self._origin = self._end  # the sample that the detector counts from
        if detection is not None:
            self._detector = TurnDetector(detection.threshold, detection.silence_duration_ms / 1000)
            self._padding = detection.prefix_padding_ms * SAMPLE_RATE // 1000

    @property
    def _samples(self) -> int:
        return len(self._held) // SAMPLE_BYTES

    @property
    def _end(self) -> int:
        return self._dropped + self._samples

    def append(self, audio: str) -> Iterator[TurnEdge]:
        """Append base64 of raw sound; return the edges of turns that were detected in it.

        Raises:
            InvalidAudio: not base64.
            PayloadTooLarge: the buffer is full.
        """
        samples = self._decoder.push(decode_base64_audio(audio, max_bytes=MAX_APPENDED_BYTES))
        if self._begun is not None and self._samples + len(samples) > MAX_SECONDS * SAMPLE_RATE:
            yield from self._split()
        if self._samples + len(samples) > MAX_SECONDS * SAMPLE_RATE:
            message = f"The buffer holds at most {MAX_SECONDS:g} s; commit or clear it first."
            raise PayloadTooLarge(message, code="input_audio_buffer_full", param="audio")
        self._held += samples.tobytes()
        if self._detector is not None:
            yield from self._edges(self._detector, samples)
            if self._begun is None:
                self._drop_until(self._end - self._padding - SAMPLE_RATE)

    def _edges(self, detector: TurnDetector, samples: np.ndarray) -> Iterator[TurnEdge]:
        for edge in detector.push(samples.astype(np.float32) / 32_768):
            at = self._origin + edge.sample
            if edge.kind == "started":
                self._begun = max(at - self._padding, self._dropped)
                yield TurnEdge("started", self._item_id, self._milliseconds(self._begun))
            elif self._begun is not None:
                self._drop_until(self._begun)
                sound = self._first(at - self._dropped)
                self._drop_until(at)
                yield TurnEdge("stopped", self.new_item(), self._milliseconds(at), sound)

    def _split(self) -> Iterator[TurnEdge]:
        """End a turn that fills the buffer, and start another."""
        end, sound = self._end, self._first(self._samples)
        yield TurnEdge("stopped", self.new_item(), self._milliseconds(end), sound)
        self._drop_until(end)
        self._begun = end
        yield TurnEdge("started", self._item_id, self._milliseconds(end))

    def new_item(self) -> str:
        """Return the id of the item that is committed now, and choose the next one."""
        self._begun, id, self._item_id = None, self._item_id, new_id("item")
        return id

    def take(self) -> np.ndarray:
        """Remove and return the sound, int16 at 24 kHz. Raises InvalidRequest if there is too little."""
        if self._samples < MIN_COMMIT_SECONDS * SAMPLE_RATE:
            message = (
                f"The buffer holds {1000 * self._samples // SAMPLE_RATE} ms; append 100 ms or more first."
            )
            raise InvalidRequest(message, code="input_audio_buffer_commit_empty")
        sound = self._first(self._samples)
        self.clear()
        return sound

    def clear(self) -> None:
        self._drop_until(self._end)
        self._begun = None

    def _drop_until(self, sample: int) -> None:
        count = min(max(sample - self._dropped, 0), self._samples)
        self._dropped += count
        del self._held[: count * SAMPLE_BYTES]

    def _first(self, samples: int) -> np.ndarray:
        """Return the first samples as an array of their own."""
        return np.frombuffer(self._held[: samples * SAMPLE_BYTES], np.int16)

    @staticmethod
    def _milliseconds(sample: int) -> int:
        return sample * 1000 // SAMPLE_RATE
