"""Raw sound as it comes, without a container: 16-bit PCM at 24 kHz, or G.711 at 8 kHz → samples."""

from typing import cast

import av
import numpy as np
import soxr

from audio.frames import SAMPLE_RATE

G711_RATE = 8_000
G711_CODECS = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}


class RawDecoder:
    """Turns bytes of one format ("pcm", "pcmu" or "pcma") into mono int16 samples at 24 kHz, chunk by chunk.

    A sample may be cut between two chunks. Of G.711 the resampler holds some milliseconds back.
    """

    def __init__(self, format: str) -> None:
        self._codec = None
        self._held = b""
        if format in G711_CODECS:
            self._codec = cast(av.AudioCodecContext, av.CodecContext.create(G711_CODECS[format], "r"))
            self._codec.sample_rate, self._codec.layout = G711_RATE, "mono"
            self._resampler = soxr.ResampleStream(G711_RATE, SAMPLE_RATE, num_channels=1, dtype="int16")

    def push(self, data: bytes, *, last: bool = False) -> np.ndarray:
        """Samples (n,) of what has come; last: nothing else will."""
        if self._codec is None:
            data = self._held + data
            whole = len(data) // 2 * 2
            self._held = data[whole:]
            return np.frombuffer(data[:whole], "<i2")
        frames = self._codec.decode(av.Packet(data)) if data else []
        samples = [frame.to_ndarray().reshape(-1).astype(np.int16) for frame in frames]
        return self._resampler.resample_chunk(np.concatenate([np.empty(0, np.int16), *samples]), last=last)


def samples_of(data: bytes, format: str) -> np.ndarray:
    """All int16 samples (N,) at 24 kHz of raw sound."""
    return RawDecoder(format).push(data, last=True)
