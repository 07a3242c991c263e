"""Whisper via transformers: many languages, punctuation, and translation into English.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022). Its section 4.5 has the
thresholds for decoding a window again at a higher temperature, and for silence.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import WhisperForConditionalGeneration, WhisperProcessor
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from asr.token_words import token_words
from asr.transcript import SAMPLE_RATE, Segment, Span, Task, WindowTranscript, Word
from asr.word_places import places
from errors import InvalidRequest

TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MIN_LOG_PROBABILITY = -1.0
NO_SPEECH = 0.6
# transformers computes the compression ratio of tokens instead of text: its 1.35 is Whisper's 2.4.
MAX_COMPRESSION = 1.35
# The prompt may use half of the decoder's positions, minus the special tokens.
PROMPT_SHARE, PROMPT_MARKS = 2, 4


class Whisper:
    """A Whisper checkpoint in transformers' format, English-only or multilingual."""

    expected_wer = 0.25

    def __init__(self, name: str, device: str) -> None:
        """Load a folder or hub id. Raises OSError or ValueError if there is no such checkpoint."""
        dtype = torch.float32 if device == "cpu" else torch.float16
        self.name = Path(name).name
        self._processor: Any = WhisperProcessor.from_pretrained(name)
        model: Any = WhisperForConditionalGeneration.from_pretrained(name, dtype=dtype)
        self._model = model.to(device).eval()
        self._generation = self._model.generation_config
        # English-only checkpoints take neither a language nor a task.
        self._multilingual = bool(getattr(self._generation, "is_multilingual", False))
        known = self._generation.lang_to_id if self._multilingual else ["<|en|>"]
        codes = [token.strip("<|>") for token in known]
        self.languages = {code: LANGUAGES.get(code, code) for code in codes}
        self.translates = self._multilingual

    @torch.inference_mode()
    def transcribe(self, samples: np.ndarray, task: Task) -> WindowTranscript:
        """See Recogniser. Raises InvalidRequest if the prompt has one of Whisper's special tokens."""
        language, no_speech = self._language_and_silence(samples)
        language = task.language or language
        found = self._generate(samples, task, language)
        segments = [self._segment(segment, task, language, no_speech) for segment in found]
        spoken = [segment for segment in segments if segment.text.strip()]
        surest = max((segment.mean_log_probability for segment in spoken), default=-math.inf)
        silent = no_speech > NO_SPEECH and surest < MIN_LOG_PROBABILITY
        return WindowTranscript(language, () if silent else tuple(spoken))

    def align(self, samples: np.ndarray, words: Sequence[str]) -> list[Span | None]:
        """See Recogniser. The words are looked for in those that are heard."""
        heard = self.transcribe(samples, Task(words=True))
        return places([word for segment in heard.segments for word in segment.words], words)

    def close(self) -> None:
        self._model.cpu()

    def _language_and_silence(self, samples: np.ndarray) -> tuple[str, float]:
        """Return the most likely language and the probability of no speech: Whisper's first prediction."""
        features = self._features(samples, padding="max_length")["input_features"]
        start = torch.tensor([[self._generation.decoder_start_token_id]], device=self._model.device)
        logits = self._model(features, decoder_input_ids=start).logits[0, -1].float()
        tokenizer = self._processor.tokenizer
        silence = tokenizer.convert_tokens_to_ids("<|nospeech|>")
        if silence in (None, tokenizer.unk_token_id):
            silence = tokenizer.convert_tokens_to_ids("<|nocaptions|>")  # its name in older checkpoints
        no_speech = float(logits.softmax(-1)[silence])
        if not self._multilingual:
            return "en", no_speech
        ids = list(self._generation.lang_to_id.values())
        return list(self.languages)[int(logits[ids].argmax())], no_speech

    def _generate(self, samples: np.ndarray, task: Task, language: str) -> list[dict[str, Any]]:
        """Return transformers' segments: start, end, tokens, and the decoding result they come from."""
        asked: dict[str, Any] = {}
        if self._multilingual:
            asked = {"language": language, "task": "translate" if task.translate else "transcribe"}
        if task.prompt:
            asked["prompt_ids"] = self._prompt(task.prompt)
        output = self._model.generate(
            **self._features(samples, padding="longest"),
            **asked,
            return_timestamps=True,
            return_segments=True,
            return_token_timestamps=task.words and self._can_align,
            return_dict_in_generate=True,
            output_scores=True,
            temperature=(task.temperature,) if task.temperature else TEMPERATURES,
            compression_ratio_threshold=MAX_COMPRESSION,
            logprob_threshold=MIN_LOG_PROBABILITY,
            condition_on_prev_tokens=False,
        )
        return output["segments"][0]

    @property
    def _can_align(self) -> bool:
        return getattr(self._generation, "alignment_heads", None) is not None

    def _features(self, samples: np.ndarray, padding: str) -> dict[str, torch.Tensor]:
        features = self._processor.feature_extractor(
            samples,
            sampling_rate=SAMPLE_RATE,
            padding=padding,
            return_attention_mask=True,
            return_tensors="pt",
        )
        moved = features.to(self._model.device)
        return {
            "input_features": moved["input_features"].to(self._model.dtype),
            "attention_mask": moved["attention_mask"],
        }

    def _prompt(self, text: str) -> torch.Tensor:
        """Return the ids of the prompt, of which only the end is kept if it is too long."""
        try:
            ids = self._processor.get_prompt_ids(text, return_tensors="pt")
        except ValueError as error:
            raise InvalidRequest(f"{error}", code="reserved_token", param="prompt") from None
        longest = self._model.config.max_target_positions // PROMPT_SHARE - PROMPT_MARKS
        return torch.cat([ids[:1], ids[1:][-longest:]]).to(self._model.device)

    def _segment(self, segment: dict[str, Any], task: Task, language: str, no_speech: float) -> Segment:
        tokenizer, result = self._processor.tokenizer, segment["result"]
        first, last = segment["idxs"]
        before = len(result["sequences"]) - len(result["scores"])
        tokens = segment["tokens"].tolist()
        steps = torch.stack(list(result["scores"][first - before : last - before])).float()
        likelihoods = steps.log_softmax(-1)[torch.arange(len(steps)), tokens[: len(steps)]]
        written = "en" if task.translate else language
        words = tuple(self._words(segment, tokens, likelihoods, written)) if task.words else ()
        return Segment(
            tokenizer.decode(tokens, skip_special_tokens=True),
            float(segment["start"]),
            float(segment["end"]),
            words,
            tuple(tokens),
            float(likelihoods.mean()),
            no_speech,
            task.temperature,
        )

    def _words(
        self, segment: dict[str, Any], tokens: list[int], likelihoods: torch.Tensor, language: str
    ) -> Iterator[Word]:
        """Yield the words of a segment. A token's timestamp is its end; it starts at the previous one's."""
        if "token_timestamps" not in segment:
            return
        tokenizer = self._processor.tokenizer
        spoken = [index for index, token in enumerate(tokens) if token < tokenizer.eos_token_id]
        ends = [float(segment["start"]), *segment["token_timestamps"].tolist()]
        ids = [tokens[index] for index in spoken]
        for text, group in token_words(ids, tokenizer.decode, language):
            first, last = spoken[group[0]], spoken[group[-1]]
            sure = float(likelihoods[first : last + 1].mean().exp())
            yield Word(text.strip(), ends[first], ends[last + 1], sure)
