"""Encode pseudo-speakers' clips: codes, texts and the letters of each frame, ready for the language model.

Shards go to work/coded. They are small (about a megabyte per hour), so that training needs neither features
nor codec, and can be packed for a machine with a GPU (`train.v2.run pack`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from higgs.codecs.vocoder.analysis import Features
from higgs.codecs.vocoder.speaker import speaker_of
from higgs.codecs.vocoder.v2.codec import encode_clips
from higgs.codecs.vocoder.v2.network import CONTENT_BOOKS, PROSODY_BOOK, VocoderNetwork2
from higgs.prompts.pronunciation import Pronunciations
from train.v2 import features
from train.v2.features import Utterance
from train.v2.speakers import Warp, draw_warp, even_times, read_frames, recorded, speaker, warp

SPEAKERS, CLIPS, RECORDED = 160, 5, 2  # of a shard; clips of each that are aligned, and recordings
SPELLED_SHARE = 0.12  # of the words that the table pronounces: read by their letters all the same
HIBARI_SHARE = 0.5  # of the speakers; the others are from Kokoro, whose texts are fewer
HELD_OUT, HELD_OUT_SPEAKERS = "held_out.npz", 24
REACH, SPELLED_REACH = 0.4, 1.2  # characters on either side that may be what a frame says
ROWS = [
    0,
    PROSODY_BOOK,
    *range(CONTENT_BOOKS.start, CONTENT_BOOKS.stop),
]  # codebooks that change within a clip


@dataclass(frozen=True, eq=False)
class Coded:
    """An encoded clip.

    Attributes:
        speaker: its index.
        codes: (T, 7) of reading, prosody and content; recordings are unread.
        voice: (3,).
        text: the model's text.
        spans: (T, 2), the first and last character that each frame is read from.
        recorded: whether it is degraded like a recording.
    """

    speaker: int
    codes: np.ndarray
    voice: np.ndarray
    text: str
    spans: np.ndarray
    recorded: bool


def read_text(of: Utterance, table: Pronunciations, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Return the model's text of an utterance, and its first and last character (N, 2) for each symbol."""
    text, starts, reaches = "", [], []
    for part in table.parts(of.text):
        spelled = not part.pronounced or rng.random() < SPELLED_SHARE
        said = of.text[part.start : part.stop] if spelled else part.text
        length = part.stop - part.start
        starts += [len(text) + i * len(said) / length for i in range(length)]
        reaches += [SPELLED_REACH if spelled else REACH] * length
        text += said
    edges = np.array([*starts, len(text)])
    first, last = of.timing.spans[of.timing.words].T
    low, high = edges[first], edges[np.minimum(last, len(edges) - 1)]
    place, count = of.timing.places.T
    centre = low + (place + 0.5) / count * (high - low) - 0.5
    reach = np.array(reaches)[first]
    spans = np.stack([np.round(centre - reach), np.round(centre + reach)], axis=1)
    return text, spans.clip(0, len(text) - 1).astype(np.int64)


def aligned(of: Utterance, by: Warp) -> tuple[Features, np.ndarray, np.ndarray]:
    """Return a clip with symbols on frames: features, codebook 0 (T,), each frame's symbol (T,) by index."""
    numbers, reading, times = read_frames(of, by.tempo)
    return warp(of, by, times), reading, numbers


