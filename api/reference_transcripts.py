"""The words of recordings that are to be cloned, recognised once and kept."""

import hashlib
import threading
from collections import OrderedDict

from asr.transcriber import Transcriber
from audio.decode import SAMPLE_RATE, decode_audio
from voice_cloning import VoiceReference

MAX_KEPT = 256


class ReferenceTranscripts:
    """What is said in recordings, by their content."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._listener = transcriber
        self._words: OrderedDict[bytes, str | None] = OrderedDict()
        self._working = threading.Lock()

    def of(self, recording: bytes, voice: VoiceReference) -> str | None:
        """The words of the part of this recording that became the voice; None where there are none.

        A recording that many ask for at once is listened to once. Errors as of Listener.listen.
        """
        key = hashlib.sha256(recording).digest()
        with self._working:
            if key not in self._words:
                self._words[key] = self._heard(recording, voice)
            self._words.move_to_end(key)
            while len(self._words) > MAX_KEPT:
                self._words.popitem(last=False)
            return self._words[key]

    def _heard(self, recording: bytes, voice: VoiceReference) -> str | None:
        start, end = (int(seconds * SAMPLE_RATE) for seconds in (voice.start_seconds, voice.end_seconds))
        return self._listener.transcribe(decode_audio(recording)[start:end], SAMPLE_RATE).text or None
