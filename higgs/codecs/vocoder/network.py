"""The learned part of the codec: features relative to a voice ↔ codes.

Codebooks, per frame of 40 ms: 0 is the reading, 1 and 2 the voice (see speaker), 3 the prosody of the frame's
four steps, 4 to 7 the envelope by residual quantisation. In codebook 0 the language model writes the phone
that it speaks, the class of the letter that it reads, and how many frames of the phone are left: (phone · 5 +
letter) · 5 + left, see train.reading. The decoder takes from it what the sampled envelope codes leave
unclear. The encoder can't recognise phones and sets codebook 0 to UNREAD.

Shapes: B batch, T frames, 4·T steps.
"""

import json
from pathlib import Path
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from errors import StartError
from higgs.codecs.quantizer import nearest, residual_decode, residual_encode
from higgs.codecs.vocoder.analysis import BANDS, STEPS_PER_FRAME, VOICINGS
from higgs.codecs.vocoder.speaker import pitch_of_codes

VOICE, PROSODY, CONTENT = 66, 24, 4
READING_BOOK, VOICE_BOOKS, PROSODY_BOOK, CONTENT_BOOKS = 0, slice(1, 3), 3, slice(4, 8)
UNREAD = 1023
SOUND_CLASSES, LETTER_CLASSES, LEFT_CLASSES = 40, 5, 5  # of codebook 0
LATENT, HIDDEN, WIDE = 64, 192, 384
CODES = 1024
CONTEXT = 3
SILENCE = -8.0
OUT = BANDS + 2 + VOICINGS

Network = TypeVar("Network", bound=nn.Module)


