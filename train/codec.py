"""Train the vocoder codec: k-means for voices and prosody, then the networks and residual codebooks.

The envelope's codebooks are updated by exponential moving averages (van den Oord et al., 2017), and the last
ones are dropped at random (Zeghidour et al., SoundStream, 2021), so that the first ones carry the words.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from higgs.codecs.vocoder.analysis import BANDS, STEPS_PER_FRAME, VOICINGS
from higgs.codecs.vocoder.codec import MODEL_TYPE, encoder_inputs, voice_codes
from higgs.codecs.vocoder.network import (
    CODES,
    CONTENT,
    CONTEXT,
    LATENT,
    UNREAD,
    Codebook,
    VocoderNetwork,
    prosody_vector,
)
from higgs.codecs.vocoder.speaker import speaker_of
from train.fitting import fit
from train.speech import Utterance
from train.voices import draw_warp, recorded, warp

CROP_FRAMES = 40
KEEP = (0.1, 0.15, 0.2, 0.55)  # how often 1, 2, 3, 4 codebooks of the envelope are kept
DECAY = 0.99


def k_means(rows: torch.Tensor, rounds: int = 12, count: int = CODES) -> torch.Tensor:
    """Return `count` centres (count, D) of rows (N, D)."""
    book = Codebook(rows.shape[1], count)
    book.vectors = rows[torch.randperm(len(rows))[:count]].clone()
    for _ in range(rounds):
        codes = torch.cat([book.encode(part) for part in rows.split(16384)])
        sums = torch.zeros_like(book.vectors).index_add_(0, codes, rows)
        counts = torch.bincount(codes, minlength=count)[:, None]
        fresh = rows[torch.randint(len(rows), (count,))]
        book.vectors = torch.where(counts > 0, sums / counts.clamp(min=1), fresh)
    return book.vectors


def fit_voices(network: VocoderNetwork, utterances: list[Utterance], rng: np.random.Generator) -> None:
    """Fit the codebook of mean envelopes to many pseudo-speakers."""
    picks = [utterances[i] for i in rng.integers(len(utterances), size=12_000)]
    speakers = [speaker_of(warp(u.features, draw_warp(u.teacher, rng))) for u in picks]
    rows = torch.from_numpy(np.stack([speaker.timbre for speaker in speakers])).float()
    network.timbres.vectors = k_means(rows)
    left = rows - network.timbres.decode(network.timbres.encode(rows))
    print(f"timbre: rms left {left.square().mean().sqrt():.3f} ln power", flush=True)


def crops(
    network: VocoderNetwork, utterances: list[Utterance], count: int, rng: np.random.Generator
) -> list[torch.Tensor]:
    """Return a batch of warped crops relative to their voices, as of encoder_inputs, and voice codes."""
    rows: list[list[torch.Tensor]] = []
    while len(rows) < count:
        utterance = utterances[rng.integers(len(utterances))]
        clip = warp(utterance.features, draw_warp(utterance.teacher, rng))
        clip = recorded(clip, rng) if rng.random() < 0.15 else clip
        steps = CROP_FRAMES * STEPS_PER_FRAME
        if len(clip.log_f0) < steps:
            continue
        voice = voice_codes(network, speaker_of(clip))
        parts = encoder_inputs(clip, voice, network.voice_vector(voice)[-BANDS:])
        start = rng.integers(len(clip.log_f0) // STEPS_PER_FRAME - CROP_FRAMES + 1) * STEPS_PER_FRAME
        rows.append([part[start : start + steps] for part in parts] + [voice])
    return [torch.stack(column) for column in zip(*rows, strict=True)]


class MovingCodebooks:
    """Residual codebooks, updated by exponential moving averages of the rows assigned to each code."""

    def __init__(self, books: list[Codebook]) -> None:
        self.books = books
        self.counts = [torch.ones(CODES) for _ in books]
        self.sums = [book.vectors.clone() for book in books]

    @torch.no_grad()
    def update(self, rows: torch.Tensor, codes: torch.Tensor) -> None:
        """Update the first codebooks with rows (N, D) and what they are coded as (keep, N).

        Unused codes are replaced by random rows.
        """
        for book, counts, sums, chosen in zip(self.books, self.counts, self.sums, codes, strict=False):
            decoded = book.decode(chosen)
            counts.mul_(DECAY).add_(torch.bincount(chosen, minlength=CODES).float(), alpha=1 - DECAY)
            sums.mul_(DECAY).index_add_(0, chosen, rows, alpha=1 - DECAY)
            dead = counts < 0.02
            if dead.any():
                sums[dead] = rows[torch.randint(len(rows), (int(dead.sum()),))]
                counts[dead] = 1.0
            book.vectors = sums / counts.clamp(min=1e-4)[:, None]
            rows = rows - decoded


def decode_loss(out: torch.Tensor, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the distances of decoded steps to the true ones, over frames with full context, by name."""
    inner = slice(CONTEXT * STEPS_PER_FRAME, -CONTEXT * STEPS_PER_FRAME)
    envelope, pitch, voiced, voicing = (part[:, inner] for part in batch[:4])
    # Silence and the valleys between formants are the least audible.
    weight = torch.where(envelope.mean(-1, keepdim=True) > -4, 1.0, 0.25) * (
        0.4 + 0.6 * torch.sigmoid(envelope + 2)
    )
    error = (out[..., :BANDS] - envelope) * weight
    slope = torch.diff(out[..., :BANDS], dim=1) - torch.diff(envelope, dim=1)
    return {
        "envelope": error.abs().mean(),
        "slope": 0.5 * (slope * weight[:, 1:]).abs().mean(),
        "pitch": 0.3 * ((out[..., BANDS] - pitch).abs() * voiced).mean(),
        "voiced": 0.2 * F.binary_cross_entropy_with_logits(out[..., BANDS + 1], voiced),
        "voicing": 0.3 * (out[..., -VOICINGS:] - voicing).abs().mean(),
    }


