"""A text, its voices and options → what the model is to speak piece by piece, and how that is to sound."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Protocol

import torch

from audio.delivery import Delivery, delivered, filters
from audio.frames import CODEBOOK_SIZE, CODEBOOKS, FRAME_RATE, SAMPLE_RATE
from errors import InvalidRequest, PayloadTooLarge, quoted
from higgs.prompts.phonetic import spelled
from higgs.prompts.tags import BARE_PAUSE, PAUSE, Tags
from higgs.prompts.v2 import QUIET_ROOM, LazyPrompt, Prompt, Reference
from higgs.segments import SpeechSegment, TextChunk
from text.chunking import SPEAKER, Chunking
from text.normalise import Part, Reading, ReadText, plain_scene, read_out, spoken_parts, without_tags
from text.pronunciations import Entries, Lexicon
from text.traced import Traced

MIN_BUDGET = 8 * FRAME_RATE
MAX_SPEAKING_RATE = 1.0  # columns per UTF-8 byte: nobody says more than 25 letters a second
# Beside the silence that the model itself leaves around a sentence.
SENTENCE_PAUSE = round(0.25 * SAMPLE_RATE)
ENDED = re.compile(r"""[.!?…]["')\]]*$""")
# Characters, some 200 words: a dialogue whose voices the model makes up is not cut below that.
DIALOGUE = 1_200
FIRST_FRAME = CODEBOOKS + 1  # columns until the first frame is complete


@dataclass(frozen=True)
class VoiceReference:
    """A voice to speak with: codes int64 (8, T) at 25 frames a second, and the words in them if known.

    Of the recording's source_seconds, start_seconds to end_seconds were used; trimmed: it was too long.
    delivery: how the voice speaks where a request doesn't say. more: other recordings of it, with their
    words, for models that read several. pronunciations: how it says words, as of text.pronunciations.
    """

    codes: torch.Tensor
    transcript: str | None
    source_seconds: float
    start_seconds: float
    end_seconds: float
    trimmed: bool
    delivery: Delivery = Delivery()
    more: tuple[Reference, ...] = ()
    pronunciations: Entries = field(default_factory=dict)

    @classmethod
    def of_codes(cls, codes: torch.Tensor) -> "VoiceReference":
        """A reference of bare codes; InvalidRequest unless they are (8, T ≥ 1) integers of 0..1023."""
        shaped = codes.ndim == 2 and len(codes) == CODEBOOKS and codes.numel() > 0
        whole = shaped and not codes.is_floating_point()
        if not whole or codes.min() < 0 or codes.max() >= CODEBOOK_SIZE:
            raise InvalidRequest(f"A voice reference is {CODEBOOKS} rows of codes 0..{CODEBOOK_SIZE - 1}.")
        seconds = codes.shape[1] / FRAME_RATE
        return cls(codes, None, seconds, 0.0, seconds, False)


