"""The Python door: a recording in, speech in that voice out.

    cloner = VoiceCloner.load()
    voice = cloner.reference(Path("test_audio.wav").read_bytes())
    speech = cloner.speak("Hello world", voice)

The module functions do the same with one cloner, loaded from the HIGGS_* settings when it is first needed. On
the command line: python voice_cloning.py test_audio.wav "Hello world" -o out.wav
"""

import hashlib
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.frames import FRAME_RATE, SAMPLE_RATE
from audio.reference import MAX_SECONDS, prepare_reference
from concurrency import SingleFlight, on_cancel, raise_if_cancelled
from errors import Overloaded
from higgs.codecs.base import Codec
from higgs.devices import device_of
from higgs.engine.engine import Engine
from higgs.engine.prefill import CacheUse
from higgs.engine.request import Ended, ignored
from higgs.engine.sampler import SamplingOptions
from higgs.engine.scheduler import Place
from higgs.loading import LoadedModel, ModelRequest, load_chosen
from higgs.prompts.chatml import ChatMLResponse, turns_of
from higgs.resident_model import ResidentModel, ServedModel
from higgs.segments import SpeechSegment, TextChunk
from higgs.speech import Speech, SpeechStream
from settings import Settings, load_settings
from synthesis.built_in_voices import BuiltInVoices
from synthesis.command_line import main
from synthesis.planner import FIRST_FRAME, Planner, SpeechOptions, VoiceReference
from synthesis.warm_up import warm_up
from text.chunking import Chunking
from text.normalise import SUSTAINED_SOUNDS, Part, ReadText, chosen_reading
from text.pronunciations import of_file

BUNDLED_MODEL = Path(__file__).resolve().parent / "models" / "higgs-small"

SPOKEN_FACTOR = 2  # how many times as long as what was sent a text may be as it is read out
SECONDS_PER_CHARACTER = 0.2  # three times as slow as people speak
ENCODED_AT_ONCE = 2  # recordings: each takes some 100 MB and the time of the cores that speech needs

Voices = VoiceReference | None | list[VoiceReference | None]