def train(utterances: list[Utterance], folder: Path, minutes: float, seed: int = 0) -> VocoderNetwork:
    """Train for some minutes on utterances, and save config.json and model.safetensors."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = VocoderNetwork()
    fit_voices(network, utterances, rng)
    first = crops(network, utterances, 1500, rng)
    network.prosodies.vectors = k_means(prosody_vector(*first[1:4]).flatten(0, 1))
    fit_projections(network, utterances, rng)
    start_books(network, utterances, rng)
    moving = MovingCodebooks(network.contents.books())

    def losses() -> dict[str, torch.Tensor]:
        batch = crops(network, utterances, 48, rng)
        voice = network.voice_vector(batch[4])
        latent = network.encoder(batch[0], batch[2], voice)
        rows = latent.detach().flatten(0, 1)
        keep = int(rng.choice(CONTENT, p=KEEP)) + 1
        codes, quantised = network.contents.encode(latent, keep)
        moving.update(rows, codes.flatten(1))
        commitment = 0.25 * F.mse_loss(latent, quantised.detach()) / rows.var()
        latent = latent + (quantised - latent).detach()
        prosody = network.prosodies.decode(network.prosodies.encode(prosody_vector(*batch[1:4])))
        unread = torch.full(latent.shape[:2], UNREAD)
        out = network.decoder(unread, latent, prosody, voice[:, None].expand(-1, CROP_FRAMES, -1))
        return decode_loss(out, batch) | {"commitment": commitment}

    fit(list(network.parameters()), losses, minutes, rate=1.2e-3, warm_up_steps=200)
    save(network, folder)
    return network


def fit_projections(network: VocoderNetwork, utterances: list[Utterance], rng: np.random.Generator) -> None:
    """Initialise the projections with the principal components of a frame's envelope."""
    batch = crops(network, utterances, 800, rng)
    rows = batch[0].unflatten(1, (-1, STEPS_PER_FRAME)).flatten(2).flatten(0, 1)
    mean = rows.mean(0)
    directions = torch.linalg.eigh(torch.cov(rows.T))[1][:, -LATENT:]
    encoder, decoder = network.encoder, network.decoder
    with torch.no_grad():
        encoder.projection.weight.copy_(directions.T)
        encoder.projection.bias.copy_(-mean @ directions)
        decoder.projection.weight.copy_(directions)
        decoder.projection.bias.copy_(mean)
        for layer in (encoder.last, decoder.out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def start_books(network: VocoderNetwork, utterances: list[Utterance], rng: np.random.Generator) -> None:
    """Initialise the residual codebooks by k-means on the latents."""
    with torch.no_grad():
        batch = crops(network, utterances, 600, rng)
        rows = network.encoder(batch[0], batch[2], network.voice_vector(batch[4])).flatten(0, 1)
        for book in network.contents.books():
            book.vectors = k_means(rows, rounds=6)
            rows = rows - book.decode(book.encode(rows))


def save(network: VocoderNetwork, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": MODEL_TYPE}, indent=2) + "\n")
    save_file(
        {name: part.contiguous() for name, part in network.state_dict().items()}, folder / "model.safetensors"
    )
