"""Train the second codec: k-means for timbres and prosody, then the networks and codebooks together.

As the first (train.codec), but the decoder uses codebook 0 from the start: three quarters of the crops are
aligned with their symbols, the others have UNREAD instead, like a recording.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME, Features
from higgs.codecs.vocoder.speaker import Speaker, loudness
from higgs.codecs.vocoder.v2.codec import MODEL_TYPE, relative_envelope, relative_pitch
from higgs.codecs.vocoder.v2.network import (
    BANDS,
    CONTENT,
    CONTEXT,
    LATENT,
    TIMBRE_CODES,
    UNREAD,
    VocoderNetwork2,
    pitch_of,
    prosody_vector,
)
from train.codec import MovingCodebooks, k_means
from train.v2.features import Utterance
from train.v2.speakers import draw_warp, even_times, read_frames, recorded, speaker, warp

CROP_FRAMES, BATCH = 40, 48
KEEP = (0.08, 0.1, 0.12, 0.15, 0.55)  # how often 1 to 5 codebooks of the envelope are kept
UNREAD_SHARE, RECORDED_SHARE = 0.25, 0.12
RATE, SAVE_SECONDS = 1.2e-3, 180
ENCODER_SHARE = 0.1  # of the rate: its latents mustn't move faster than the codebooks, which follow them
COMMITMENT = 1.0
HIBARI_SHARE = 0.25
# ln power relative to speech: what is quieter is heard less, what is as quiet as synthesis gates hardly.
QUIET, SILENT, SILENT_WEIGHT = -4.0, -6.0, 0.25
BURST, MAX_BURST = 0.5, 2.0  # weight of a step by how much louder than the last it is: plosives are words


@dataclass(frozen=True)
class Crop:
    """Some frames of a pseudo-speaker's clip: features, their mean ln power, the voice, codebook 0 (T,)."""

    features: Features
    loudness: float
    voice: Speaker
    reading: np.ndarray


