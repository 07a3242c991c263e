"""Which piece of a job becomes its voice where the model makes one up."""

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from audio.frames import SAMPLE_RATE
from errors import InvalidAudio
from jobs.piece_voices import PieceVoices


class Job:
    """Stands for a job's row, and for the model that encodes its voice."""

    voices: ClassVar[list[str]] = ["default"]
    parts = ([0, "Some words."], 1.0)

    def __init__(self, usable: bool = True) -> None:
        self.transcript: str | None = None  # of its voice
        self.encoded, self.usable = 0, usable
        self.built_in_voices = SimpleNamespace(default=None)

    def reference(self, flac: bytes, words: str, check_voice: bool) -> None:
        self.encoded += 1
        if not self.usable:
            raise InvalidAudio("It holds no speech.")

    def voice_of(self, seconds: float) -> tuple[bytes, str] | None:
        job: Any = self
        return PieceVoices(job, job).voice_of(
            job, job, np.full(round(seconds * SAMPLE_RATE), 0.1, np.float32)
        )


def test_the_first_piece_that_can_be_is_the_voice_and_no_other_is_encoded() -> None:
    """Kind: work whose result is thrown away; each piece was encoded, and pushed a voice out of the cache."""
    job = Job()
    assert job.voice_of(1.0) is None and job.encoded == 0
    found = job.voice_of(2.0)
    assert found is not None and found[1] == "Some words." and job.encoded == 1
    job.transcript = found[1]
    assert job.voice_of(2.0) is None and job.encoded == 1


def test_a_piece_that_is_no_reference_is_passed_over() -> None:
    job = Job(usable=False)
    assert job.voice_of(2.0) is None and job.encoded == 1
