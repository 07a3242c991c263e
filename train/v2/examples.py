"""Training examples of the second language model, from encoded clips: a reference, and a text to speak.

Prompts are built by the engine's own PromptBuilder. Half of the references have their transcript, as an
earlier exchange; the others are in the scene description. References last 1.5 to 30 s, most less than 8;
longer ones are several clips of the voice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from audio.frames import CODEBOOKS, FRAME_RATE
from higgs.codecs.vocoder.v2.network import (
    CONTENT_BOOKS,
    PITCHES,
    PROSODY_BOOK,
    RANGES,
    READING_BOOK,
    TIMBRE_CODES,
    TIMBRES,
    UNREAD,
    VOICE_BOOK,
    voice_row,
)
from higgs.model.config import HiggsConfig
from higgs.model.delay import apply_delay
from higgs.prompts.v2 import PromptBuilder, Reference
from train.examples import AFTER_TEXT, Example, collate, open_example
from train.v2.coded import Coded, load

EXCHANGE_SHARE = 0.5
READ_SHARE = 0.4  # of the references with a transcript: read as an earlier answer is, and learned from
LENGTHS, LENGTH_SHARES = ((1.5, 8.0), (8.0, 16.0), (16.0, 30.0)), (0.82, 0.12, 0.06)  # s of a reference
GARBLED_SHARE, GARBLED = 0.3, 0.5  # of the unread: how many have wrong codes, and up to which share of them
# Of the voices: to codes drawn evenly, so that rare ones are met, too. What is said is relative to them.
MOVED_SHARE = 0.3
LOWEST, HIGHEST = 4, 46  # levels of pitch so drawn: 67 to 420 Hz
CORRUPTED = 0.08
# Of each codebook: the share of that; what is read is needed to count.
TRUST = np.array([0.3, 0, 1, 1, 1, 1, 1, 1])
LAGS = (0, PROSODY_BOOK)  # columns by which the guided heads follow what is read: reading, and speaking
WAITING, WAITING_BATCHES = 160, 5  # drafts that are sorted by length, at least; and how many batches' worth
MEAN_POSITIONS = 400  # of an example


class Examples:
    """Endless batches from shards of encoded clips, limited in padded positions."""

    def __init__(self, shards: list[Path], builder: PromptBuilder, config: HiggsConfig) -> None:
        self._builder, self._config = builder, config
        self._speakers: list[list[Coded]] = []
        for path in shards:
            clips: dict[int, list[Coded]] = {}
            for clip in load(path):
                # Texts of which the tokenizer drops or joins signs would be guided wrongly.
                if len(builder.encode(clip.text)) == len(clip.text):
                    clips.setdefault(clip.speaker, []).append(clip)
            self._speakers += [found for found in clips.values() if len(found) > 1]
        self.seed(0)

    @property
    def hours(self) -> float:
        return sum(len(clip.codes) for clips in self._speakers for clip in clips) / FRAME_RATE / 3600

    def seed(self, seed: int) -> None:
        """Restart the random draws."""
        self._rng = np.random.default_rng(seed)

    def batches(self, positions: int, longest: Callable[[], float]) -> Iterator[Example]:
        """Yield batches of up to `positions` padded positions, with targets of up to `longest()` seconds."""
        count = max(WAITING, WAITING_BATCHES * positions // MEAN_POSITIONS)
        while True:
            limit = longest()
            drafts = [found for _ in range(count) if (found := self.example(limit))]
            drafts.sort(key=lambda example: len(example.ids))
            groups: list[list[Example]] = [[]]
            for draft in drafts:
                if groups[-1] and len(draft.ids) * (len(groups[-1]) + 1) > positions:
                    groups.append([])
                groups[-1].append(draft)
            full = [group for group in groups if len(group[-1].ids) * len(group) > 0.6 * positions]
            for index in self._rng.permutation(len(full)):
                yield collate(full[index])

    def example(self, longest: float) -> Example | None:
        """Draw a speaker, a target and a reference; None if none of its clips is short enough."""
        clips = self._speakers[self._rng.integers(len(self._speakers))]
        targets = [c for c in clips if not c.recorded and len(c.codes) <= longest * FRAME_RATE]
        if not targets:
            return None
        target = targets[self._rng.integers(len(targets))]
        moved = self._any_voice() if self._rng.random() < MOVED_SHARE else None
        reference, words, voice, read = self._reference([c for c in clips if c is not target], moved)
        whole = full_codes(target, voice)
        prompt = self._builder.speech(target.text, [Reference(reference, words)])
        delayed = apply_delay(whole, self._config)
        example = open_example(prompt, delayed, self._config.audio_token_id)
        start = len(prompt)
        example.learn[start : start + len(delayed) - 1] = True
        self._guide(example, start, target)
        if read is not None:
            first = int(prompt.audio_mask.nonzero()[0])
            length = int(prompt.audio_mask.sum()) - 1  # columns; the last tells none to come
            example.learn[first : first + length] = True
            self._guide(example, first, read)
        self._corrupt(example)
        return example

    def _reference(
        self, clips: list[Coded], moved: np.ndarray | None
    ) -> tuple[torch.Tensor, str | None, np.ndarray, Coded | None]:
        """Return a reference's codes (8, T), transcript or None, voice, and the clip read in it, if any.

        moved: the voice instead of the clips' own.
        """
        rng = self._rng
        exchange = rng.random() < EXCHANGE_SHARE
        aligned = [c for c in clips if not c.recorded]
        if exchange and aligned and rng.random() < READ_SHARE:
            read = aligned[rng.integers(len(aligned))]
            voice = read.voice if moved is None else moved
            return full_codes(read, voice), read.text, voice, read
        low, high = LENGTHS[rng.choice(len(LENGTHS), p=LENGTH_SHARES)]
        frames = int(rng.uniform(low, high) * FRAME_RATE)
        recordings = [c for c in clips if c.recorded]
        pool = recordings if recordings and rng.random() < 0.6 else aligned or recordings
        order = [pool[i] for i in rng.permutation(len(pool))]
        chosen, total = [order[0]], len(order[0].codes)
        for clip in order[1:]:
            # Recordings were measured one by one: their voices' codes differ.
            if total < frames and not clip.recorded:
                chosen.append(clip)
                total += len(clip.codes)
        voice = chosen[0].voice if moved is None else moved
        codes = torch.cat([full_codes(clip, voice) for clip in chosen], 1)
        codes[VOICE_BOOK] = voice_row(torch.from_numpy(voice), codes.shape[1])
        words = " ".join(clip.text for clip in chosen)
        if not exchange and codes.shape[1] > frames:
            start = int(rng.integers(codes.shape[1] - frames + 1))
            codes = codes[:, start : start + frames].clone()
            codes[VOICE_BOOK] = voice_row(torch.from_numpy(voice), frames)
        codes[READING_BOOK] = UNREAD
        if rng.random() < GARBLED_SHARE:
            self._garble(codes)
        return codes, words if exchange else None, voice, None

    def _any_voice(self) -> np.ndarray:
        """Draw the codes (3,) of a voice evenly."""
        level, spread = self._rng.integers(LOWEST, HIGHEST + 1), self._rng.integers(RANGES)
        timbres = PITCHES + TIMBRE_CODES * np.arange(TIMBRES) + self._rng.integers(TIMBRE_CODES, size=TIMBRES)
        return np.array([level * RANGES + spread, *timbres])

    def _garble(self, reference: torch.Tensor) -> None:
        """Replace some codes of a reference (8, T) at random, except those of the voice."""
        said = reference[PROSODY_BOOK:]
        wrong = torch.from_numpy(self._rng.random(said.shape) < GARBLED * self._rng.random())
        said[wrong] = torch.from_numpy(self._rng.integers(0, 1024, int(wrong.sum())))

    def _guide(self, example: Example, first: int, said: Coded) -> None:
        """Set the letters of a clip whose columns begin at `first`; column c has codebook k of frame c-k."""
        length = len(said.text)
        spans = torch.from_numpy(said.spans) + first - AFTER_TEXT - length
        for head, lag in enumerate(LAGS):
            example.letters[first + lag : first + lag + len(spans), head] = spans

    def _corrupt(self, example: Example) -> None:
        """Replace some input codes by others of the clip, so that the model relies on the text."""
        rate = CORRUPTED * self._rng.random() * 2
        audio = example.mask.nonzero()[:, 0]
        shuffled = audio[torch.from_numpy(self._rng.permutation(len(audio)))]
        wrong = torch.from_numpy(self._rng.random((len(audio), CODEBOOKS)) < rate * TRUST)
        wrong &= (example.columns[audio] < 1024) & (example.columns[shuffled] < 1024)
        example.columns[audio] = torch.where(wrong, example.columns[shuffled], example.columns[audio])


def full_codes(clip: Coded, voice: np.ndarray) -> torch.Tensor:
    """Return the codes (8, T) of a clip in a voice (3,)."""
    codes = torch.empty(CODEBOOKS, len(clip.codes), dtype=torch.int64)
    rows = torch.from_numpy(clip.codes.astype(np.int64)).T
    codes[READING_BOOK], codes[PROSODY_BOOK], codes[CONTENT_BOOKS] = rows[0], rows[1], rows[2:]
    codes[VOICE_BOOK] = voice_row(torch.from_numpy(np.asarray(voice, np.int64)), len(clip.codes))
    return codes