def crop(of: Utterance, rng: np.random.Generator) -> Crop | None:
    """Return a warped crop, or None if the utterance is too short."""
    by = draw_warp(of, rng)
    voice, loud = speaker(of, by)
    if rng.random() < UNREAD_SHARE:
        times = even_times(of, by.tempo)
        reading = np.full(len(times) // STEPS_PER_FRAME, UNREAD)
    else:
        _, reading, times = read_frames(of, by.tempo)
    if len(reading) < CROP_FRAMES:
        return None
    start = int(rng.integers(len(reading) - CROP_FRAMES + 1))
    frames = slice(start, start + CROP_FRAMES)
    steps = slice(start * STEPS_PER_FRAME, (start + CROP_FRAMES) * STEPS_PER_FRAME)
    if rng.random() < RECORDED_SHARE:
        clip = recorded(warp(of, by, times), rng)
        rows = (clip.log_f0[steps], clip.voiced[steps], clip.voicing[steps], clip.envelope[steps])
        return Crop(Features(*rows), loudness(clip.envelope), voice, reading[frames])
    return Crop(warp(of, by, times[steps]), loud, voice, reading[frames])


def crops(
    network: VocoderNetwork2, utterances: list[Utterance], count: int, rng: np.random.Generator
) -> list[torch.Tensor]:
    """Return a batch of crops.

    Envelope, pitch and voiced relative to the voice, the voice's codes, and codebook 0.
    """
    found: list[Crop] = []
    while len(found) < count:
        drawn = crop(utterances[rng.integers(len(utterances))], rng)
        found += [drawn] if drawn else []
    codes = torch.stack([network.voice_codes(one.voice) for one in found])
    timbres = network.voice_vector(codes)[:, None, -BANDS:]
    pitch = (part[:, None] for part in pitch_of(codes[:, 0]))
    log_f0, voiced, envelope = (
        torch.from_numpy(np.stack([getattr(one.features, name) for one in found]))
        for name in ("log_f0", "voiced", "envelope")
    )
    loud = torch.tensor([one.loudness for one in found], dtype=torch.float32)[:, None, None]
    read = torch.from_numpy(np.stack([one.reading for one in found]))
    return [relative_envelope(envelope, loud, timbres), relative_pitch(log_f0, *pitch), voiced, codes, read]


def fit_timbres(network: VocoderNetwork2, utterances: list[Utterance], rng: np.random.Generator) -> None:
    """Fit both codebooks of mean envelopes to many pseudo-speakers."""
    picks = [utterances[i] for i in rng.integers(len(utterances), size=16_000)]
    rows = torch.from_numpy(np.stack([speaker(u, draw_warp(u, rng))[0].timbre for u in picks])).float()
    for book in network.timbres.books():
        book.vectors = k_means(rows, count=TIMBRE_CODES)
        rows = rows - book.decode(book.encode(rows))
        print(f"timbre: rms left {rows.square().mean().sqrt():.3f} ln power", flush=True)


def fit_projections(network: VocoderNetwork2, batch: list[torch.Tensor]) -> None:
    """Initialise the projections with the principal components of a frame's envelope."""
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
        rows = network.encoder(batch[0], batch[2], network.voice_vector(batch[3])).flatten(0, 1)
        for book in network.contents.books():
            book.vectors = k_means(rows, rounds=6)
            rows = rows - book.decode(book.encode(rows))


def decode_loss(out: torch.Tensor, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the distances of decoded steps to the true ones, over frames with full context, by name."""
    inner = slice(CONTEXT * STEPS_PER_FRAME, -CONTEXT * STEPS_PER_FRAME)
    envelope, pitch, voiced = (part[:, inner] for part in batch[:3])
    level = envelope.mean(-1, keepdim=True)
    heard = ((level - SILENT) / (QUIET - SILENT)).clamp(0, 1)
    rise = torch.diff(level, dim=1, prepend=level[:, :1]).clamp(0, MAX_BURST)
    weight = SILENT_WEIGHT + (1 - SILENT_WEIGHT) * heard * (1 + BURST * rise)
    weight = weight * (0.4 + 0.6 * torch.sigmoid(envelope + 2))
    error = (out[..., :BANDS] - envelope) * weight
    slope = torch.diff(out[..., :BANDS], dim=1) - torch.diff(envelope, dim=1)
    return {
        "envelope": error.abs().mean(),
        "slope": 0.5 * (slope * weight[:, 1:]).abs().mean(),
        "pitch": 0.3 * ((out[..., BANDS] - pitch).abs() * voiced).mean(),
        "voiced": 0.2 * F.binary_cross_entropy_with_logits(out[..., BANDS + 1], voiced),
    }


class CodecTraining:
    """The network, its moving codebooks, and the losses of a batch."""

    def __init__(self, network: VocoderNetwork2, utterances: list[Utterance], seed: int) -> None:
        self.network, self.utterances = network, utterances
        self.rng = np.random.default_rng(seed)
        self.moving = MovingCodebooks(network.contents.books())

    def losses(self) -> dict[str, torch.Tensor]:
        """Return the parts of the loss of a new batch; updates the codebooks."""
        network = self.network
        batch = crops(network, self.utterances, BATCH, self.rng)
        voice = network.voice_vector(batch[3])
        with torch.autocast("cpu", torch.bfloat16):
            latent = network.encoder(batch[0], batch[2], voice)
        latent = latent.float()
        rows = latent.detach().flatten(0, 1)
        keep = int(self.rng.choice(CONTENT, p=KEEP)) + 1
        codes, quantised = network.contents.encode(latent.detach(), keep)
        self.moving.update(rows, codes.flatten(1))
        commitment = COMMITMENT * F.mse_loss(latent, quantised) / rows.var()
        latent = latent + (quantised - latent).detach()
        prosody = network.prosodies.decode(network.prosodies.encode(prosody_vector(batch[1], batch[2])))
        with torch.autocast("cpu", torch.bfloat16):
            out = network.decoder(batch[4], latent, prosody, voice[:, None].expand(-1, CROP_FRAMES, -1))
        return decode_loss(out.float(), batch) | {"commitment": commitment}

    def run(self, minutes: float, state: Path, folder: Path) -> None:
        """Train for some minutes, including those of earlier runs; state and network are saved often."""
        parameters = list(self.network.parameters())
        groups: list[dict] = [
            {"params": [*self.network.decoder.parameters()], "share": 1.0},
            {"params": [*self.network.encoder.parameters()], "share": ENCODER_SHARE},
        ]
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        step, spent, means = self._load(state, optimiser)
        begun, saved = time.monotonic() - 60 * spent, time.monotonic()
        while (progress := (time.monotonic() - begun) / 60 / minutes) < 1:
            for group in optimiser.param_groups:
                group["lr"] = (
                    RATE * group["share"] * min(1, (step + 1) / 200) * max(0.03, np.cos(progress * np.pi / 2))
                )
            parts = self.losses()
            optimiser.zero_grad()
            torch.stack(list(parts.values())).sum().backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            step += 1
            values = {name: float(part.detach()) for name, part in parts.items()}
            means = {n: 0.98 * means.get(n, value) + 0.02 * value for n, value in values.items()}
            if step % 50 == 0:
                told = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                print(f"codec {60 * progress * minutes:.0f} s, step {step}: {told}", flush=True)
            if time.monotonic() - saved > SAVE_SECONDS:
                self._save(state, folder, optimiser, (step, (time.monotonic() - begun) / 60, means))
                saved = time.monotonic()
        self._save(state, folder, optimiser, (step, minutes, means))

    def _save(
        self, state: Path, folder: Path, optimiser: torch.optim.Optimizer, at: tuple[int, float, dict]
    ) -> None:
        partial = state.with_suffix(".partial")
        moving = (self.moving.counts, self.moving.sums)
        held = {"network": self.network.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save(held | {"moving": moving, "at": at}, partial)
        partial.replace(state)
        save(self.network, folder)

    def _load(self, state: Path, optimiser: torch.optim.Optimizer) -> tuple[int, float, dict]:
        if not state.exists():
            return 0, 0.0, {}
        held = torch.load(state)
        self.network.load_state_dict(held["network"])
        optimiser.load_state_dict(held["optimiser"])
        self.moving.counts, self.moving.sums = held["moving"]
        self.rng = np.random.default_rng(held["at"][0])
        return held["at"]


def balanced(utterances: list[Utterance]) -> list[Utterance]:
    """Leave out so much of hibari, one voice with more text than all others, that its share is small."""
    others = [u for u in utterances if not u.style.startswith("hibari")]
    hibari = [u for u in utterances if u.style.startswith("hibari")]
    count = round(len(others) * HIBARI_SHARE / (1 - HIBARI_SHARE))
    return others + hibari[:: max(1, len(hibari) // max(1, count))] if others else hibari


def begun(utterances: list[Utterance], seed: int = 0) -> VocoderNetwork2:
    """Return a network with fitted codebooks and projections, before any training step."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = VocoderNetwork2()
    fit_timbres(network, utterances, rng)
    first = crops(network, utterances, 1200, rng)
    network.prosodies.vectors = k_means(prosody_vector(first[1], first[2]).flatten(0, 1))
    fit_projections(network, first)
    return network


def save(network: VocoderNetwork2, folder: Path) -> None:
    """Write config.json and model.safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": MODEL_TYPE}, indent=2) + "\n")
    state = {name: part.float().contiguous() for name, part in network.state_dict().items()}
    partial = folder / "model.partial"
    save_file(state, partial)
    partial.replace(folder / "model.safetensors")
