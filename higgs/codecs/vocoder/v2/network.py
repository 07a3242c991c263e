"""The learned part of the second codec: features relative to a voice ↔ codes.

Codebooks, per frame of 40 ms: 0 is the reading, 1 the voice, 2 the prosody of the frame's four steps, 3 to 7
the envelope by residual quantisation. Codebook 0 is (symbol · 2 + word) · 5 + left: a phone or pause (see
higgs.prompts.pronunciation), whether its word is odd, and the number of its frames left. The encoder can't
recognise phones and sets it to UNREAD. The voice is constant: codebook 1 has in turn its pitch level and
range (frames 0, 3, 6 …), and the first and second code of its timbre, in disjoint ranges of codes.

Shapes: B batch, T frames, 4·T steps.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import nn

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME
from higgs.codecs.vocoder.bands import WIDE
from higgs.codecs.vocoder.network import LATENT, Codebook, Encoder, ResidualCodebooks
from higgs.codecs.vocoder.speaker import LEVEL_HIGH, LEVEL_LOW, RANGE_HIGH, RANGE_LOW, Speaker

BANDS = WIDE.count
READING_BOOK, VOICE_BOOK, PROSODY_BOOK, CONTENT_BOOKS = 0, 1, 2, slice(3, 8)
TIMBRES, CONTENT = 2, 5
VOICE_PARTS = 1 + TIMBRES
LEVELS, RANGES = 51, 5  # of pitch, in steps of 0.75 semitones and factors of 1.6
PITCHES, TIMBRE_CODES = 256, 384  # number of codes of each part of a voice; together 1024
SYMBOLS, WORDS, LEFT = 96, 2, 5
UNREAD = 1023
VOICE, PROSODY = 2 + BANDS, 2 * STEPS_PER_FRAME
WIDE_HIDDEN = 384
CONTEXT = 3
SILENCE = -8.0
OUT = BANDS + 2


def reading_code(symbol: ArrayLike, word: ArrayLike, left: ArrayLike) -> np.ndarray:
    """Return codebook 0's code for a symbol (0 to 95), its word's index and the number of its frames left.

    Each is a number, or an array of numbers of as many frames.
    """
    symbol, word = np.asarray(symbol, np.int64), np.asarray(word, np.int64)
    return (symbol * WORDS + word % WORDS) * LEFT + np.minimum(left, LEFT - 1)


def pitch_code(speaker: Speaker) -> int:
    """Return the code, 0 to 254, of a voice's pitch level and range."""
    level = (speaker.level - LEVEL_LOW) / (LEVEL_HIGH - LEVEL_LOW) * LEVELS
    spread = math.log(max(speaker.spread, 1e-3) / RANGE_LOW) / math.log(RANGE_HIGH / RANGE_LOW) * RANGES
    return min(max(int(level), 0), LEVELS - 1) * RANGES + min(max(int(spread), 0), RANGES - 1)