@dataclass(frozen=True)
class SpeechOptions:
    """How to speak; None takes the model's own default. max_steps: longest speech, in columns of 40 ms.

    delivery, pronunciations: outrank those of the voices. scene: where and how it is spoken, for models that
    follow it; None for a quiet room.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    max_steps: int | None = None
    delivery: Delivery = Delivery()
    scene: str | None = None
    pronunciations: Entries = field(default_factory=dict)


class Prompts(Protocol):
    """What makes the prompt of a piece; see higgs.prompts.v2.PromptBuilder."""

    normalised: bool
    tags: Tags
    reads_phones: bool

    def speech(
        self,
        text: str,
        references: Sequence[Reference],
        scene: str | None,
        before: Reference | None,
        speakers: Sequence[str],
    ) -> Prompt: ...

    def text_positions(self, text: str, scene: str | None) -> int: ...

    def supports_instructions(self, scene: str) -> bool: ...


@dataclass(frozen=True)
class Planner:
    """What is known of a model and its server, whatever the text.

    chunking: how much text the model speaks well in one go.
    trained_on_conversations: it can be told how to speak, reads several recordings of a voice, and goes on
    from what was said before, as far as its prompts have a place for them.
    positions: of a prompt and its speech together; max_frames_per_byte: see Settings.
    max_spoken_characters: of a text as it is read out, where "9999" has 41; each takes time to be spoken.
    pronunciations: the server's own, which those of voices and requests outrank.
    """

    prompts: Prompts
    reading: Reading
    chunking: Chunking
    trained_on_conversations: bool
    positions: int
    max_frames_per_byte: float
    max_spoken_characters: int
    pronunciations: Entries = field(default_factory=dict)

    def read(self, text: str, voices: int, dictionaries: Sequence[Sequence[Entries]] = ()) -> ReadText:
        """A text for so many voices as it is read out, and nothing of it planned yet. InvalidRequest as of
        read_out, PayloadTooLarge where that is too long.

        dictionaries: for each voice, how it says words, those first that outrank the others.
        """
        read = self.read_any(text, voices, dictionaries)
        if read.length > self.max_spoken_characters:
            message = f"The text has {read.length} characters when it is read out, numbers in words;"
            message += f" at most {self.max_spoken_characters} are spoken in one request. Send it in parts."
            raise PayloadTooLarge(message, code="text_too_long")
        return read

    def read_any(self, text: str, voices: int, dictionaries: Sequence[Sequence[Entries]] = ()) -> ReadText:
        """As `read`, of any length."""
        each = dictionaries or [()] * voices
        lexicons = [Lexicon(*own, self.pronunciations, phones=self.phones) for own in each]
        own_pause = PAUSE in self.prompts.tags.known
        traced = Traced.of(text)
        written = traced.sub(BARE_PAUSE, PAUSE, silent=True) if own_pause else traced
        return read_out(written, self.reading, voices, normalised=self.prompts.normalised, lexicons=lexicons)

    def segments(
        self,
        text: ReadText,
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        before: Reference | None = None,
    ) -> list[SpeechSegment]:
        """What is spoken one after the other. InvalidRequest as of PromptBuilder.build.

        The text is read again where the request or a voice tells how words are said.

        before: what the voice has just said, for models that go on from it; of no use to several voices.
        """
        own = [(options.pronunciations, voice.pronunciations if voice else {}) for voice in voices]
        if any(map(any, own)):
            text = self.read(text.written, len(voices), own)
        return self.segments_of(self.parts(text, voices), voices, options, before)

    def parts(self, text: ReadText, voices: Sequence[VoiceReference | None]) -> list[Part]:
        """A text as it is cut into what is spoken in one go."""
        chunking = self.chunking
        if self._speakers(text.written, voices):
            chunking = replace(chunking, characters=max(chunking.characters, DIALOGUE))
        return spoken_parts(text, chunking, manners=self.prompts.tags.manners)

    def segments_of(
        self,
        parts: Sequence[Part],
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        before: Reference | None = None,
    ) -> list[SpeechSegment]:
        """How some parts of a text are spoken. InvalidRequest as of PromptBuilder.build."""
        spoken = [part for part in parts if isinstance(part, tuple)]
        speakers = self._speakers(" ".join(text for _, text in spoken), voices)
        pieces = iter(self._pieces(spoken, voices, options, speakers, before))
        sounds = [
            options.delivery.with_defaults(voice.delivery if voice else Delivery()).sound for voice in voices
        ]
        found = []
        for sound, group in groupby(parts, lambda part: sounds[part[0]] if isinstance(part, tuple) else None):
            if sound is None:
                found.append(SpeechSegment([], silence=round(sum(map(_seconds, group)) * SAMPLE_RATE)))
            else:
                filter = partial(delivered, sound=sound) if filters(*sound) else iter
                found.append(SpeechSegment([next(pieces) for _ in group], filter=filter, tempo=sound[0]))
        return found

    def check_pronunciations(self, entries: Entries) -> None:
        """Raise InvalidRequest where a dictionary tells phones that this model can't read."""
        Lexicon(entries, phones=self.phones)

    def phones(self, phonetic: str) -> str:
        """What stands for a phonetic pronunciation in the model's text. InvalidRequest for one of letters."""
        if not self.prompts.reads_phones:
            message = f"This model reads letters, no phones such as {quoted(phonetic)}; respell the word"
            message += ' in letters: {"Nguyen": "win"}.'
            raise InvalidRequest(message, code="unsupported", param="pronunciations")
        return spelled(phonetic)

    def _speakers(self, text: str, voices: Sequence[VoiceReference | None]) -> list[str]:
        """The speakers of a dialogue that the model gives voices of its own; none, where voices are given."""
        named = sorted({f"SPEAKER{number}" for number in SPEAKER.findall(text)})
        casts = self.trained_on_conversations and len(named) > 1 and list(voices) == [None]
        return named if casts else []

    def _pieces(
        self,
        spoken: Sequence[tuple[int, str]],
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        speakers: Sequence[str],
        before: Reference | None,
    ) -> list[TextChunk]:
        """A piece for each part; one that its voice has spoken before goes on from there."""
        found: list[TextChunk] = []
        last: dict[int, int] = {}
        around: dict[int, int] = {}  # positions of a speaker's prompts beside those of their texts
        for number, (speaker, text) in enumerate(spoken):
            voice = voices[speaker]
            references = [self._reference(voice)] if voice else []
            scene = self._scene(voice, options)
            prompt = partial(self.prompts.speech, text, references, scene, speakers=speakers)
            positions = self.prompts.text_positions(text, scene)
            if speaker not in around:
                around[speaker] = len(prompt(before=None)) - positions
            lazy = LazyPrompt(around[speaker] + positions, partial(prompt, before=None))
            piece = self._piece(lazy, text)
            if self.trained_on_conversations and speaker in last:
                said = spoken[last[speaker]][1]
                continuation_prompt = partial(self._continuation_prompt, piece, prompt, said)
                piece = replace(piece, previous=last[speaker], continuation_prompt=continuation_prompt)
            elif self.trained_on_conversations and before is not None and number == 0 and len(voices) == 1:
                going_on = self._continuation_prompt(piece, prompt, before.transcript or "", before.codes)
                piece = replace(piece, prompt=going_on)
            found.append(piece)
            last[speaker] = number
        return found

    def followed(self, voices: Sequence[VoiceReference | None], options: SpeechOptions) -> bool | None:
        """Whether the model heeds how the request or a voice says to speak; None where neither says it."""
        told = [options.scene, options.delivery.instructions]
        if not any([*told, *(voice.delivery.instructions for voice in voices if voice)]):
            return None
        heeded = (self.prompts.supports_instructions(self._scene(voice, options)) for voice in voices)
        return self.trained_on_conversations and any(heeded)

    def _reference(self, voice: VoiceReference) -> Reference:
        return Reference(voice.codes, voice.transcript, voice.more if self.trained_on_conversations else ())

    def _piece(self, prompt: LazyPrompt, text: str) -> TextChunk:
        """A prompt for a text, with the columns that fit beside it, if those needed do."""
        length = len(text.encode())
        pause = SENTENCE_PAUSE if self.chunking.sentences and ENDED.search(text) else 0
        needed = max(int(MAX_SPEAKING_RATE * length), FIRST_FRAME)
        budget = MIN_BUDGET + int(self.max_frames_per_byte * length)
        columns = min(budget, max(self.positions - len(prompt), needed))
        return TextChunk(prompt, columns, needed, without_tags(text).strip(), pause)

    def _continuation_prompt(
        self, piece: TextChunk, prompt: Callable[..., Prompt], said: str, codes: torch.Tensor
    ) -> Prompt:
        """The prompt that goes on from what was said, if there is room for it."""
        longer = prompt(before=Reference(codes, said))
        return longer if len(longer) + piece.max_steps <= self.positions else piece.prompt.made()

    def _scene(self, voice: VoiceReference | None, options: SpeechOptions) -> str:
        """The description of the scene, and behind it how to speak."""
        told = options.delivery.with_defaults(voice.delivery if voice else Delivery()).instructions
        if not self.trained_on_conversations:
            return QUIET_ROOM
        if told and voice is None and self.prompts.normalised:
            return f"{plain_scene(options.scene or QUIET_ROOM)}\n\nSPEAKER0: {plain_scene(told)}"
        return "\n".join(filter(None, map(plain_scene, (options.scene or QUIET_ROOM, told or ""))))


def _seconds(part: tuple[int, str] | float) -> float:
    return part if isinstance(part, float) else 0.0
