"""Training examples of the language model: a voice, a reference clip of it, and a text to speak in it.

Prompts are built by the engine's own PromptBuilder. About half of the references have their transcript, as an
earlier exchange, some of which are learned from as well; the others are in the scene description, without
one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from audio.frames import CODEBOOKS, FRAME_RATE
from higgs.codecs.vocoder.analysis import Features
from higgs.codecs.vocoder.codec import encode_clips, voice_codes
from higgs.codecs.vocoder.network import CODES, PROSODY_BOOK, VocoderNetwork
from higgs.codecs.vocoder.speaker import RANGES, Speaker, pitch_of_codes, speaker_of
from higgs.model.config import HiggsConfig
from higgs.model.delay import apply_delay
from higgs.prompts.v2 import Prompt, PromptBuilder, Reference
from train.guide import BEFORE
from train.reading import letter_spans, phone_times, pronounced, reading
from train.speech import Teacher, Utterance
from train.voices import Warp, centred, draw_warp, frames_of, moved, recorded, warp

EXCHANGE_SHARE = 0.55  # of the references: with their transcript
MAX_REFERENCE_SECONDS = 10.0
MAX_NATURAL = 20  # utterances for which a natural teacher is drawn: many a hundred have but few
BUILT_IN_WEIGHT = 4  # times as often as its number says, a built-in voice is drawn
FLITE_SHARE = 0.25  # times as often as a natural utterance, one of flite's is drawn
READ_SHARE = 0.5  # of the references with a transcript: read as an earlier answer is, and learned from
RECORDED_SHARE = 0.7  # of the others: as people's recordings are
MOVED_SHARE = 0.35  # of the voices: to a pair of codes drawn evenly, so that those few are met that few have
MIN_LEVEL, MAX_LEVEL = 6, 60  # of the levels of pitch so drawn: 68 to 430 Hz
GARBLED_SHARE, GARBLED = 0.2, 0.7  # of the others: how many have wrong codes, and up to which share of them
CORRUPTED = 0.06
TRUST = np.array(
    [0.3, 0, 0, 1, 1, 1, 1, 1]
)  # of each codebook: the share of that; what is read is needed to count
# Of a teacher's durations, at least: an answer is clear, however hurried its recording is.
SLOWER_THAN_FLITE = 1.1
SHORT_CLIP, LONG_REFERENCE_SHARE = 6.0, 0.12
PICKS = 60  # tries to find an utterance of a length
REACH = 1.2  # letters on either side that may be what a frame says
LAGS = (0, PROSODY_BOOK)  # columns by which the guided heads follow what is read: reading, and speaking

AFTER_TEXT = 3  # marks between a text and the columns that speak it


@dataclass
class Example:
    """A tokenised example of S positions.

    Attributes:
        ids: [S].
        columns: [S, 8], the input codes.
        mask: [S], true for audio positions.
        targets: [S, 8], the columns to predict.
        learn: [S], whether they count.
        letters: [S, 2, 2], first and last position in the text for each guided head to attend to; -1 for any.
        sounds: [S, 3], what the text's positions pronounce (see train.guide); -1 for nothing.
    """

    ids: torch.Tensor
    columns: torch.Tensor
    mask: torch.Tensor
    targets: torch.Tensor
    learn: torch.Tensor
    letters: torch.Tensor
    sounds: torch.Tensor


@dataclass(frozen=True)
class Draft:
    """An example before its clips are encoded; the speaker's voice is measured on the reference.

    Attributes:
        exchange: the reference has its transcript, as an earlier exchange.
        by: the pseudo-speaker.
        reference, target: what is spoken.
        read: the reference has codebook 0, like an earlier answer; otherwise it is a recording.
    """

    exchange: bool
    by: Warp
    reference: Utterance
    target: Utterance
    read: bool


@dataclass(frozen=True)
class Spoken:
    """An encoded draft: its prompt, and the target's codes (8, T) and features."""

    draft: Draft
    prompt: Prompt
    codes: torch.Tensor
    clip: Features