def pitch_of(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return level and spread, ln Hz, of pitch codes of any shape."""
    codes = codes.clamp(0, LEVELS * RANGES - 1)
    level = LEVEL_LOW + (codes // RANGES + 0.5) * (LEVEL_HIGH - LEVEL_LOW) / LEVELS
    return level, RANGE_LOW * (RANGE_HIGH / RANGE_LOW) ** ((codes % RANGES + 0.5) / RANGES)


def voice_row(voice: torch.Tensor, frames: int) -> torch.Tensor:
    """Return codebook 1 (frames,) of a voice (3,)."""
    return voice[torch.arange(frames) % VOICE_PARTS]


class Decoder(nn.Module):
    """Codebook 0, latents, prosody and voice of frames → features of their steps; 3 frames of context."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (LATENT, PROSODY, VOICE)
        self.latent, self.prosody, self.voice = (nn.Linear(size, WIDE_HIDDEN) for size in sizes)
        # The last row of both is for UNREAD.
        self.symbol, self.left = (nn.Embedding(count + 1, WIDE_HIDDEN) for count in (SYMBOLS, LEFT))
        for table in (self.symbol, self.left):
            nn.init.zeros_(table.weight)
        self.convolutions = nn.ModuleList(nn.Conv1d(WIDE_HIDDEN, WIDE_HIDDEN, 3) for _ in range(CONTEXT))
        self.mixers = nn.ModuleList(nn.Conv1d(WIDE_HIDDEN, WIDE_HIDDEN, 1) for _ in range(CONTEXT))
        self.out = nn.Linear(WIDE_HIDDEN, STEPS_PER_FRAME * OUT)
        self.projection = nn.Linear(LATENT, STEPS_PER_FRAME * BANDS)

    def forward(
        self, reading: torch.Tensor, latent: torch.Tensor, prosody: torch.Tensor, voice: torch.Tensor
    ) -> torch.Tensor:
        """Codebook 0 (B, T + 6) and rows (B, T + 6, ·) → (B, 4T, 82): envelope, pitch, voiced logit."""
        unread = reading >= SYMBOLS * WORDS * LEFT
        symbol = self.symbol((reading // (WORDS * LEFT)).masked_fill(unread, SYMBOLS))
        left = self.left((reading % LEFT).masked_fill(unread, LEFT))
        x = (symbol + left + self.latent(latent) + self.prosody(prosody) + self.voice(voice)).transpose(1, 2)
        for convolution, mixer in zip(self.convolutions, self.mixers, strict=True):
            x = x[..., 1:-1] + mixer(F.gelu(convolution(x)))
        out = self.out(x.transpose(1, 2)).reshape(len(latent), -1, OUT)
        direct = self.projection(latent[:, CONTEXT:-CONTEXT]).reshape(len(latent), -1, BANDS)
        return torch.cat([out[..., :BANDS] + direct, out[..., BANDS:]], dim=-1)


def prosody_vector(pitch: torch.Tensor, voiced: torch.Tensor) -> torch.Tensor:
    """Relative pitch (B, 4T) and voiced (B, 4T) → rows (B, T, 8) to quantise."""
    parts = torch.stack([pitch * (0.25 + 0.75 * voiced), 1.5 * voiced], -1)
    return parts.reshape(len(parts), -1, PROSODY)


class VocoderNetwork2(nn.Module):
    """Codebooks, encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.timbres = ResidualCodebooks(TIMBRES, BANDS, TIMBRE_CODES)
        self.prosodies = Codebook(PROSODY)
        self.contents = ResidualCodebooks(CONTENT, LATENT)
        self.encoder, self.decoder = Encoder(BANDS), Decoder()

    def voice_codes(self, speaker: Speaker) -> torch.Tensor:
        """Return a voice's codes (3,), in the order of codebook 1."""
        timbre = torch.as_tensor(speaker.timbre, dtype=torch.float32)
        first = PITCHES + TIMBRE_CODES * torch.arange(TIMBRES)
        return torch.cat([torch.tensor([pitch_code(speaker)]), self.timbres.encode(timbre)[0] + first])

    def voice_vector(self, voice_codes: torch.Tensor) -> torch.Tensor:
        """Codes of a voice (..., 3) → (..., 82): pitch level and spread, mean envelope."""
        level, spread = pitch_of(voice_codes[..., 0])
        first = PITCHES + TIMBRE_CODES * torch.arange(TIMBRES)
        codes = (voice_codes[..., 1:] - first).clamp(0, TIMBRE_CODES - 1)
        timbre = self.timbres.decode(codes.movedim(-1, 0))
        return torch.cat([(level[..., None] - 5) * 2, torch.log(spread)[..., None] + 2, timbre], dim=-1)

    def decode(self, codes: torch.Tensor, voices: torch.Tensor) -> torch.Tensor:
        """Codes (B, 8, T + 6) with three frames of context on each side → (B, 4T, 82); see Decoder.

        voices (B, T + 6, 3) has the voice's codes at each frame.
        """
        voice = self.voice_vector(voices)
        latent = self.contents.decode(codes[:, CONTENT_BOOKS].transpose(0, 1))
        inputs = (latent, self.prosodies.decode(codes[:, PROSODY_BOOK]), voice)
        dtype = self.decoder.out.weight.dtype
        return self.decoder(codes[:, READING_BOOK], *(part.to(dtype) for part in inputs))
