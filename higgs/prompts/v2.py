"""Prompts of Higgs Audio v2: texts and reference codes → token ids and audio columns. v3's are in prompts.v3.

A prompt is ChatML with Llama 3's special tokens. Audio is a run of positions between two special tokens: the
columns of its codes with the delay pattern applied. Ids and columns equal those that boson-multimodal makes
of a ChatMLSample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from higgs.model.config import HiggsConfig
from higgs.model.delay import apply_delay
from higgs.model.tokenizer import Tokenizer, Tokens
from higgs.prompts.pronunciation import Pronunciations
from higgs.prompts.tags import Tags

INSTRUCTION = "Generate audio following instruction."
DIALOGUE_INSTRUCTION = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the "
    "following text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own."
)
VOICES_IN_TURN = ("feminine", "masculine")
QUIET_ROOM = "Audio is recorded from a quiet room."

HEARD = ("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>")
SPOKEN = ("<|audio_out_bos|>", "<|AUDIO_OUT|>", "<|audio_eos|>")
STRUCTURE = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
)


@dataclass(frozen=True)
class Turn:
    """One message: texts and audio codes (8, T), spoken by the assistant or heard from other roles."""

    role: str
    parts: tuple[str | torch.Tensor, ...]
    recipient: str | None = None


@dataclass(frozen=True)
class Reference:
    """A voice to clone.

    Attributes:
        codes: int64 (8, T).
        transcript: words of the codes; None if unknown.
        more: further recordings of the same voice.
    """

    codes: torch.Tensor
    transcript: str | None = None
    more: tuple["Reference", ...] = ()


@dataclass(frozen=True)
class Prompt:
    """A prompt of S positions, each either a text token or an audio column.

    Attributes:
        input_ids: int64 [S].
        audio_columns: int64 [S, 8].
        audio_mask: bool [S]; true where the audio column counts.
        prefix: number of leading positions that other prompts are likely to share: the voice's turns.
    """

    input_ids: torch.Tensor
    audio_columns: torch.Tensor
    audio_mask: torch.Tensor
    prefix: int = 0

    def __len__(self) -> int:
        return len(self.input_ids)

    def made(self) -> "Prompt":
        """Return itself; see LazyPrompt."""
        return self

    @property
    def audio_tokens(self) -> int:
        return int(self.audio_mask.sum())

    @property
    def text_tokens(self) -> int:
        return len(self) - self.audio_tokens


class LazyPrompt:
    """A prompt of known length that is built on demand.

    All prompts of a long text would need megabytes, and delay its first speech.
    """

    def __init__(self, positions: int, make: Callable[[], Prompt]) -> None:
        self._positions, self._make = positions, make

    def __len__(self) -> int:
        return self._positions

    def made(self) -> Prompt:
        return self._make()


def speech_turns(
    text: str,
    references: Sequence[Reference] = (),
    scene: str | None = QUIET_ROOM,
    speakers: Sequence[str] = (),
) -> list[Turn]:
    """Return the turns that ask for `text` to be spoken, as in boson's examples.

    A reference with a transcript becomes an earlier exchange, as does each further recording of its voice.
    One without a transcript goes into the scene description. With several references, texts are tagged:
    [SPEAKER0] for the first.

    Args:
        text: what to speak.
        references: voices to clone.
        scene: description of the scene.
        speakers: names that the text uses when there are no references. They alternate between a feminine
            and a masculine voice, with the instruction of boson's dialogue example.
    """
    if speakers and not references:
        return [_dialogue_turn(scene, speakers), Turn("user", (text,))]
    exchanges: list[Turn] = []
    description: list[str | torch.Tensor] = []
    for speaker, reference in enumerate(references):
        tag = f"[SPEAKER{speaker}] " if len(references) > 1 else ""
        if reference.transcript is None:
            description += [f"SPEAKER{speaker}: ", reference.codes, "\n"]
        else:
            exchanges += _exchange(reference, tag)
        for other in reference.more:
            exchanges += _exchange(other, tag)
    return [_system_turn(scene, description), *exchanges, Turn("user", (text,))]


def _exchange(said: Reference, tag: str = "") -> list[Turn]:
    return [Turn("user", (tag + (said.transcript or ""),)), Turn("assistant", (said.codes,))]


def _dialogue_turn(scene: str | None, speakers: Sequence[str]) -> Turn:
    described = (f"{name}: {VOICES_IN_TURN[number % 2]}" for number, name in enumerate(speakers))
    description = "\n\n".join(filter(None, [scene, "\n".join(described)]))
    return Turn(
        "system", (f"{DIALOGUE_INSTRUCTION}\n\n<|scene_desc_start|>\n{description}\n<|scene_desc_end|>",)
    )


def _system_turn(scene: str | None, description: list[str | torch.Tensor]) -> Turn:
    if not scene and not description:
        return Turn("system", (INSTRUCTION,))
    opening = f"{INSTRUCTION}\n\n<|scene_desc_start|>\n"
    if scene:
        opening += f"{scene}\n\n" if description else f"{scene}\n"
    parts: list[str | torch.Tensor] = [opening]
    for part in [*description, "<|scene_desc_end|>"]:
        if isinstance(part, str) and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    return Turn("system", tuple(parts))


class PromptBuilder:
    """Builds v2 prompts with a model's tokenizer. Raises StartError if it lacks v2's special tokens.

    Args:
        tokenizer: the model's tokenizer.
        config: the model's configuration.
        tags: its inline tags.
        pronunciations: for models that read phones.

    Attributes:
        normalised: whether texts are normalised as in boson's example; see text.normalise.speakable.
    """

    normalised = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: HiggsConfig,
        tags: Tags | None = None,
        pronunciations: Pronunciations | None = None,
    ) -> None:
        self._pronunciations = pronunciations
        self.reads_phones = pronunciations is not None
        self._tokens, self._config = Tokens(tokenizer, (*HEARD, *SPOKEN, *STRUCTURE)), config
        self.tags = tags or Tags(tokenizer)
        self._heard, self._spoken = [[self._tokens[name] for name in names] for names in (HEARD, SPOKEN)]

    def speech(
        self,
        text: str,
        references: Sequence[Reference] = (),
        scene: str | None = QUIET_ROOM,
        before: Reference | None = None,
        speakers: Sequence[str] = (),
    ) -> Prompt:
        """Return the prompt that asks for `text` in the voices of `references`; see speech_turns.

        Args:
            text, references, scene, speakers: see speech_turns.
            before: what was just spoken, to be continued: inserted as one more exchange before the text, as
                boson's generation.py does for long texts.

        Raises:
            InvalidRequest: the text has special tokens or unknown tags.
        """
        *voice, last = speech_turns(text, references, scene, speakers)
        said = [] if before is None else _exchange(before)
        return self.build([*voice, *said, last], len(voice))

    def text_positions(self, text: str, scene: str | None) -> int:
        """Return how many positions the text takes. Raises InvalidRequest if it can't be read."""
        return len(self._text("user", text))

    def supports_instructions(self, scene: str) -> bool:
        """Return whether this scene description affects the speech: v2 reads all of it."""
        return bool(scene)

    def build(self, turns: Sequence[Turn], shared: int | None = None) -> Prompt:
        """Return the prompt of a conversation, open for the assistant's speech.

        Args:
            turns: the conversation.
            shared: number of turns that form the prefix; None for all but the last.

        Raises:
            InvalidRequest: a text has the conversation's special tokens.
        """
        ids: list[int] = []
        columns: list[torch.Tensor] = []
        prefix = 0
        shared = len(turns) - 1 if shared is None else shared
        for number, turn in enumerate(turns):
            prefix = len(ids) if number == shared else prefix
            begin = "" if number else "<|begin_of_text|>"
            ids += self.encode(f"{begin}<|start_header_id|>{turn.role}<|end_header_id|>\n\n")
            if turn.recipient:
                ids += self.encode(f"{turn.recipient}<|recipient|>")
            for part in turn.parts:
                ids += (
                    self._text(turn.role, part)
                    if isinstance(part, str)
                    else self._audio(turn.role, part, columns)
                )
            more = turn.role == "assistant" and turns[number + 1 : number + 2]
            ids += self.encode("<|eom_id|>" if more and more[0].role == turn.role else "<|eot_id|>")
        ids += self.encode("<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>")
        return self._prompt(ids, columns, prefix)

    def _prompt(self, ids: list[int], columns: list[torch.Tensor], prefix: int) -> Prompt:
        input_ids = torch.tensor(ids)
        mask = (input_ids == self._heard[1]) | (input_ids == self._spoken[1])
        audio_columns = torch.zeros(len(ids), self._config.num_codebooks, dtype=torch.int64)
        if columns:
            audio_columns[mask] = torch.cat(columns)
        return Prompt(input_ids, audio_columns, mask, prefix)

    def _audio(self, role: str, codes: torch.Tensor, columns: list[torch.Tensor]) -> list[int]:
        delayed = apply_delay(codes.to("cpu", torch.int64), self._config)
        columns.append(delayed)
        begin, audio, end = self._spoken if role == "assistant" else self._heard
        return [begin, *[audio] * len(delayed), end]

    def _text(self, role: str, text: str) -> list[int]:
        text = self.tags.resolve(text)
        pronounced = self._pronunciations if role == "user" else None
        return self._tokens.of_text(pronounced(text) if pronounced else text)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, adding none."""
        return self._tokens.encode(text)