class Examples:
    """Endless batches of examples from utterances, limited in padded positions."""

    def __init__(
        self,
        utterances: list[Utterance],
        network: VocoderNetwork,
        builder: PromptBuilder,
        config: HiggsConfig,
    ) -> None:
        self._network, self._builder, self._config = network, builder, config
        self.seed(0)
        spoken: dict[Teacher, list[Utterance]] = {}
        for utterance in utterances:
            spoken.setdefault(utterance.teacher, []).append(utterance)
        self._spoken_by = [found for found in spoken.values() if len(found) > 1]
        shares = np.array([share_of(found) for found in self._spoken_by], float)
        self._shares = shares / shares.sum()

    def seed(self, seed: int) -> None:
        """Restart the random draws."""
        self._rng = np.random.default_rng(seed)

    def batches(self, positions: int, longest: float) -> Iterator[list[Example]]:
        """Yield batches of at most `positions` padded positions, with clips of at most `longest` seconds."""
        while True:
            drafts = sorted((self.draft(longest) for _ in range(160)), key=_size)
            groups: list[list[Draft]] = [[]]
            for draft in drafts:
                if groups[-1] and _size(draft) * (len(groups[-1]) + 1) > positions:
                    groups.append([])
                groups[-1].append(draft)
            full = [group for group in groups if _size(group[-1]) * len(group) > 0.7 * positions]
            for index in self._rng.permutation(len(full)):
                yield [self._lay_out(spoken) for spoken in self.encoded(full[index])]

    def draft(self, longest: float) -> Draft:
        """Draw a speaker and two sentences of at most `longest` seconds."""
        spoken = self._spoken_by[self._rng.choice(len(self._shares), p=self._shares)]
        exchange = bool(self._rng.random() < EXCHANGE_SHARE)
        # Most clips are short, which is quick to learn from; the others keep the long ones known.
        longest = longest if self._rng.random() < 0.15 else min(longest, SHORT_CLIP)
        # A reference that isn't learned from is kept short more often: it costs positions.
        most = longest if exchange or self._rng.random() < 0.3 else 4.5
        most = MAX_REFERENCE_SECONDS if self._rng.random() < LONG_REFERENCE_SHARE else most
        target = self._pick(spoken, 0.3, longest)
        reference = self._pick(spoken, 1.5, most, but=target)
        read = exchange and bool(self._rng.random() < READ_SHARE)
        return Draft(exchange, draw_warp(target.teacher, self._rng), reference, target, read)

    def _pick(
        self, spoken: list[Utterance], shortest: float, longest: float, but: Utterance | None = None
    ) -> Utterance:
        """Pick an utterance within a length range; if there is hardly any, the one nearest to the minimum."""
        for _ in range(PICKS):
            found = spoken[self._rng.integers(len(spoken))]
            if found is not but and shortest <= found.frames / FRAME_RATE <= longest:
                return found
        return min((u for u in spoken if u is not but), key=lambda u: abs(u.frames / FRAME_RATE - shortest))

    def encoded(self, drafts: list[Draft]) -> list[Spoken]:
        """Warp the clips of drafts and encode them as one batch."""
        clips, voices = [], []
        for draft in drafts:
            reference = self._clip(draft.reference, draft.by, draft.read)
            target = self._clip(draft.target, draft.by)
            if not draft.read and self._rng.random() < RECORDED_SHARE:
                reference = recorded(reference, self._rng)
            speaker = speaker_of(reference)
            if self._rng.random() < MOVED_SHARE:
                drawn = self._any_speaker()
                reference, target = (moved(clip, speaker, drawn) for clip in (reference, target))
                speaker = drawn
            voice = voice_codes(self._network, speaker)
            voices += [voice] * 2
            clips += [reference, centred(target, float(pitch_of_codes(voice[:1].numpy())[0][0]))]
        with torch.no_grad():
            codes = encode_clips(self._network, clips, torch.stack(voices))
        return [
            self._spoken(*parts) for parts in zip(drafts, codes[::2], codes[1::2], clips[1::2], strict=True)
        ]

    def _any_speaker(self) -> Speaker:
        """Draw a speaker with independent codes: pitch and mean envelope aren't correlated as in people."""
        level, spread = self._rng.integers(MIN_LEVEL, MAX_LEVEL), self._rng.integers(RANGES)
        pitch = pitch_of_codes(np.asarray(level * RANGES + spread))
        timbre = self._network.timbres.vectors[self._rng.integers(CODES)]
        return Speaker(float(pitch[0]), float(pitch[1]), timbre.numpy())

    def _clip(self, utterance: Utterance, by: Warp, read: bool = True) -> Features:
        """Return an utterance by a pseudo-speaker; if read, unhurried and with its phones on frames."""
        by = unhurried(by) if read else by
        times = phone_times(utterance, frames_of(utterance.features, by)) if read else None
        return warp(utterance.features, by, times)

    def _spoken(self, draft: Draft, reference: torch.Tensor, target: torch.Tensor, clip: Features) -> Spoken:
        transcript = draft.reference.text if draft.exchange else None
        if draft.read:
            reference[0] = reading(draft.reference, reference.shape[1])
        elif self._rng.random() < GARBLED_SHARE:
            self._garble(reference)
        target[0] = reading(draft.target, target.shape[1])
        prompt = self._builder.speech(draft.target.text, [Reference(reference, transcript)])
        return Spoken(draft, prompt, target, clip)

    def _garble(self, reference: torch.Tensor) -> None:
        """Replace some codes of a reference (8, T) at random, except the voice's.

        A voice can say anything, and its voice codes alone say whose it is.
        """
        said = reference[PROSODY_BOOK:]
        wrong = torch.from_numpy(self._rng.random(said.shape) < GARBLED * self._rng.random())
        said[wrong] = torch.from_numpy(self._rng.integers(0, 1024, int(wrong.sum())))

    def _lay_out(self, spoken: Spoken) -> Example:
        draft, prompt, frames = spoken.draft, spoken.prompt, spoken.codes.shape[1]
        delayed = apply_delay(spoken.codes, self._config)
        example = open_example(prompt, delayed, self._config.audio_token_id)
        start = len(prompt)
        example.learn[start : start + len(delayed) - 1] = True
        self._guide(example, start, draft.target, frames)
        if draft.read:
            first = int(prompt.audio_mask.nonzero()[0])
            length = int(prompt.audio_mask.sum()) - 1  # columns; the last tells none to come
            example.learn[first : first + length] = True
            self._guide(example, first, draft.reference, length - CODEBOOKS)
        self._corrupt(example)
        return example

    def _guide(self, example: Example, first: int, said: Utterance, frames: int) -> None:
        """Set the letters of a clip whose columns begin at position `first`, and the sounds of its text.

        Column c has codebook k of frame c - k.
        """
        length = len(self._builder.encode(said.text))
        spans = letter_spans(said, frames, length, REACH) + first - AFTER_TEXT - length
        for head, lag in enumerate(LAGS):
            example.letters[first + lag : first + lag + frames, head] = spans
        tokens, sounds = pronounced(said, length)
        for head, letters in enumerate(BEFORE):
            at = first - AFTER_TEXT - length + tokens + letters
            example.sounds[at[at < first], head] = sounds[at < first]

    def _corrupt(self, example: Example) -> None:
        """Replace some input codes by others of the clip, so that the model relies on the text."""
        rate = CORRUPTED * self._rng.random() * 2
        audio = example.mask.nonzero()[:, 0]
        shuffled = audio[torch.from_numpy(self._rng.permutation(len(audio)))]
        wrong = torch.from_numpy(self._rng.random((len(audio), CODEBOOKS)) < rate * TRUST)
        wrong &= (example.columns[audio] < 1024) & (example.columns[shuffled] < 1024)
        example.columns[audio] = torch.where(wrong, example.columns[shuffled], example.columns[audio])


