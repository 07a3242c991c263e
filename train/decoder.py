"""Train the codec's decoder to use codebook 0, whose phones resolve what the envelope's codes leave unclear.

Encoder and codebooks stay fixed, so all codes keep their meaning. The clips are sentences whose phones start
on frame boundaries, as a language model writes them; some have UNREAD instead, as encoded recordings do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from higgs.codecs.vocoder.analysis import BANDS, STEPS_PER_FRAME
from higgs.codecs.vocoder.codec import encoder_inputs
from higgs.codecs.vocoder.network import CONTEXT, READING_BOOK, UNREAD, VOICE_BOOKS, VocoderNetwork
from train.codec import CROP_FRAMES, decode_loss, save
from train.examples import Examples, Spoken
from train.fitting import fit

MAX_SECONDS = 6.0  # seconds of a sentence
CLIPS, BATCH = 8000, 48
UNREAD_SHARE = 0.25  # of the crops: without their phones
CEPSTRUM = 20  # coefficients; intelligibility depends on the shape of every frame, whether loud or soft


@dataclass(frozen=True)
class Clip:
    """A sentence of T frames with the decoder's context on each side.

    Attributes:
        codes: (8, T + 6).
        features: of its steps; see decode_loss.
    """

    codes: torch.Tensor
    features: list[torch.Tensor]


def clips(network: VocoderNetwork, examples: Examples) -> Iterator[Clip]:
    """Yield sentences of pseudo-speakers, endlessly."""
    while True:
        for spoken in examples.encoded([examples.draft(MAX_SECONDS) for _ in range(16)]):
            if spoken.codes.shape[1] >= CROP_FRAMES:
                yield clip_of(network, spoken)


def clip_of(network: VocoderNetwork, spoken: Spoken) -> Clip:
    """Return a sentence for the decoder, with its first and last frame repeated beyond its ends."""
    voice = spoken.codes[VOICE_BOOKS, 0]
    features = encoder_inputs(spoken.clip, voice, network.voice_vector(voice)[-BANDS:])
    codes = F.pad(spoken.codes.float(), (CONTEXT, CONTEXT), mode="replicate").long()
    around = CONTEXT * STEPS_PER_FRAME
    padded = [F.pad(part, (*(0, 0) * (part.dim() - 1), around, around)) for part in features]
    return Clip(codes, padded)


def crops_of(pool: list[Clip], rng: np.random.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return a batch of random crops: codes (B, 8, CROP_FRAMES), and the features to decode to."""
    codes, rows = [], []
    for index in rng.integers(len(pool), size=BATCH):
        clip = pool[index]
        start = int(rng.integers(clip.codes.shape[1] - CROP_FRAMES + 1))
        chosen = clip.codes[:, start : start + CROP_FRAMES].clone()
        if rng.random() < UNREAD_SHARE:
            chosen[READING_BOOK] = UNREAD
        codes.append(chosen)
        steps = slice(start * STEPS_PER_FRAME, (start + CROP_FRAMES) * STEPS_PER_FRAME)
        rows.append([part[steps] for part in clip.features])
    return torch.stack(codes), [torch.stack(column) for column in zip(*rows, strict=True)]


def cepstral_loss(out: torch.Tensor, envelope: torch.Tensor) -> torch.Tensor:
    """Return the mean distance of the first cepstral coefficients and of their differences in time."""
    order, band = torch.arange(CEPSTRUM)[:, None], torch.arange(BANDS) + 0.5
    basis = torch.cos(torch.pi / BANDS * order * band) * (2 / BANDS) ** 0.5
    inner = slice(CONTEXT * STEPS_PER_FRAME, -CONTEXT * STEPS_PER_FRAME)
    error = (out[..., :BANDS] - envelope[:, inner]) @ basis.T
    return 0.15 * (error.abs().mean() + error.diff(dim=1).abs().mean())


def train(
    network: VocoderNetwork, source: Iterator[Clip], folder: Path, minutes: float, seed: int = 0
) -> None:
    """Train the decoder for some minutes, and save the codec's config.json and model.safetensors."""
    rng = np.random.default_rng(seed)
    pool = [next(source) for _ in range(CLIPS)]
    print(f"{len(pool)} clips", flush=True)
    decoder = network.decoder.float().requires_grad_()

    def losses() -> dict[str, torch.Tensor]:
        codes, features = crops_of(pool, rng)
        out = network.decode(codes)
        return decode_loss(out, features) | {"cepstrum": cepstral_loss(out, features[0])}

    fit(list(decoder.parameters()), losses, minutes, rate=6e-4, warm_up_steps=100)
    save(network, folder)
