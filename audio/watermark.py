"""An inaudible mark in generated speech: spread-spectrum gains of ±1 dB, by filters without delay.

In each tile of 60 ms and 90 to 300 Hz, speech is made 1 dB louder or softer, by a fixed pattern of
pseudo-random signs that repeats every 2.88 s. The mark is a part of the speech: silence stays silent, and
what keeps the speech (a codec, a room) keeps the mark. Spread spectrum as of Cox, Kilian, Leighton, Shamoon
(1997), as gains in the log spectrum as of Kirovski and Malvar (2003). The gains of a tile are a minimum-phase
filter, by the folded cepstrum (Oppenheim and Schafer). audio/watermark_detection.py finds the mark.
"""

from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np

from audio.frames import SAMPLE_RATE

GAIN_DB = 1.0
TILE = 1_440  # samples
FADE = 720  # from one tile's gains to the next one's
PERIOD = 48  # tiles
BLOCK = 240  # samples filtered at once, always, so that streamed and whole speech are the same samples
TAPS = 660
TRANSFORM = 900  # BLOCK + TAPS
# Edges of bands in Hz, each 80 Hz + 3 % wide.
LOWEST, HIGHEST, WIDTH, WIDENING = 200.0, 7_600.0, 80.0, 0.03
SLOPE = 0.25  # half of what two bands share, in bands
KEY = 20_261_126  # public: the mark says that speech was made, and is no secret
CEPSTRUM = 4_096
TAPER = 64  # taps


@cache
def band_edges() -> np.ndarray:
    """Return the edges of the bands in Hz, (bands + 1,)."""
    edges = [LOWEST]
    while edges[-1] < HIGHEST:
        edges.append(edges[-1] * (1 + WIDENING) + WIDTH)
    return np.array(edges)


@cache
def signs() -> np.ndarray:
    """Return the pattern: ±1, (PERIOD, bands)."""
    bits = np.random.Generator(np.random.PCG64(KEY)).integers(0, 2, (PERIOD, len(band_edges()) - 1))
    return 2.0 * bits - 1.0


def band_weights(frequencies: np.ndarray) -> np.ndarray:
    """Return how far each frequency in Hz (n,) belongs to each band: (bands, n), 0 to 1."""
    edges = band_edges()
    place = np.interp(frequencies, edges, np.arange(len(edges)), left=-1, right=len(edges))
    bands = np.arange(len(edges) - 1)[:, None]
    into = np.clip((place - bands + SLOPE) / (2 * SLOPE), 0, 1)
    out_of = np.clip((bands + 1 + SLOPE - place) / (2 * SLOPE), 0, 1)
    return np.square(np.sin(np.pi / 2 * into) * np.sin(np.pi / 2 * out_of))


@cache
def _responses() -> np.ndarray:
    """Return the filter of each tile as a transform: complex (PERIOD, TRANSFORM // 2 + 1)."""
    frequencies = np.fft.rfftfreq(CEPSTRUM, 1 / SAMPLE_RATE)
    gains = GAIN_DB * np.log(10) / 20 * signs() @ band_weights(frequencies)
    cepstrum = np.fft.irfft(gains, CEPSTRUM)
    cepstrum[:, 1 : CEPSTRUM // 2] *= 2
    cepstrum[:, CEPSTRUM // 2 + 1 :] = 0
    taps = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), CEPSTRUM)[:, :TAPS]
    taps[:, -TAPER:] *= np.square(np.cos(np.pi / 2 * np.arange(TAPER) / TAPER))
    return np.fft.rfft(taps, TRANSFORM)


class Watermark:
    """Marks one stream of speech: `push` its samples, then `close`.

    What comes out is as long as what goes in. Less than BLOCK samples (10 ms) are held back, and none if the
    stream comes in whole frames of the codec.

    start: samples that the same listener heard before, whose pattern goes on.
    """

    def __init__(self, start: int = 0) -> None:
        self._responses = _responses()
        self._block = -(-start // BLOCK)  # number of the next one
        self._begun = self._block
        self._held = np.zeros(TAPS, np.float32)  # the samples before it, and those that are not enough for it

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take float32 samples (n,) at 24 kHz; return those that are marked by now."""
        held = np.concatenate([self._held, samples])
        count = (len(held) - TAPS) // BLOCK
        marked = np.empty(count * BLOCK, np.float32)
        for number in range(count):
            at = number * BLOCK
            marked[at : at + BLOCK] = self._filtered(held[at : at + TAPS + BLOCK])
        self._held = held[count * BLOCK :]
        return marked

    def close(self) -> np.ndarray:
        """Return the rest."""
        rest = len(self._held) - TAPS
        return self.push(np.zeros(-rest % BLOCK, np.float32))[:rest] if rest else self.push(self._held[:0])

    def _filtered(self, samples: np.ndarray) -> np.ndarray:
        """Mark the last BLOCK of TRANSFORM samples."""
        tile, within = divmod(self._block, TILE // BLOCK)
        fades = within < FADE // BLOCK and self._block - within > self._begun
        self._block += 1
        transform = np.fft.rfft(samples)
        marked = np.fft.irfft(transform * self._responses[tile % PERIOD], TRANSFORM)[TAPS:]
        if not fades:
            return marked
        before = np.fft.irfft(transform * self._responses[(tile - 1) % PERIOD], TRANSFORM)[TAPS:]
        share = _fade()[within]
        return share * marked + (1 - share) * before


@cache
def _fade() -> np.ndarray:
    """Return the share of a tile's own gains at its beginning: (blocks, BLOCK), 0 to 1."""
    rising = np.square(np.sin(np.pi / 2 * (np.arange(FADE) + 0.5) / FADE))
    return rising.reshape(-1, BLOCK)


def watermarked(chunks: Iterable[np.ndarray], start: int = 0) -> Iterator[np.ndarray]:
    """Mark a stream of samples (n,); joined, they don't depend on how it was cut. start: see Watermark."""
    mark = Watermark(start)
    for samples in chunks:
        yield mark.push(samples)
    yield mark.close()
