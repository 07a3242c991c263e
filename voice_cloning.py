"""The Python door: a recording in, speech in that voice out.

    cloner = VoiceCloner.load()
    voice = cloner.reference(Path("test_audio.wav").read_bytes())
    speech = cloner.speak("Hello world", voice)

The module functions do the same with one cloner, loaded from the HIGGS_* settings when it is first needed. On
the command line: python voice_cloning.py test_audio.wav "Hello world" -o out.wav
"""

import argparse
import hashlib
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from audio.decode import decode_audio
from audio.encode import encode_audio
from audio.reference import prepare_reference
from errors import InvalidRequest, StartError, VoiceServerError
from higgs.codecs.base import FRAME_RATE, SAMPLE_RATE, Codec, load_codec
from higgs.engine.engine import Ended, Engine, ignored
from higgs.engine.prefill import CacheUse
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import Checkpoint, load_checkpoint
from higgs.prompts.chatml import ChatMLResponse, turns_of
from higgs.speech import Speech, SpeechSegment, SpeechStream, TextChunk
from settings import Settings, load_settings
from synthesis.planner import FIRST_FRAME, Planner, SpeechOptions, VoiceReference
from text.chunking import Chunking
from text.normalise import SUSTAINED_SOUNDS, chosen_reading

log = logging.getLogger(__name__)

PUBLISHED_MODEL = "bosonai/higgs-audio-v2-generation-3B-base"
BUNDLED_MODEL = Path(__file__).resolve().parent / "models" / "higgs-small"

TYPICAL_SPEECH = 15  # characters a second, for the progress bar
WARM_UP_SECONDS = 3


Voices = VoiceReference | None | list[VoiceReference | None]


class VoiceCloner:
    """A loaded model that clones voices and speaks; safe to use from several threads."""

    def __init__(self, model_id: str, checkpoint: Checkpoint, codec: Codec, settings: Settings) -> None:
        weight = next(checkpoint.model.parameters())
        self.model_id = model_id
        self.device, self.dtype = str(weight.device), str(weight.dtype).removeprefix("torch.")
        self.loaded_at = int(time.time())
        self._settings = settings
        self._defaults = checkpoint.defaults
        self.codec = codec
        self.licence = checkpoint.licence
        bundled = model_id == BUNDLED_MODEL.name
        self._prompts = checkpoint.prompts(settings.unknown_tags)
        self._planner = Planner(
            self._prompts,
            chosen_reading(settings.reading, english_only=bundled),
            Chunking(checkpoint.piece_characters, checkpoint.piece_sentences),
            trained_on_conversations=not bundled,
            positions=settings.max_positions,
            max_frames_per_byte=settings.max_frames_per_byte,
        )
        self.engine = Engine(
            checkpoint.model,
            slots=settings.slots,
            capacity=settings.max_positions,
            queue_limit=settings.queue_limit,
        )
        self.reference_use = CacheUse()
        self._references: OrderedDict[bytes, VoiceReference] = OrderedDict()
        self._looking, self._encoding = threading.Lock(), threading.Lock()

    @classmethod
    def load(cls, settings: Settings | None = None, ended: Ended = ignored) -> "VoiceCloner":
        """Load and warm the model; None reads the HIGGS_* variables. StartError names the remedy.

        ended: called by the engine's thread whenever it has come to the end of a text, or a part of one.
        """
        settings = settings or load_settings()
        device, name = _device_of(settings.device), settings.model
        if settings.threads:
            torch.set_num_threads(settings.threads)
        if name == "auto":
            name = PUBLISHED_MODEL if device == "cuda" else "bundled"
        if name == "bundled":
            name = str(BUNDLED_MODEL)
        dtype = None if settings.dtype == "auto" else getattr(torch, settings.dtype)
        checkpoint = load_checkpoint(name, codec=settings.codec, device=device, dtype=dtype)
        model_id = Path(name).resolve().name if Path(name).expanduser().is_dir() else name
        cloner = cls(model_id, checkpoint, load_codec(str(checkpoint.codec), device), settings)
        cloner._warm_up()
        cloner.engine.count_from_now(ended)
        if cloner.licence:
            log.info("%s stands under this licence: %s", model_id, cloner.licence)
        return cloner

    def reference(self, audio: bytes, transcript: str | None = None) -> VoiceReference:
        """Make a recording a voice: any container, 1 s or more of sound. InvalidAudio says why it can't be.

        Encoded recordings are kept by their content; one that many ask for at once is encoded once.
        """
        key = hashlib.sha256(audio).digest()
        voice = self._kept(key)
        self.reference_use.note(voice is not None)
        if voice is None:
            with self._encoding:
                voice = self._kept(key) or self._encode(key, audio)
        return replace(voice, transcript=transcript)

    def speak(self, text: str, voice: Voices = None, options: SpeechOptions = SpeechOptions()) -> Speech:
        """Speak a text in a voice, the model's own where None. Errors as of `stream`."""
        return self.stream(text, voice, options).speech()

    def stream(
        self, text: str, voice: Voices = None, options: SpeechOptions = SpeechOptions()
    ) -> SpeechStream:
        """Queue a text to be spoken and return at once. Of several voices, [SPEAKER1] in it calls the second.

        [pause 0.5s] in it is silence (see text.pauses). InvalidRequest: nothing to speak, too long, or
        options out of range. Overloaded: the queue is full.
        """
        text = self._prompts.tags.with_pauses(text)
        segments = self._planner.segments(text, voice if isinstance(voice, list) else [voice], options)
        names = ("temperature", "top_k", "top_p", "seed")
        chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
        sampling = replace(self._defaults, **chosen)
        if any(sound in text for sound in SUSTAINED_SOUNDS):
            sampling = replace(sampling, ras_window=0)
        return SpeechStream(self.engine, self.codec, segments, sampling, options.max_steps)

    def spoken_length(self, text: str) -> int:
        """How long a text is as it is spoken, in characters, before any work of the model's.

        Numbers count as their words where the model reads them so, markup, pauses and tags nothing, and each
        letter of Chinese, Japanese and Korean as three.
        """
        return self._planner.spoken_length(self._prompts.tags.with_pauses(text))

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
        sampling = SamplingOptions(
            temperature, top_k, top_p, max(ras_win_len or 0, 0), ras_win_max_num_repeat, seed
        )
        piece = TextChunk(
            prompt, max(min(max_new_tokens, self._settings.max_positions - len(prompt)), FIRST_FRAME)
        )
        speech = SpeechStream(self.engine, self.codec, [SpeechSegment([piece])], sampling).speech()
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": speech.completion_audio_tokens,
            "total_tokens": len(prompt) + speech.completion_audio_tokens,
            "cached_tokens": 0,
        }
        return ChatMLResponse(speech.samples, SAMPLE_RATE, usage)

    @property
    def waiting(self) -> int:
        """Requests that wait for the model."""
        return self.engine.waiting

    def close(self) -> None:
        """Cancel what is under way and let the model go."""
        self.engine.close()

    def _kept(self, key: bytes) -> VoiceReference | None:
        with self._looking:
            if key in self._references:
                self._references.move_to_end(key)
            return self._references.get(key)

    def _encode(self, key: bytes, audio: bytes) -> VoiceReference:
        used = prepare_reference(decode_audio(audio))
        codes = self.codec.encode(used.samples)
        voice = VoiceReference(
            codes, None, used.source_seconds, used.start_seconds, used.end_seconds, used.trimmed
        )
        with self._looking:
            self._references[key] = voice
            while len(self._references) > self._settings.reference_cache:
                self._references.popitem(last=False)
        return voice

    def _warm_up(self) -> None:
        """Walk every path once, so that the first requests do not pay for it: words are spoken, a recording
        is decoded, judged and encoded, and words are spoken in its voice by several at once."""
        tone = 0.1 * np.sin(2 * np.pi * 120 / SAMPLE_RATE * np.arange(WARM_UP_SECONDS * SAMPLE_RATE))
        tone = tone.astype(np.float32)
        options = SpeechOptions(seed=0, max_steps=2 * FRAME_RATE)
        list(self.stream("Hello.", options=options))
        voice = VoiceReference.of_codes(self.codec.encode(tone))
        with suppress(InvalidRequest):  # a tone is no voice, and few positions may not hold one
            together = [self.stream("Hello.", voice, options) for _ in range(min(self.engine.slots, 8))]
            for stream in together:
                list(stream)
            prepare_reference(decode_audio(encode_audio(tone, "wav").data))


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