class VoiceCloner:
    """A loaded model that clones voices and speaks; safe to use from several threads."""

    def __init__(self, loaded: LoadedModel, settings: Settings, fallback: str | None = None) -> None:
        checkpoint, model_id = loaded.checkpoint, loaded.model_id
        weight = next(checkpoint.model.parameters())
        self.model_id = model_id
        self.fallback = fallback  # why it is the bundled model where `auto` would rather serve another
        self.device, self.dtype = str(weight.device), str(weight.dtype).removeprefix("torch.")
        self.loaded_at = int(time.time())
        self._positions, self._defaults = loaded.plan.positions, checkpoint.defaults
        self.licence = checkpoint.licence
        self.max_reference_seconds = min(checkpoint.reference_seconds, MAX_SECONDS)
        self.built_in_voices = BuiltInVoices.load(checkpoint.folder)
        self.english_only = bundled = model_id == BUNDLED_MODEL.name
        self._prompts = checkpoint.prompts(settings.unknown_tags)
        self._planner = Planner(
            self._prompts,
            chosen_reading(settings.reading, english_only=bundled),
            Chunking(checkpoint.piece_characters, checkpoint.piece_sentences),
            trained_on_conversations=not bundled,
            positions=loaded.plan.positions,
            max_frames_per_byte=settings.max_frames_per_byte,
            max_spoken_characters=SPOKEN_FACTOR * settings.max_text_characters,
            pronunciations=of_file(settings.pronunciations),
        )
        self.check_pronunciations = self._planner.check_pronunciations
        self._ended: Ended = ignored
        self.resident = ResidentModel(loaded, settings.queue_limit, self._loaded_again)
        seconds = settings.max_speech_seconds or SECONDS_PER_CHARACTER * settings.max_text_characters
        self._max_columns = FIRST_FRAME + round(seconds * FRAME_RATE)
        self.reference_use = CacheUse()
        self._references = SingleFlight[bytes, VoiceReference](settings.reference_cache, ENCODED_AT_ONCE)

    @classmethod
    def load(cls, settings: Settings | None = None, ended: Ended = ignored) -> "VoiceCloner":
        """Load and warm the model; None reads the HIGGS_* variables. StartError names the remedy.

        ended: called by the engine's thread whenever it has come to the end of a text, or a part of one.
        """
        settings = settings or load_settings()
        if settings.threads:
            torch.set_num_threads(settings.threads)
        loaded, fallback = load_chosen(_request(settings), BUNDLED_MODEL)
        cloner = cls(loaded, settings, fallback)
        cloner._ended = ended
        warm_up(cloner.stream, cloner.codec, cloner.engine.slots)
        cloner.engine.count_from_now(ended)
        return cloner

    def _loaded_again(self, served: ServedModel) -> None:
        if self.device.startswith("cuda"):  # a CPU's kernels are still compiled
            warm_up(self.stream, served.codec, served.engine.slots)
        served.engine.count_from_now(self._ended)

    def reference(
        self, audio: bytes, transcript: str | None = None, *, check_voice: bool = True
    ) -> VoiceReference:
        """Make a recording a voice: any container, 1 s or more of sound. InvalidAudio says why it can't be.

        Of a longer one than max_reference_seconds a part is used, and the transcript of all is left out.
        Codes are kept by content. Cancelled if the work under way is called off.
        check_voice: refuse what holds no voice.
        """
        key = hashlib.sha256(audio).digest() + bytes([check_voice])
        self.reference_use.note(key in self._references)
        voice = self._references.get(key, lambda: self._encode(audio, check_voice))
        return replace(voice, transcript=None if voice.trimmed else transcript)

    @contextmanager
    def admitted(self) -> Iterator[Place]:
        """Hold a place in the queue while a request is made ready; it is given up if that is called off.

        Overloaded if the queue is full.
        """
        with self.resident.in_use() as served:
            place = served.engine.reserve()
        on_cancel(place.release)
        try:
            yield place
        finally:
            place.release()

    def built_in(self, name: str | None) -> VoiceReference | None:
        """The model's voice of a name; None names its default. None where it has no such voice."""
        return self.built_in_voices.reference(name, self.reference)

    def speak(self, text: str, voice: Voices = None, options: SpeechOptions = SpeechOptions()) -> Speech:
        """Speak a text in a voice, the model's own where None. Errors as of `stream`."""
        return self.stream(text, voice, options).speech()

    def read(self, text: str, voices: int = 1) -> ReadText:
        """Read a text for `stream`. InvalidRequest, PayloadTooLarge: it can't be spoken, or is too long."""
        return self._planner.read(text, voices)

    def stream(
        self,
        text: str | ReadText,
        voice: Voices = None,
        options: SpeechOptions = SpeechOptions(),
        place: Place | None = None,
        follows: SpeechStream | None = None,
    ) -> SpeechStream:
        """Queue a text to be spoken and return at once. Of several voices, [SPEAKER1] in it calls the second.

        [pause 0.5s] in it is silence (see text.pauses). InvalidRequest: as of `read`, or options out of
        range. Overloaded: the queue is full, and no `place` in it was held.

        follows: what the same voice said before of the same text, to go on from; a full queue takes it then.
        """
        voices = self._speaking(voice if isinstance(voice, list) else [voice])
        read = self.read(text, len(voices)) if isinstance(text, str) else text
        segments = self._planner.segments(read, voices, options, follows.last_said if follows else None)
        return self._stream(segments, read.written, options, place=place, admitted=follows is not None)

    def parts(self, text: str, voices: int = 1) -> list[Part]:
        """A text of any length as it is spoken by so many voices: texts, each with the number of its voice,
        and pauses in seconds. InvalidRequest as of `read`."""
        return self._planner.parts(self._planner.read_any(text, voices), self._speaking([None] * voices))

    def stream_parts(
        self, parts: Sequence[Part], voices: list[VoiceReference | None], options: SpeechOptions
    ) -> SpeechStream:
        """As `stream`, for some of the parts of a text, and in the background: while nobody else waits."""
        segments = self._planner.segments_of(parts, self._speaking(voices), options)
        text = " ".join(part[1] for part in parts if isinstance(part, tuple))
        return self._stream(segments, text, options, background=True)

    def _speaking(self, voices: list[VoiceReference | None]) -> list[VoiceReference | None]:
        """The voices that speak: the model's own where none is given."""
        return [voice or self.built_in(None) for voice in voices]

    def _stream(
        self, segments: list[SpeechSegment], text: str, options: SpeechOptions, **queued: Any
    ) -> SpeechStream:
        names = ("temperature", "top_k", "top_p", "seed")
        chosen = {name: value for name in names if (value := getattr(options, name)) is not None}
        sampling = replace(self._defaults, **chosen)
        if any(sound in text for sound in SUSTAINED_SOUNDS):
            sampling = replace(sampling, ras_window=0)
        raise_if_cancelled()
        longest = min(options.max_steps or self._max_columns, self._max_columns)
        with self.resident.in_use() as served:
            stream = SpeechStream(served.engine, served.codec, segments, sampling, longest, **queued)
            return self.resident.stay_for(stream)

    def followed(self, voices: Sequence[VoiceReference | None], options: SpeechOptions) -> bool | None:
        """Whether the model heeds how the options or a voice say to speak; None where neither says it."""
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
        """Answer a boson ChatMLSample with audio; arguments as of boson's HiggsAudioServeEngine.generate.

        stop_strings and force_audio_gen change nothing: the answer is always one stretch of audio.
        """
        prompt = self._prompts.build(turns_of(chat_ml_sample, lambda audio: self.reference(audio).codes))
        window = max(ras_win_len or 0, 0)
        sampling = SamplingOptions(temperature, top_k, top_p, window, ras_win_max_num_repeat, seed)
        piece = TextChunk(prompt, max(min(max_new_tokens, self._positions - len(prompt)), FIRST_FRAME))
        with self.resident.in_use() as served:
            speech = SpeechStream(served.engine, served.codec, [SpeechSegment([piece])], sampling).speech()
        asked, spoken = len(prompt), speech.completion_audio_tokens
        usage = {"prompt_tokens": asked, "completion_tokens": spoken, "total_tokens": asked + spoken}
        return ChatMLResponse(speech.samples, SAMPLE_RATE, usage | {"cached_tokens": 0})

    @property
    def overload(self) -> Overloaded | None:
        """What `admitted` would raise now; None while there is room, or the model is unloaded."""
        served = self.resident.loaded
        return None if served is None else served.engine.overload

    @property
    def engine(self) -> Engine:
        """What runs the model, which is loaded again where it was unloaded."""
        return self.resident.use().engine

    @property
    def codec(self) -> Codec:
        """As `engine`."""
        return self.resident.use().codec

    def close(self) -> None:
        """Cancel what is under way and let the model go."""
        self.resident.close()

    def _encode(self, audio: bytes, check_voice: bool) -> VoiceReference:
        used = prepare_reference(decode_audio(audio), self.max_reference_seconds, check_voice)
        raise_if_cancelled()
        with self.resident.in_use() as served:
            codes = served.codec.encode(used.samples)
        part = used.source_seconds, used.start_seconds, used.end_seconds
        return VoiceReference(codes, None, *part, used.trimmed)


def extract_voice_reference(audio_bytes: bytes) -> torch.Tensor:
    """The codes int64 (8, T) of a recording, for text_to_speech. Errors as of VoiceCloner.reference."""
    return _default_cloner().reference(audio_bytes).codes


def text_to_speech(text: str, voice_reference: torch.Tensor | None = None) -> bytes:
    """Speak a text in the voice of reference codes, the model's own where None; a 24 kHz WAV file."""
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
    )


if __name__ == "__main__":
    main(VoiceCloner.load)
