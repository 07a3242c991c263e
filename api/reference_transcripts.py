"""The words of recordings that are to be cloned, recognised once and kept."""

import hashlib

from asr.transcriber import Transcriber
from audio.decode import decode_audio
from audio.frames import SAMPLE_RATE
from concurrency import SingleFlight
from voice_cloning import VoiceReference

MAX_KEPT = 256
AT_ONCE = 8  # recordings that are made ready to be listened to, one of them at a time


class ReferenceTranscripts:
    """What is said in recordings, by their content."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._listener = transcriber
        self._words: SingleFlight[bytes, str | None] = SingleFlight(MAX_KEPT, AT_ONCE)

    def of(self, recording: bytes, voice: VoiceReference) -> str | None:
        """The words of the part of this recording that became the voice; None where there are none.

        A recording that many ask for at once is listened to once, and holds up no other. Errors as of
        Transcriber.listen; Cancelled if the work under way is called off meanwhile.
        """
        key = hashlib.sha256(recording).digest()
        return self._words.get(key, lambda: self._heard(recording, voice))

    def _heard(self, recording: bytes, voice: VoiceReference) -> str | None:
        start, end = (int(seconds * SAMPLE_RATE) for seconds in (voice.start_seconds, voice.end_seconds))
        return self._listener.transcribe(decode_audio(recording)[start:end], SAMPLE_RATE).text or None
