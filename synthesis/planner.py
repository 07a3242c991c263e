"""Plan the speech of a text: segments and text chunks with their prompts, and how they sound."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Protocol

import torch

from audio.delivery import Delivery, delivered, filters
from audio.frames import CODEBOOKS, FRAME_RATE, SAMPLE_RATE
from errors import InvalidRequest, PayloadTooLarge, quoted
from higgs.prompts.phonetic import phone_symbols, spelled
from higgs.prompts.respelling import respelled
from higgs.prompts.tags import BARE_PAUSE, PAUSE, Tags
from higgs.prompts.v2 import QUIET_ROOM, LazyPrompt, Prompt, Reference
from higgs.segments import SpeechSegment, TextChunk
from synthesis.options import SpeechOptions
from synthesis.references import VoiceReference
from text.chunking import SPEAKER, Chunking, spoken_length
from text.normalise import (
    Part,
    Reading,
    ReadText,
    plain_scene,
    read_out,
    spoken_parts,
    without_tags,
)
from text.pronunciations import Dictionaries, Entries, Lexicon
from text.traced import Traced

# Columns beside those for each byte. Models of conversations may laugh or sigh between the words; one that
# only reads aloud says short words in 1.8 s at most, and what goes on is a held sound.
MIN_BUDGET, MIN_READING_BUDGET = 8 * FRAME_RATE, 2 * FRAME_RATE
MAX_SPEAKING_RATE = 1.0  # columns per UTF-8 byte: the fastest speakers reach 25 letters per second
# Beside the silence that the model itself leaves around a sentence.
SENTENCE_PAUSE = round(0.25 * SAMPLE_RATE)
ENDED = re.compile(r"""[.!?…]["')\]]*$""")
# Characters, some 200 words: minimum chunk of a dialogue for which the model makes up voices.
DIALOGUE = 1_200
FIRST_FRAME = CODEBOOKS + 1  # columns until the first frame is complete