def _device_of(wanted: str) -> str:
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise StartError("HIGGS_DEVICE is cuda, but PyTorch finds no CUDA device; set it to cpu or auto.")
    return "cuda" if there and wanted != "cpu" else "cpu"


def main() -> None:
    parser = argparse.ArgumentParser(description="Speak a text in the voice of a recording.")
    parser.add_argument("recording", type=Path, help="1-30 s of one voice, in any sound or video format")
    parser.add_argument("text", help="what to say")
    parser.add_argument("-o", "--output", type=Path, default=Path("out.wav"), help="WAV file to write")
    parser.add_argument("--transcript", help="the words spoken in the recording; makes the clone better")
    parser.add_argument("--seed", type=int, help="the same seed gives the same audio")
    arguments = parser.parse_args()
    try:
        speech = _speak_with_progress(arguments)
        arguments.output.write_bytes(encode_audio(speech.samples, "wav").data)
    except (VoiceServerError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")
    seconds = len(speech.samples) / SAMPLE_RATE
    print(f"{arguments.output}: {seconds:.2f} s, seed {speech.seed}, finish_reason {speech.finish_reason}")


def _speak_with_progress(arguments: argparse.Namespace) -> Speech:
    recording = arguments.recording.read_bytes()
    cloner = VoiceCloner.load()
    voice = cloner.reference(recording, arguments.transcript)
    stream = cloner.stream(arguments.text, voice, SpeechOptions(seed=arguments.seed))
    layout = "{desc} |{bar:30}| {n:.1f} s of speech in {elapsed}"
    with tqdm(desc="speaking", total=len(arguments.text) / TYPICAL_SPEECH, bar_format=layout) as progress:
        for piece in stream:
            progress.total = max(progress.total, progress.n + len(piece) / SAMPLE_RATE)
            progress.update(len(piece) / SAMPLE_RATE)
        progress.total = progress.n
        progress.refresh()
    return stream.finished()


if __name__ == "__main__":
    main()
