"""The second codec: 24 kHz waveform → codes (8, T) → waveform, whole or streaming."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME, Features, analyse
from higgs.codecs.vocoder.bands import WIDE
from higgs.codecs.vocoder.network import load_network
from higgs.codecs.vocoder.speaker import absolute, loudness, speaker_of
from higgs.codecs.vocoder.synthesis import Synthesis
from higgs.codecs.vocoder.v2.network import (
    BANDS,
    CONTEXT,
    SILENCE,
    UNREAD,
    VOICE_BOOK,
    VOICE_PARTS,
    VocoderNetwork2,
    pitch_of,
    prosody_vector,
    voice_row,
)

MODEL_TYPE = "higgs_vocoder_codec_2"
MARGIN = 16  # steps of silence around a clip, so that its edges are coded the same alone and in a batch
UNKNOWN = -1
MIDDLING_VOICE = (120, 256, 640)  # for a stream that ends before all voice codes are known
MAX_PITCH_DEVIATION = 3.5  # in units of the voice's spread


def encoder_inputs(features: Features, voice: torch.Tensor, timbre: torch.Tensor) -> list[torch.Tensor]:
    """Return envelope (F, 80), pitch (F,) and voiced (F,) of a clip relative to its voice codes (3,)."""
    pitch = (float(value) for value in pitch_of(voice[0]))
    log_f0, voiced, envelope = map(torch.from_numpy, (features.log_f0, features.voiced, features.envelope))
    level = loudness(features.envelope)
    return [relative_envelope(envelope, level, timbre), relative_pitch(log_f0, *pitch), voiced]


def relative_envelope(
    envelope: torch.Tensor, level: float | torch.Tensor, timbre: torch.Tensor
) -> torch.Tensor:
    """Return envelopes (..., 80) relative to the mean ln power of their clips and to timbres."""
    return (envelope - level - timbre).clamp(min=SILENCE)


def relative_pitch(
    log_f0: torch.Tensor, level: float | torch.Tensor, spread: float | torch.Tensor
) -> torch.Tensor:
    """Return ln pitch relative to the level and the spread of voices."""
    return ((log_f0 - level) / spread).clamp(-MAX_PITCH_DEVIATION, MAX_PITCH_DEVIATION)


@torch.no_grad()
def encode_clips(network: VocoderNetwork2, clips: list[Features], voices: torch.Tensor) -> list[torch.Tensor]:
    """Encode clips, each relative to its row of voices (B, 3), as one batch; return codes (8, T) of each."""
    vectors = network.voice_vector(voices)
    relative = [encoder_inputs(*clip) for clip in zip(clips, voices, vectors[:, -BANDS:], strict=True)]
    lengths = [len(parts[1]) for parts in relative]
    batch = []
    for part, fill in enumerate((SILENCE, 0.0, 0.0)):
        rows = [clip[part] for clip in relative]
        ends = [(MARGIN, max(lengths) - length + MARGIN) for length in lengths]
        sides = [(0, 0, *end) if row.dim() == 2 else end for row, end in zip(rows, ends, strict=True)]
        batch.append(torch.stack([F.pad(r, s, value=fill) for r, s in zip(rows, sides, strict=True)]))
    envelope, pitch, voiced = batch
    content, _ = network.contents.encode(network.encoder(envelope, voiced, vectors))
    prosody = network.prosodies.encode(prosody_vector(pitch, voiced))
    codes = torch.cat([prosody[None], content]).transpose(0, 1)
    start = MARGIN // STEPS_PER_FRAME
    found = []
    for row, voice, length in zip(codes, voices, lengths, strict=True):
        frames = length // STEPS_PER_FRAME
        constant = torch.stack([torch.full((frames,), UNREAD), voice_row(voice, frames)])
        found.append(torch.cat([constant, row[:, start : start + frames]]))
    return found


class VocoderCodec2:
    """See higgs.codecs.base.Codec. Bandwidth 12 kHz. The waveform is resynthesised: its phase is lost."""

    def __init__(self, network: VocoderNetwork2) -> None:
        self.network = network.eval().requires_grad_(False)
        # Rounding differs with a chunk's length and accumulates in the pulses' phase; in float64 it is
        # negligible.
        self.network.decoder.double()

    @classmethod
    def load(cls, folder: Path) -> "VocoderCodec2":
        """Read config.json and model.safetensors. Raises StartError if they don't match."""
        return cls(load_network(VocoderNetwork2(), folder, MODEL_TYPE))

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Encode float samples (N,) at 24 kHz mono to codes (8, N // 960)."""
        features = analyse(waveform, WIDE)
        if not len(features.log_f0):
            return torch.zeros(8, 0, dtype=torch.int64)
        voice = self.network.voice_codes(speaker_of(features))
        return encode_clips(self.network, [features], voice[None])[0]

    def decoder(self) -> "VocoderDecoder2":
        return VocoderDecoder2(self.network)


class VoiceOfFrames:
    """Tracks the voice of each frame: the latest code of each part in codebook 1."""

    def __init__(self) -> None:
        self._latest = torch.full((VOICE_PARTS,), UNKNOWN)
        self._frames = 0

    def push(self, row: torch.Tensor) -> torch.Tensor:
        """Return the voice codes (t, 3) at each of the next frames of codebook 1 (t,), or UNKNOWN."""
        found = []
        for code in row:
            self._latest[self._frames % VOICE_PARTS] = code
            self._frames += 1
            found.append(self._latest.clone())
        return torch.stack(found) if found else torch.zeros(0, VOICE_PARTS, dtype=torch.int64)


def known(voices: torch.Tensor) -> torch.Tensor:
    """Fill unknown voice codes (t, 3) of the first frames from later frames."""
    filled = voices.clone()
    for part in range(VOICE_PARTS):
        said = voices[:, part][voices[:, part] != UNKNOWN]
        filled[voices[:, part] == UNKNOWN, part] = said[0] if len(said) else MIDDLING_VOICE[part]
    return filled


class VocoderDecoder2:
    """See higgs.codecs.base.CodecDecoder. Holds back three frames, the network's context.

    By then, all parts of the voice are known.
    """

    ahead = CONTEXT

    def __init__(self, network: VocoderNetwork2) -> None:
        self._network = network
        self._codes = torch.zeros(8, 0, dtype=torch.int64)
        self._voices = torch.zeros(0, VOICE_PARTS, dtype=torch.int64)
        self._voice_of_frames, self._started = VoiceOfFrames(), False
        self._synthesis = Synthesis(WIDE)

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Return the samples that codes (8, t) make final; first and last frame are repeated as context."""
        codes = codes.to("cpu", torch.int64)
        waiting = torch.cat([self._codes, codes], dim=1)
        voices = torch.cat([self._voices, self._voice_of_frames.push(codes[VOICE_BOOK])])
        if not waiting.shape[1]:
            return np.zeros(0, np.float32)
        if not self._started:
            waiting = torch.cat([waiting[:, :1].expand(8, CONTEXT), waiting], dim=1)
            voices = torch.cat([torch.full((CONTEXT, VOICE_PARTS), UNKNOWN), voices])
            self._started = True
        if last:
            waiting = torch.cat([waiting, waiting[:, -1:].expand(8, CONTEXT)], dim=1)
            voices = torch.cat([voices, voices[-1:].expand(CONTEXT, VOICE_PARTS)])
        self._codes, self._voices = waiting[:, -2 * CONTEXT :], voices[-2 * CONTEXT :]
        if waiting.shape[1] <= 2 * CONTEXT:
            return np.zeros(0, np.float32)
        return self._synthesis.push(self._features(waiting, known(voices)), last)

    def cancel(self) -> None:
        """Nothing waits for its turn: a push is computed at once."""

    def _features(self, codes: torch.Tensor, voices: torch.Tensor) -> Features:
        """Return the features of the frames of codes (8, t + 6) with full context, in voices (t + 6, 3)."""
        out = self._network.decode(codes[None], voices[None])[0].numpy()
        inner = voices[CONTEXT:-CONTEXT].repeat_interleave(STEPS_PER_FRAME, 0)
        level, spread = (part.numpy() for part in pitch_of(inner[:, 0]))
        timbre = self._network.voice_vector(inner)[:, -BANDS:].numpy()
        return Features(
            log_f0=level + spread * out[:, BANDS],
            voiced=1 / (1 + np.exp(-out[:, BANDS + 1])),
            voicing=np.zeros((len(out), 0)),
            envelope=absolute(out[:, :BANDS], timbre, WIDE),
        )