class Prompts(Protocol):
    """Builds the prompts of text chunks; see higgs.prompts.v2.PromptBuilder."""

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
    """Plans texts for one model.

    Attributes:
        prompts: the model's prompt builder.
        reading: text normalisation.
        chunking: how much text the model speaks well at once.
        trained_on_conversations: the model follows instructions, uses several recordings, and continues
            earlier speech, as far as its prompts support that.
        positions: maximum per stream, prompt and speech together.
        min_frames_per_letter: see Checkpoint.
        max_frames_per_byte: see Settings.
        max_spoken_characters: maximum length of a normalised text ("9999" has 41 characters).
        pronunciations: the server's own, which those of voices and requests override.
        respells_phones: the model reads English letters only: phones are spelled for it.
    """

    prompts: Prompts
    reading: Reading
    chunking: Chunking
    trained_on_conversations: bool
    positions: int
    min_frames_per_letter: float
    max_frames_per_byte: float
    max_spoken_characters: int
    pronunciations: Entries = field(default_factory=dict)
    respells_phones: bool = False

    def read(self, text: str, voices: int, dictionaries: Dictionaries = ()) -> ReadText:
        """Normalise a text.

        Args:
            text: the text.
            voices: number of voices.
            dictionaries: pronunciations for each voice, those that override others first; () for none.

        Raises:
            InvalidRequest: see read_out.
            PayloadTooLarge: the normalised text is too long.
        """
        read = self.read_any(text, voices, dictionaries)
        if read.length > self.max_spoken_characters:
            message = f"The text has {read.length} characters when it is read out, numbers in words;"
            message += f" at most {self.max_spoken_characters} are spoken in one request. Send it in parts."
            raise PayloadTooLarge(message, code="text_too_long")
        return read

    def read_any(self, text: str, voices: int, dictionaries: Dictionaries = ()) -> ReadText:
        """Like `read`, for any length."""
        each = dictionaries or ((),) * voices
        lexicons = [Lexicon(*own, self.pronunciations, phones=self.phones) for own in each]
        own_pause = PAUSE in self.prompts.tags.known
        traced = Traced.of(text)
        written = traced.sub(BARE_PAUSE, PAUSE, silent=True) if own_pause else traced
        read = read_out(written, self.reading, voices, normalised=self.prompts.normalised, lexicons=lexicons)
        return replace(read, dictionaries=each)

    def segments(
        self,
        text: ReadText,
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        before: Reference | None = None,
    ) -> list[SpeechSegment]:
        """Return the segments of a text, in order.

        Args:
            text: from `read`; read again if a voice has other pronunciations than it was read with.
            voices: one per speaker.
            options: how to speak.
            before: what the voice has just said, for models that continue it.

        Raises:
            InvalidRequest: see PromptBuilder.build.
            PayloadTooLarge: see `read`.
        """
        own = self.dictionaries(voices, options)
        if own != text.dictionaries:
            text = self.read(text.written, len(voices), own)
        return self.segments_of(self.parts(text, voices), voices, options, before)

    @staticmethod
    def dictionaries(voices: Sequence[VoiceReference | None], options: SpeechOptions) -> Dictionaries:
        """Return the pronunciations for each voice: the request's, then its own; empty ones are left out."""
        each = ((options.pronunciations, voice.pronunciations if voice else {}) for voice in voices)
        return tuple(tuple(filter(None, own)) for own in each)

    def parts(self, text: ReadText, voices: Sequence[VoiceReference | None]) -> list[Part]:
        """Split a text into what is spoken at once."""
        chunking = self.chunking
        if self._speakers(text.written, voices):
            chunking = replace(chunking, characters=max(chunking.characters, DIALOGUE))
        return spoken_parts(text, chunking, manners=self.prompts.tags.manners)

    def checked_parts(
        self, text: ReadText, voices: Sequence[VoiceReference | None], options: SpeechOptions
    ) -> list[Part]:
        """Return the `parts` of a text of any length. Raises what `segments_of` would raise for one."""
        parts = self.parts(text, voices)
        self.segments_of(parts, voices, options)
        return parts

    def segments_of(
        self,
        parts: Sequence[Part],
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        before: Reference | None = None,
    ) -> list[SpeechSegment]:
        """Return the segments of some parts of a text. Raises InvalidRequest; see PromptBuilder.build."""
        spoken = [part for part in parts if isinstance(part, tuple)]
        speakers = self._speakers(" ".join(text for _, text in spoken), voices)
        chunks = iter(self._chunks(spoken, voices, options, speakers, before))
        sounds = [
            options.delivery.with_defaults(voice.delivery if voice else Delivery()).sound for voice in voices
        ]
        found = []
        for sound, group in groupby(parts, lambda part: sounds[part[0]] if isinstance(part, tuple) else None):
            if sound is None:
                seconds = sum(pause for pause in group if isinstance(pause, float))
                found.append(SpeechSegment([], silence=round(seconds * SAMPLE_RATE)))
            else:
                filter = partial(delivered, sound=sound) if filters(*sound) else iter
                found.append(SpeechSegment([next(chunks) for _ in group], filter=filter, tempo=sound[0]))
        return found

    def check_pronunciations(self, entries: Entries) -> None:
        """Raise InvalidRequest if a dictionary has phones, which this model can't read."""
        Lexicon(entries, phones=self.phones)

    def phones(self, phonetic: str) -> str:
        """Return a phonetic pronunciation as the model's text has it.

        Raises:
            InvalidRequest: unsupported, this model reads letters only.
        """
        if self.prompts.reads_phones:
            return spelled(phonetic)
        if self.respells_phones:
            return respelled(phone_symbols(phonetic))
        message = f"This model reads letters, no phones such as {quoted(phonetic)}; respell the word"
        message += ' in letters: {"Nguyen": "win"}.'
        raise InvalidRequest(message, code="unsupported", param="pronunciations")

    def _speakers(self, text: str, voices: Sequence[VoiceReference | None]) -> list[str]:
        """Return the speakers of a dialogue for whom the model makes up voices; none if voices are given."""
        named = sorted({f"SPEAKER{number}" for number in SPEAKER.findall(text)})
        casts = self.trained_on_conversations and len(named) > 1 and list(voices) == [None]
        return named if casts else []

    def _chunks(
        self,
        spoken: Sequence[tuple[int, str]],
        voices: Sequence[VoiceReference | None],
        options: SpeechOptions,
        speakers: Sequence[str],
        before: Reference | None,
    ) -> list[TextChunk]:
        """Return a text chunk for each part; it continues the same voice's previous one."""
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
            chunk = self._chunk(lazy, text)
            if self.trained_on_conversations and speaker in last:
                said = spoken[last[speaker]][1]
                continuation_prompt = partial(self._continuation_prompt, chunk, prompt, said)
                chunk = replace(chunk, previous=last[speaker], continuation_prompt=continuation_prompt)
            elif self.trained_on_conversations and before is not None and number == 0 and len(voices) == 1:
                continued = self._continuation_prompt(chunk, prompt, before.transcript or "", before.codes)
                chunk = replace(chunk, prompt=continued)
            found.append(chunk)
            last[speaker] = number
        return found

    def followed(self, voices: Sequence[VoiceReference | None], options: SpeechOptions) -> bool | None:
        """Return whether the model follows the instructions of options or voices; None if there are none."""
        instructions = [options.scene, options.delivery.instructions]
        if not any([*instructions, *(voice.delivery.instructions for voice in voices if voice)]):
            return None
        supported = (self.prompts.supports_instructions(self._scene(voice, options)) for voice in voices)
        return self.trained_on_conversations and any(supported)

    def _reference(self, voice: VoiceReference) -> Reference:
        return Reference(voice.codes, voice.transcript, voice.more if self.trained_on_conversations else ())

    def _chunk(self, prompt: LazyPrompt, text: str) -> TextChunk:
        """Return a text chunk with as many columns as fit beside its prompt."""
        length = len(text.encode())
        pause = SENTENCE_PAUSE if self.chunking.sentences and ENDED.search(text) else 0
        needed = max(int(MAX_SPEAKING_RATE * length), FIRST_FRAME)
        spare = MIN_BUDGET if self.trained_on_conversations else MIN_READING_BUDGET
        budget = spare + int(self.max_frames_per_byte * length)
        columns = min(budget, max(self.positions - len(prompt), needed))
        said = without_tags(text).strip()
        return TextChunk(prompt, columns, self.min_frames(said), said, pause)

    def min_frames(self, text: str) -> int:
        """Return the minimum frames of a text's speech."""
        return int(self.min_frames_per_letter * spoken_length(text))

    def _continuation_prompt(
        self, chunk: TextChunk, prompt: Callable[..., Prompt], said: str, codes: torch.Tensor
    ) -> Prompt:
        """Return the prompt that continues what was said, if there is room for it."""
        longer = prompt(before=Reference(codes, said))
        return longer if len(longer) + chunk.max_steps <= self.positions else chunk.prompt.made()

    def _scene(self, voice: VoiceReference | None, options: SpeechOptions) -> str:
        """Return the scene description followed by the instructions."""
        own = voice.delivery if voice else Delivery()
        instructions = options.delivery.with_defaults(own).instructions
        if not self.trained_on_conversations:
            return QUIET_ROOM
        if instructions and voice is None and self.prompts.normalised:
            return f"{plain_scene(options.scene or QUIET_ROOM)}\n\nSPEAKER0: {plain_scene(instructions)}"
        return "\n".join(filter(None, map(plain_scene, (options.scene or QUIET_ROOM, instructions or ""))))
