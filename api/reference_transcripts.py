"""Recognised transcripts of reference recordings, cached."""

import hashlib

from asr.transcriber import Transcriber
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from concurrency import SingleFlight
from voice_cloning import VoiceReference

MAX_KEPT = 256
AT_ONCE = 8  # recordings decoded concurrently; transcription itself takes turns


class ReferenceTranscripts:
    """Transcripts of recordings by content."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._words: SingleFlight[bytes, str | None] = SingleFlight(MAX_KEPT, AT_ONCE)

    def of(self, recording: bytes, voice: VoiceReference) -> str | None:
        """Return the transcript of the part of the recording that became the voice; None if it has no words.

        Concurrent requests for one recording transcribe it once. Raises what Transcriber.submit lists.
        """
        key = hashlib.sha256(recording).digest()
        return self._words.get(key, lambda: self._transcribe(recording, voice))

    def _transcribe(self, recording: bytes, voice: VoiceReference) -> str | None:
        start, end = (int(seconds * SAMPLE_RATE) for seconds in (voice.start_seconds, voice.end_seconds))
        return self._transcriber.transcribe(decode_audio(recording)[start:end], SAMPLE_RATE).text or None