class Codebook(nn.Module):
    """`codes` vectors of `size` dimensions."""

    vectors: torch.Tensor

    def __init__(self, size: int, codes: int = CODES) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.randn(codes, size))

    def encode(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (..., D) → codes (...)."""
        return nearest(rows, self.vectors)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (...) → rows (..., D)."""
        return F.embedding(codes, self.vectors)


class ResidualCodebooks(nn.ModuleList):
    """Codebooks, each of which quantises the residual of the previous ones."""

    def __init__(self, count: int, size: int, codes: int = CODES) -> None:
        super().__init__(Codebook(size, codes) for _ in range(count))

    def books(self) -> list[Codebook]:
        return [cast(Codebook, book) for book in self]

    def encode(self, rows: torch.Tensor, keep: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows (..., D) → codes (keep, ...) of the first `keep` books, and the rows that they decode to."""
        codes, total = residual_encode(self.books()[:keep], rows)
        return torch.stack(codes), total

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (books, ...) → rows (..., D)."""
        return residual_decode(self.books(), codes)


class Encoder(nn.Module):
    """Envelope relative to the voice (B, 4T, bands) → latents (B, T, 64): a projection plus convolutions."""

    def __init__(self, bands: int = BANDS) -> None:
        super().__init__()
        self.voice = nn.Linear(2 + bands, HIDDEN)
        self.first = nn.Conv1d(bands + 1, HIDDEN, 3, padding=1)
        self.halve = nn.Conv1d(HIDDEN, HIDDEN, 4, stride=2, padding=1)
        self.quarter = nn.Conv1d(HIDDEN, 2 * HIDDEN, 4, stride=2, padding=1)
        self.last = nn.Linear(2 * HIDDEN, LATENT)
        self.projection = nn.Linear(STEPS_PER_FRAME * bands, LATENT)

    def forward(self, envelope: torch.Tensor, voiced: torch.Tensor, voice: torch.Tensor) -> torch.Tensor:
        x = torch.cat([envelope / 3, voiced[..., None]], dim=-1).transpose(1, 2)
        x = F.gelu(self.first(x) + self.voice(voice)[..., None])
        x = F.gelu(self.quarter(F.gelu(self.halve(x))))
        frames = envelope.unflatten(1, (-1, STEPS_PER_FRAME)).flatten(2)
        return self.projection(frames) + self.last(x.transpose(1, 2))


class Decoder(nn.Module):
    """Codebook 0, latents, prosody and voice of frames → features of their steps; 3 frames of context."""

    def __init__(self) -> None:
        super().__init__()
        self.latent, self.prosody, self.voice = (nn.Linear(size, WIDE) for size in (LATENT, PROSODY, VOICE))
        # The last row of both is for UNREAD.
        self.phone, self.left = (nn.Embedding(count + 1, WIDE) for count in (SOUND_CLASSES, LEFT_CLASSES))
        for table in (self.phone, self.left):
            nn.init.zeros_(table.weight)
        self.convolutions = nn.ModuleList(nn.Conv1d(WIDE, WIDE, 3) for _ in range(CONTEXT))
        self.mixers = nn.ModuleList(nn.Conv1d(WIDE, WIDE, 1) for _ in range(CONTEXT))
        self.out = nn.Linear(WIDE, STEPS_PER_FRAME * OUT)
        self.projection = nn.Linear(LATENT, STEPS_PER_FRAME * BANDS)

    def forward(
        self, reading: torch.Tensor, latent: torch.Tensor, prosody: torch.Tensor, voice: torch.Tensor
    ) -> torch.Tensor:
        """Codebook 0 (B, T + 6) and rows (B, T + 6, ·) → (B, 4T, 70).

        The output is envelope, pitch, voiced logit and voicing.
        """
        unread = reading >= SOUND_CLASSES * LETTER_CLASSES * LEFT_CLASSES
        phones, left = reading // (LETTER_CLASSES * LEFT_CLASSES), reading % LEFT_CLASSES
        phone = self.phone(phones.masked_fill(unread, SOUND_CLASSES))
        left = self.left(left.masked_fill(unread, LEFT_CLASSES))
        x = (phone + left + self.latent(latent) + self.prosody(prosody) + self.voice(voice)).transpose(1, 2)
        for convolution, mixer in zip(self.convolutions, self.mixers, strict=True):
            x = x[..., 1:-1] + mixer(F.gelu(convolution(x)))
        out = self.out(x.transpose(1, 2)).reshape(len(latent), -1, OUT)
        direct = self.projection(latent[:, CONTEXT:-CONTEXT]).reshape(len(latent), -1, BANDS)
        return torch.cat([out[..., :BANDS] + direct, out[..., BANDS:]], dim=-1)


def prosody_vector(pitch: torch.Tensor, voiced: torch.Tensor, voicing: torch.Tensor) -> torch.Tensor:
    """Relative pitch (B, 4T), voiced (B, 4T) and voicing (B, 4T, 4) → rows (B, T, 24) to quantise."""
    parts = torch.cat(
        [(pitch * (0.25 + 0.75 * voiced))[..., None], 1.5 * voiced[..., None], 0.7 * voicing], -1
    )
    return parts.reshape(len(parts), -1, PROSODY)


class VocoderNetwork(nn.Module):
    """Codebooks, encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.timbres = Codebook(BANDS)
        self.prosodies = Codebook(PROSODY)
        self.contents = ResidualCodebooks(CONTENT, LATENT)
        self.encoder, self.decoder = Encoder(), Decoder()

    def voice_vector(self, voice_codes: torch.Tensor) -> torch.Tensor:
        """Codes of codebooks 1 and 2 (..., 2) → (..., 66): pitch level and spread, mean envelope.

        All are about unit scale.
        """
        level, spread = (
            torch.as_tensor(part, dtype=torch.float32) for part in pitch_of_codes(voice_codes[..., 0].numpy())
        )
        timbre = self.timbres.decode(voice_codes[..., 1])
        return torch.cat([(level[..., None] - 5) * 2, torch.log(spread)[..., None] + 2, timbre], dim=-1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (B, 8, T + 6) with three frames of context on each side → (B, 4T, 70), see Decoder."""
        voice = self.voice_vector(codes[:, VOICE_BOOKS].transpose(1, 2))
        latent = self.contents.decode(codes[:, CONTENT_BOOKS].transpose(0, 1))
        inputs = (latent, self.prosodies.decode(codes[:, PROSODY_BOOK]), voice)
        dtype = self.decoder.out.weight.dtype
        return self.decoder(codes[:, READING_BOOK], *(part.to(dtype) for part in inputs))


def load_network(network: Network, folder: Path, model_type: str) -> Network:
    """Load weights into a network and return it.

    Args:
        network: a network of any weights.
        folder: has config.json and model.safetensors.
        model_type: what config.json must say.

    Raises:
        StartError: the files can't be read, or don't match the network.
    """
    config = json.loads((folder / "config.json").read_text())
    if config.get("model_type") != model_type:
        raise StartError(
            f"{folder}/config.json has model_type {config.get('model_type')!r}, not {model_type!r}."
        )
    try:
        network.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError) as error:
        raise StartError(f"Can't load the codec in {folder}: {error}. Download the folder again.") from error
    return network
