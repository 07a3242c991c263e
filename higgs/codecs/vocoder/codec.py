"""The bundled model's codec: 24 kHz waveform → codes (8, T) → waveform, whole or streaming."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from higgs.codecs.vocoder.analysis import BANDS, STEPS_PER_FRAME, Features, analyse
from higgs.codecs.vocoder.network import (
    CONTEXT,
    SILENCE,
    UNREAD,
    VOICE_BOOKS,
    VocoderNetwork,
    load_network,
    prosody_vector,
)
from higgs.codecs.vocoder.speaker import Speaker, absolute, loudness, pitch_code, pitch_of_codes, speaker_of
from higgs.codecs.vocoder.synthesis import Synthesis

MODEL_TYPE = "higgs_vocoder_codec"
MARGIN = 16  # steps of silence around a clip, so that its edges are coded the same alone and in a batch


def voice_codes(network: VocoderNetwork, speaker: Speaker) -> torch.Tensor:
    """Return the codes (2,) of a voice."""
    timbre = torch.from_numpy(np.asarray(speaker.timbre, np.float32))
    return torch.stack([torch.tensor(pitch_code(speaker)), network.timbres.encode(timbre)])


def encoder_inputs(features: Features, voice: torch.Tensor, timbre: torch.Tensor) -> list[torch.Tensor]:
    """Return a clip's features relative to its voice codes (2,).

    Envelope (F, 64), pitch (F,), voiced (F,) and voicing (F, 4).
    """
    level, spread = (float(value) for value in pitch_of_codes(voice[0].numpy()))
    log_f0, voiced, voicing, envelope = (torch.from_numpy(part) for part in vars(features).values())
    relative = (envelope - loudness(features.envelope) - timbre).clamp(min=SILENCE)
    return [relative, ((log_f0 - level) / spread).clamp(-3.5, 3.5), voiced, voicing]


def encode_clips(network: VocoderNetwork, clips: list[Features], voices: torch.Tensor) -> list[torch.Tensor]:
    """Encode clips, each relative to its row of voices (B, 2), as one batch; return codes (8, T) of each."""
    vectors = network.voice_vector(voices)
    timbres = vectors[:, -BANDS:]
    relative = [encoder_inputs(*clip) for clip in zip(clips, voices, timbres, strict=True)]
    lengths = [len(parts[1]) for parts in relative]
    fills = (SILENCE, 0.0, 0.0, 0.0)
    batch = []
    for part, fill in enumerate(fills):
        rows = [clip[part] for clip in relative]
        ends = [(MARGIN, max(lengths) - length + MARGIN) for length in lengths]
        sides = [(0, 0, *end) if row.dim() == 2 else end for row, end in zip(rows, ends, strict=True)]
        batch.append(torch.stack([F.pad(r, s, value=fill) for r, s in zip(rows, sides, strict=True)]))
    envelope, pitch, voiced, voicing = batch
    content, _ = network.contents.encode(network.encoder(envelope, voiced, vectors))
    prosody = network.prosodies.encode(prosody_vector(pitch, voiced, voicing))
    codes = torch.cat([prosody[None], content]).transpose(0, 1)
    start = MARGIN // STEPS_PER_FRAME
    found = []
    for row, voice, length in zip(codes, voices, lengths, strict=True):
        frames = length // STEPS_PER_FRAME
        constant = torch.cat([torch.tensor([UNREAD]), voice])
        found.append(torch.cat([constant[:, None].expand(-1, frames), row[:, start : start + frames]]))
    return found


class VocoderCodec:
    """See higgs.codecs.base.Codec. Bandwidth 8 kHz. The waveform is resynthesised: its phase is lost."""

    def __init__(self, network: VocoderNetwork) -> None:
        self.network = network.eval().requires_grad_(False)
        # Rounding differs with a chunk's length and accumulates in the pulses' phase; in float64 it is
        # negligible.
        self.network.decoder.double()

    @classmethod
    def load(cls, folder: Path) -> "VocoderCodec":
        """Read config.json and model.safetensors. Raises StartError if they don't match."""
        return cls(load_network(VocoderNetwork(), folder, MODEL_TYPE))

    def encode(self, waveform: np.ndarray) -> torch.Tensor:
        """Encode float samples (N,) at 24 kHz mono to codes (8, N // 960)."""
        features = analyse(waveform)
        if not len(features.log_f0):
            return torch.zeros(8, 0, dtype=torch.int64)
        voice = voice_codes(self.network, speaker_of(features))
        return encode_clips(self.network, [features], voice[None])[0]

    def decoder(self) -> "VocoderDecoder":
        return VocoderDecoder(self.network)


class VocoderDecoder:
    """See higgs.codecs.base.CodecDecoder. Holds back three frames, the network's context."""

    ahead = CONTEXT

    def __init__(self, network: VocoderNetwork) -> None:
        self._network = network
        self._codes = torch.zeros(8, 0, dtype=torch.int64)
        self._started = False
        self._synthesis = Synthesis()

    def push(self, codes: torch.Tensor, last: bool = False) -> np.ndarray:
        """Return the samples that codes (8, t) make final; first and last frame are repeated as context."""
        waiting = torch.cat([self._codes, codes.to("cpu", torch.int64)], dim=1)
        if not waiting.shape[1]:
            return np.zeros(0, np.float32)
        if not self._started:
            waiting = torch.cat([waiting[:, :1].expand(8, CONTEXT), waiting], dim=1)
            self._started = True
        if last:
            waiting = torch.cat([waiting, waiting[:, -1:].expand(8, CONTEXT)], dim=1)
        self._codes = waiting[:, -2 * CONTEXT :]
        if waiting.shape[1] <= 2 * CONTEXT:
            return np.zeros(0, np.float32)
        return self._synthesis.push(self._features(waiting), last)

    def cancel(self) -> None:
        """Nothing waits for its turn: a push is computed at once."""

    def _features(self, codes: torch.Tensor) -> Features:
        """Return the features of the frames of codes (8, t + 6) that have full context."""
        out = self._network.decode(codes[None])[0].numpy()
        inner = codes[VOICE_BOOKS, CONTEXT:-CONTEXT].T.repeat_interleave(STEPS_PER_FRAME, 0)
        level, spread = pitch_of_codes(inner[:, 0].numpy())
        timbre = self._network.voice_vector(inner)[:, -BANDS:].numpy()
        return Features(
            log_f0=level + spread * out[:, BANDS],
            voiced=1 / (1 + np.exp(-out[:, BANDS + 1])),
            voicing=out[:, BANDS + 2 :].clip(0, 1),
            envelope=absolute(out[:, :BANDS], timbre),
        )
