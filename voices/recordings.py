"""Recordings that voices are made of: their limits, and the selection of their best part."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np

from audio.frames import SAMPLE_RATE
from audio.reference_selection import ReferenceSelection, select_reference
from errors import Overloaded
from speakers.verifier import SpeakerVerifier
from voice_cloning import VoiceCloner

MAX_UPLOAD_SECONDS = 300.0


@contextmanager
def place_among(places: threading.Semaphore) -> Iterator[None]:
    """Hold one of the places for recordings processed at once. Raises Overloaded if all are taken."""
    if not places.acquire(blocking=False):
        raise Overloaded("Too many recordings are being processed; try again in a moment.", retry_after=10)
    try:
        yield
    finally:
        places.release()


def selected_part(samples: np.ndarray, cloner: VoiceCloner, verifier: SpeakerVerifier) -> ReferenceSelection:
    """Select the best part of a recording, within the model's maximum. Raises InvalidAudio."""
    second_speaker = partial(verifier.second_speaker, sample_rate=SAMPLE_RATE) if verifier.installed else None
    return select_reference(samples, second_speaker, cloner.max_reference_seconds)