class Encoder:
    """Draws pseudo-speakers and encodes their clips."""

    def __init__(self, network: VocoderNetwork2, utterances: list[Utterance], table: Pronunciations) -> None:
        self._network, self._table = network, table
        styles: dict[str, list[Utterance]] = {}
        for utterance in utterances:
            styles.setdefault(utterance.style, []).append(utterance)
        self._styles = {style: found for style, found in styles.items() if len(found) > 1}

    def speaker(self, number: int, rng: np.random.Generator) -> list[Coded]:
        """Return the clips of one pseudo-speaker."""
        names = sorted(self._styles)
        weights = np.array([len(self._styles[n]) * (0.0 if n.startswith("hibari") else 1.0) for n in names])
        weights = weights / max(weights.sum(), 1) * (1 - HIBARI_SHARE)
        weights += [HIBARI_SHARE * n.startswith("hibari") for n in names]
        found = self._styles[names[rng.choice(len(names), p=weights / weights.sum())]]
        chosen = [found[i] for i in rng.permutation(len(found))[: CLIPS + RECORDED]]
        by = draw_warp(chosen[0], rng)
        voice = self._network.voice_codes(speaker(chosen[0], by)[0])
        clips = []
        texts = [read_text(of, self._table, rng) for of in chosen]
        read = [aligned(of, by) for of in chosen[:CLIPS]]
        codes = self._encoded([part[0] for part in read], [voice] * len(read))
        for (_, reading, numbers), rows, (text, spans) in zip(read, codes, texts, strict=False):
            rows[:, 0] = reading
            clips.append(Coded(number, rows, voice.numpy(), text, spans[numbers], False))
        for of, (text, _) in list(zip(chosen, texts, strict=True))[-RECORDED:]:
            clip = recorded(warp(of, by, even_times(of, by.tempo)), rng)
            own = self._network.voice_codes(speaker_of(clip))
            (rows,) = self._encoded([clip], [own])
            clips.append(Coded(number, rows, own.numpy(), text, np.zeros((len(rows), 2), np.int64), True))
        return clips

    def _encoded(self, clips: list[Features], voices: list[torch.Tensor]) -> list[np.ndarray]:
        """Return the codes (T, 7) of clips, with codebook 0 unread."""
        found = encode_clips(self._network, clips, torch.stack(voices))
        return [codes[ROWS].T.numpy().copy() for codes in found]


def save(path: Path, clips: list[Coded]) -> None:
    """Write a compressed shard: each codebook by itself, in bytes, which is a quarter smaller."""
    spans = np.concatenate([clip.spans for clip in clips])
    notes = [[c.speaker, len(c.codes), c.text, c.recorded, c.voice.tolist()] for c in clips]
    codes = np.ascontiguousarray(np.concatenate([clip.codes for clip in clips]).T.astype(np.uint16))
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        notes=np.array(json.dumps(notes, ensure_ascii=False, separators=(",", ":"))),
        low=(codes & 255).astype(np.uint8),
        high=(codes >> 8).astype(np.uint8),
        first=spans[:, 0].astype(np.uint16),
        reach=(spans[:, 1] - spans[:, 0]).astype(np.uint8),
    )
    partial.replace(path)


def load(path: Path) -> list[Coded]:
    """Read what `save` wrote; speakers are numbered within the shard."""
    with np.load(path) as shard:
        codes = np.ascontiguousarray((shard["low"] + 256 * shard["high"].astype(np.uint16)).T)
        first, reach = shard["first"].astype(np.int64), shard["reach"]
        notes = json.loads(str(shard["notes"]))
    found, at = [], 0
    for number, length, text, as_recorded, voice in notes:
        kept = slice(at, at + length)
        at += length
        spans = np.stack([first[kept], first[kept] + reach[kept]], axis=1)
        found.append(Coded(number, codes[kept], np.array(voice), text, spans, as_recorded))
    return found


def make_held_out(work: Path, network: VocoderNetwork2, table: Pronunciations) -> None:
    """Encode the voices that are never trained on, to see what is learned by heart."""
    path = work / "coded" / HELD_OUT
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(network, features.load(work / "features" / "0000.npz"), table)
    rng = np.random.default_rng(0)
    save(path, [clip for speaker in range(HELD_OUT_SPEAKERS) for clip in encoder.speaker(speaker, rng)])


def make(
    work: Path,
    network: VocoderNetwork2,
    utterances: list[Utterance],
    table: Pronunciations,
    numbers: Iterable[int],
) -> None:
    """Encode the shards of some numbers into work/coded; existing ones are kept."""
    folder = work / "coded"
    folder.mkdir(parents=True, exist_ok=True)
    encoder = Encoder(network, utterances, table)
    for number in numbers:
        path = folder / f"{number:04d}.npz"
        if path.exists():
            continue
        rng = np.random.default_rng(number)
        clips = [clip for speaker in range(SPEAKERS) for clip in encoder.speaker(speaker, rng)]
        save(path, clips)
        hours = sum(len(clip.codes) for clip in clips) / 90_000
        print(f"{path}: {hours:.2f} h, {path.stat().st_size / 1e6:.1f} MB", flush=True)