def _size(draft: Draft) -> int:
    texts = len(draft.target.text) + (len(draft.reference.text) if draft.exchange else 0)
    clips = draft.target.frames + draft.reference.frames
    return int(30 + texts + clips * unhurried(draft.by).tempo)


def unhurried(by: Warp) -> Warp:
    """Return the warp, slowed down if needed to a clear pace."""
    least = 1.0 if by.teacher.natural else SLOWER_THAN_FLITE
    return replace(by, tempo=max(by.tempo, least))


def share_of(spoken: list[Utterance]) -> float:
    """Return how often a teacher is drawn, from how much it has spoken."""
    teacher = spoken[0].teacher
    if not teacher.natural:
        return FLITE_SHARE * len(spoken)
    return min(len(spoken), MAX_NATURAL) * (1 if teacher.shift is None else BUILT_IN_WEIGHT)


def open_example(prompt: Prompt, delayed: torch.Tensor, audio_token: int) -> Example:
    """Return the prompt followed by the answer's columns; nothing is learned yet."""
    count = len(delayed)
    columns = torch.cat([prompt.audio_columns, delayed])
    mask = torch.cat([prompt.audio_mask, torch.ones(count, dtype=torch.bool)])
    learn = torch.zeros(len(mask), dtype=torch.bool)
    letters = torch.full((len(mask), len(LAGS), 2), -1)
    ids = torch.cat([prompt.input_ids, torch.full((count,), audio_token)])
    sounds = torch.full((len(mask), len(BEFORE)), -1)
    return Example(ids, columns, mask, columns.roll(-1, 0), learn, letters, sounds)


def collate(examples: list[Example]) -> Example:
    """Return one batch, padded at the end with positions that don't count."""
    longest = max(len(e.ids) for e in examples)
    stacked = {}
    for name in vars(examples[0]):
        parts = [getattr(e, name) for e in examples]
        shape = (len(parts), longest, *parts[0].shape[1:])
        stacked[name] = parts[0].new_full(shape, -1 if name in ("letters", "sounds") else 0)
        for row, part in zip(stacked[name], parts, strict=True):
            row[: len(part)] = part
    return Example(**stacked)
