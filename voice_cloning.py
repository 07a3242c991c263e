"""The Python API: a recording in, speech in that voice out.

    cloner = VoiceCloner.load()
    voice = cloner.reference(Path("test_audio.wav").read_bytes())
    speech = cloner.speak("Hello world", voice)

The module's functions use a shared cloner, loaded from the HIGGS_* settings on first use. On the command
line: python voice_cloning.py test_audio.wav "Hello world" -o out.wav
"""

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import torch

from audio.encode import encode_audio
from audio.frames import FRAME_RATE
from audio.reference import MAX_SECONDS
from concurrency import on_cancel, raise_if_cancelled
from errors import ModelError, Overloaded, StartError
from higgs.codecs.base import Codec
from higgs.devices import device_of
from higgs.engine.engine import Engine
from higgs.engine.request import Ended, ignored
from higgs.engine.sampler import SamplingOptions
from higgs.engine.scheduler import Place
from higgs.loading import LoadedModel, ModelRequest, load_chosen
from higgs.prompts.chatml import ChatMLResponse
from higgs.resident_model import ResidentModel, ServedModel
from higgs.segments import SpeechSegment
from higgs.speech import SpeechStream
from higgs.spoken import Speech
from settings import Settings, load_settings
from synthesis.built_in_voices import BuiltInVoices
from synthesis.chatml import answer
from synthesis.command_line import main
from synthesis.options import SpeechOptions
from synthesis.planner import FIRST_FRAME, Planner
from synthesis.references import ReferenceEncoder, VoiceReference
from synthesis.warm_up import warm_up
from text.chunking import Chunking
from text.normalise import Part, ReadText, chosen_reading
from text.pronunciations import of_file

BUNDLED_MODEL = Path(__file__).resolve().parent / "models" / "higgs-small"

SPOKEN_FACTOR = 2  # maximum growth of a text by normalisation
SECONDS_PER_CHARACTER = 0.2  # three times slower than people speak

Voices = VoiceReference | None | list[VoiceReference | None]


