"""Voice references: from a recording to what the model speaks with."""

import hashlib
from dataclasses import dataclass, field, replace
from typing import Final

import torch

from audio.decode import decode_audio
from audio.delivery import Delivery
from audio.frames import CODEBOOK_SIZE, CODEBOOKS, FRAME_RATE
from audio.reference import prepare_reference
from concurrency import SingleFlight, raise_if_cancelled
from errors import InvalidRequest
from higgs.engine.prefill import CacheUse
from higgs.prompts.v2 import Reference
from higgs.resident_model import ResidentModel
from text.pronunciations import Entries

# Names of voices in a request: the recording sent with it, and the voice used if none is named.
CLONE: Final = "clone"
DEFAULT: Final = "default"

ENCODED_AT_ONCE = 2  # recordings; each needs some 100 MB, and CPU time that synthesis needs too


@dataclass(frozen=True)
class VoiceReference:
    """A voice to speak with.

    Attributes:
        codes: int64 (8, T) at 25 frames per second.
        transcript: words of the codes; None if unknown.
        source_seconds: duration of the recording.
        start_seconds, end_seconds: the part that was used.
        trimmed: whether the recording was too long.
        delivery: the voice's default delivery.
        more: further recordings, for models that use several.
        pronunciations: of words, see text.pronunciations.
    """

    codes: torch.Tensor
    transcript: str | None
    source_seconds: float
    start_seconds: float
    end_seconds: float
    trimmed: bool
    delivery: Delivery = Delivery()
    more: tuple[Reference, ...] = ()
    pronunciations: Entries = field(default_factory=dict)

    @classmethod
    def of_codes(cls, codes: torch.Tensor) -> "VoiceReference":
        """Create a reference from codes (8, T ≥ 1), 0 to 1023. Raises InvalidRequest for others."""
        shaped = codes.ndim == 2 and len(codes) == CODEBOOKS and codes.numel() > 0
        whole = shaped and not codes.is_floating_point()
        if not whole or codes.min() < 0 or codes.max() >= CODEBOOK_SIZE:
            raise InvalidRequest(f"A voice reference is {CODEBOOKS} rows of codes 0..{CODEBOOK_SIZE - 1}.")
        seconds = codes.shape[1] / FRAME_RATE
        return cls(codes, None, seconds, 0.0, seconds, False)


class ReferenceEncoder:
    """Encodes recordings as voice references, each once. Thread-safe.

    Args:
        resident: the model, whose codec encodes.
        max_seconds: maximum duration of a reference.
        cache_size: maximum number of cached references.
    """

    def __init__(self, resident: ResidentModel, max_seconds: float, cache_size: int) -> None:
        self._resident, self._max_seconds = resident, max_seconds
        self._references = SingleFlight[bytes, VoiceReference](cache_size, ENCODED_AT_ONCE)
        self.use = CacheUse()

    def encode(self, audio: bytes, transcript: str | None, check_voice: bool) -> VoiceReference:
        """See VoiceCloner.reference."""
        key = hashlib.sha256(audio).digest() + bytes([check_voice])
        self.use.note(key in self._references)
        voice = self._references.get(key, lambda: self._encode(audio, check_voice))
        return replace(voice, transcript=None if voice.trimmed else transcript)

    def _encode(self, audio: bytes, check_voice: bool) -> VoiceReference:
        used = prepare_reference(decode_audio(audio), self._max_seconds, check_voice)
        raise_if_cancelled()
        with self._resident.in_use() as served:
            codes = served.codec.encode(used.samples)
        part = used.source_seconds, used.start_seconds, used.end_seconds
        return VoiceReference(codes, None, *part, used.trimmed)
