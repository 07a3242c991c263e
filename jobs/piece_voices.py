"""The voices of a job: the same for all of its pieces, on any server at any time."""

import numpy as np

from audio.encode import encode_audio
from audio.frames import SAMPLE_RATE
from errors import InvalidAudio, NotFound, quoted
from synthesis.references import CLONE, DEFAULT, VoiceReference
from voice_cloning import VoiceCloner
from voices.library import VoiceLibrary
from voices.store.job_tables import SpeechJob, SpeechPiece

MIN_SECONDS = 2.0  # minimum duration of a piece that serves as the reference of the later ones


class PieceVoices:
    """Finds the references of a job's voices; says which piece is one if the model makes up its voice."""

    def __init__(self, cloner: VoiceCloner, library: VoiceLibrary) -> None:
        self._cloner, self._library = cloner, library

    def of(self, job: SpeechJob) -> list[VoiceReference | None]:
        """Return the reference of each speaker; None for a voice that the model makes up.

        Raises:
            NotFound: voice_not_found, a saved voice was deleted.
        """
        return [self._reference(job, name) for name in job.voices]

    def voice_of(self, job: SpeechJob, piece: SpeechPiece, as_spoken: np.ndarray) -> tuple[bytes, str] | None:
        """Return the FLAC and words of a finished piece whose made-up voice the later ones are to have.

        None where the job has a voice already, or the piece is too short or unusable.

        as_spoken: see higgs.spoken.Speech. The job's speed, pitch and volume are applied to each piece anew.
        """
        has_one = job.voices != [DEFAULT] or job.transcript is not None or not self._made_up()
        if has_one or len(as_spoken) < MIN_SECONDS * SAMPLE_RATE:
            return None
        flac = encode_audio(as_spoken, "flac").data
        words = " ".join(part[1] for part in piece.parts if isinstance(part, list))
        try:
            self._cloner.reference(flac, words, check_voice=False)
        except InvalidAudio:  # a later piece may be usable
            return None
        return flac, words

    def _made_up(self) -> bool:
        """Return whether the model has no built-in voice, so that each speech has another."""
        return self._cloner.built_in_voices.default is None

    def _reference(self, job: SpeechJob, name: str) -> VoiceReference | None:
        if name == CLONE or (name == DEFAULT and self._made_up()):
            flac, transcript = self._library.store.job_queue.recording(job.id)
            return None if flac is None else self._cloner.reference(flac, transcript, check_voice=False)
        if name == DEFAULT:
            return None
        found = self._library.find(job.owner, name)
        voice = found[1] if found else self._cloner.built_in(name)
        if voice is None:
            message = f"The voice {quoted(name)} was deleted; make a new job with another voice."
            raise NotFound(message, code="voice_not_found")
        return voice