class VoiceCloner:
    """A loaded model that speaks in cloned voices. Thread-safe."""

    def __init__(self, loaded: LoadedModel, settings: Settings, fallback: str | None = None) -> None:
        checkpoint, model_id = loaded.checkpoint, loaded.model_id
        weight = next(checkpoint.model.parameters())
        self.model_id = model_id
        self.fallback = fallback  # why the bundled model is served where `auto` prefers another
        self.device, self.dtype = str(weight.device), str(weight.dtype).removeprefix("torch.")
        self._positions, self._defaults = loaded.plan.positions, checkpoint.defaults
        self.loaded_at, self.licence = int(time.time()), checkpoint.licence
        self.max_reference_seconds = min(checkpoint.reference_seconds, MAX_SECONDS)
        self.built_in_voices = BuiltInVoices.load(checkpoint.folder)
        self.english_only = bundled = model_id == BUNDLED_MODEL.name
        self._prompts = checkpoint.prompts(settings.unknown_tags)
        self._planner = Planner(
            self._prompts,
            chosen_reading(settings.reading, english_only=bundled),
            Chunking(checkpoint.chunk_characters, checkpoint.chunk_sentences),
            trained_on_conversations=not bundled,
            positions=loaded.plan.positions,
            min_frames_per_letter=checkpoint.min_frames_per_letter,
            max_frames_per_byte=settings.max_frames_per_byte,
            max_spoken_characters=SPOKEN_FACTOR * settings.max_text_characters,
            pronunciations=of_file(settings.pronunciations),
            respells_phones=bundled,
        )
        self.check_pronunciations = self._planner.check_pronunciations
        self._ended: Ended = ignored
        self.resident = ResidentModel(loaded, settings.queue_limit, self._loaded_again)
        seconds = settings.max_speech_seconds or SECONDS_PER_CHARACTER * settings.max_text_characters
        self._max_columns = FIRST_FRAME + round(seconds * FRAME_RATE)
        self._references = ReferenceEncoder(
            self.resident, self.max_reference_seconds, settings.reference_cache
        )
        self.reference_use = self._references.use

    @classmethod
    def load(cls, settings: Settings | None = None, ended: Ended = ignored) -> "VoiceCloner":
        """Load and warm up the model.

        Args:
            settings: None reads the HIGGS_* variables.
            ended: called in the engine's thread for each finished chunk.

        Raises:
            StartError: it can't be loaded; the message names the remedy.
        """
        settings = settings or load_settings()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        loaded, fallback = load_chosen(_request(settings), BUNDLED_MODEL)
        cloner = cls(loaded, settings, fallback)
        cloner._ended = ended
        try:
            warm_up(cloner.stream, cloner.codec, cloner.engine.slots)
        except (ModelError, RuntimeError) as error:
            hint = " Try HIGGS_CUDA_GRAPHS=none." if cloner.device.startswith("cuda") else ""
            raise StartError(f"The model fails at its first sentence: {error}{hint}") from error
        cloner.engine.count_from_now(ended)
        return cloner

    def _loaded_again(self, served: ServedModel) -> None:
        if self.device.startswith("cuda"):  # a CPU's kernels are still compiled
            warm_up(self.stream, served.codec, served.engine.slots)
        served.engine.count_from_now(self._ended)

    def reference(
        self, audio: bytes, transcript: str | None = None, *, check_voice: bool = True
    ) -> VoiceReference:
        """Encode a recording as a voice reference. Cached by content.

        Args:
            audio: bytes of an audio or video file, 1 s or more.
            transcript: its words, if known; dropped if only a part is used (see max_reference_seconds).
            check_voice: reject recordings without a voice.

        Raises:
            InvalidAudio: it can't be decoded or used.
            Cancelled: the work was cancelled.
        """
        return self._references.encode(audio, transcript, check_voice)

    def admitted(self) -> AbstractContextManager[Place]:
        """Hold a place in the queue while a request is prepared; see ResidentModel.admitted."""
        return self.resident.admitted()

    def built_in(self, name: str | None) -> VoiceReference | None:
        """Return a built-in voice by name, or the default one for None; None if there is no such voice."""
        return self.built_in_voices.reference(name, self.reference)

    def speak(self, text: str, voice: Voices = None, options: SpeechOptions = SpeechOptions()) -> Speech:
        """Speak a text and wait for the result; for arguments and errors see `stream`."""
        return self.stream(text, voice, options).speech()

    def read(self, text: str, voices: int = 1, options: SpeechOptions = SpeechOptions()) -> ReadText:
        """Normalise a text for `stream`, for a number of voices that aren't known yet.

        Of the options, the pronunciations count; `stream` reads the text again if a voice has its own.
        Raises InvalidRequest (see text.normalise.read_out), PayloadTooLarge if the result is too long.
        """
        return self._planner.read(text, voices, self._planner.dictionaries([None] * voices, options))

    def stream(
        self,
        text: str | ReadText,
        voice: Voices = None,
        options: SpeechOptions = SpeechOptions(),
        place: Place | None = None,
        follows: SpeechStream | None = None,
    ) -> SpeechStream:
        """Queue a text and return its stream at once.

        Args:
            text: [SPEAKER1] switches to the second voice; [pause 0.5s] is silence (see text.pauses).
            voice: one, or one per speaker; None for the model's own.
            options: sampling, limits and delivery.
            place: from `admitted`.
            follows: earlier speech to continue; without a place, a full queue is no obstacle then.

        Raises:
            InvalidRequest, PayloadTooLarge: see `read`.
            Overloaded, EngineFailed, ShuttingDown: see Engine.submit.
        """
        voices = self._speaking(voice if isinstance(voice, list) else [voice])
        if isinstance(text, str):
            text = self._planner.read(text, len(voices), self._planner.dictionaries(voices, options))
        segments = self._planner.segments(text, voices, options, follows.last_said if follows else None)
        longest = min(options.max_steps or self._max_columns, self._max_columns)
        admitted = place is None and follows is not None
        return self._stream(segments, text.written, options, longest=longest, place=place, admitted=admitted)

    def parts(self, text: str, voices: list[VoiceReference | None], options: SpeechOptions) -> list[Part]:
        """Return a text of any length as its spoken parts; see Planner.checked_parts."""
        dictionaries = self._planner.dictionaries(voices, options)
        read = self._planner.read_any(text, len(voices), dictionaries)
        return self._planner.checked_parts(read, self._speaking(voices), options)

    def stream_parts(
        self, parts: Sequence[Part], voices: list[VoiceReference | None], options: SpeechOptions
    ) -> SpeechStream:
        """Like `stream` for parts of a text of any length, in the background: while nobody waits."""
        segments = self._planner.segments_of(parts, self._speaking(voices), options)
        text = " ".join(part[1] for part in parts if isinstance(part, tuple))
        return self._stream(segments, text, options, background=True)

    def _speaking(self, voices: list[VoiceReference | None]) -> list[VoiceReference | None]:
        """Replace None by the model's own voice."""
        return [voice or self.built_in(None) for voice in voices]

    def _stream(
        self, segments: list[SpeechSegment], text: str, options: SpeechOptions, **queued: Any
    ) -> SpeechStream:
        sampling = options.sampling(self._defaults, text)
        raise_if_cancelled()
        with self.resident.in_use() as served:
            stream = SpeechStream(served.engine, served.codec, segments, sampling, **queued)
            on_cancel(self.resident.stay_for(stream).cancel)  # whoever began it: its client may have left
        return stream

    def followed(self, voices: Sequence[VoiceReference | None], options: SpeechOptions) -> bool | None:
        """Return whether the model follows the delivery instructions; None if there are none."""
        return self._planner.followed(voices, options)

    def generate(
        self,
        chat_ml_sample: Any,
        max_new_tokens: int,
        temperature: float = 0.7,
        top_k: int | None = None,
        top_p: float = 0.95,
        stop_strings: list[str] | None = None,
        force_audio_gen: bool = False,
        ras_win_len: int | None = 7,
        ras_win_max_num_repeat: int = 2,
        seed: int | None = None,
    ) -> ChatMLResponse:
        """Answer a boson ChatMLSample with audio; the arguments of boson's HiggsAudioServeEngine.generate.

        `stop_strings` and `force_audio_gen` have no effect: the answer is always audio.
        """
        window = max(ras_win_len or 0, 0)
        sampling = SamplingOptions(temperature, top_k, top_p, window, ras_win_max_num_repeat, seed)
        model = self._prompts, self.resident, sampling, max_new_tokens, self._positions
        min_frames = self._planner.min_frames
        return answer(chat_ml_sample, lambda audio: self.reference(audio).codes, *model, min_frames)

    @property
    def overload(self) -> Overloaded | None:
        """Return the error that `admitted` would raise now; None if there is room."""
        return self.resident.overload

    @property
    def engine(self) -> Engine:
        """The engine; loads the model again if it was unloaded."""
        return self.resident.use().engine

    @property
    def codec(self) -> Codec:
        """The codec; loads the model again if it was unloaded."""
        return self.resident.use().codec

    def close(self) -> None:
        """Cancel all requests and free the model."""
        self.resident.close()


def extract_voice_reference(audio_bytes: bytes) -> torch.Tensor:
    """Encode a recording to codes int64 (8, T) for text_to_speech. See VoiceCloner.reference for errors."""
    return _default_cloner().reference(audio_bytes).codes


def text_to_speech(text: str, voice_reference: torch.Tensor | None = None) -> bytes:
    """Speak a text in the voice of reference codes (None: the model's own); return a 24 kHz WAV file."""
    voice = None if voice_reference is None else VoiceReference.of_codes(voice_reference)
    return encode_audio(_default_cloner().speak(text, voice).samples, "wav").data


def _default_cloner() -> VoiceCloner:
    with _loading:
        return _load_default()


_loading = threading.Lock()
_load_default = cache(VoiceCloner.load)


def _request(settings: Settings) -> ModelRequest:
    return ModelRequest(
        settings.model,
        settings.codec,
        device_of(settings.device),
        None if settings.dtype == "auto" else getattr(torch, settings.dtype),
        settings.slots,
        settings.max_positions,
        exact_positions="max_positions" in settings.model_fields_set,
        weights=settings.weights,
        cuda_graphs=settings.cuda_graphs,
    )


if __name__ == "__main__":
    main(VoiceCloner.load)
