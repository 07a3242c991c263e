"""From texts and reference codes to the ids and columns that the model reads.

The text is ChatML with Llama 3's marks. Audio is a run of positions: the columns of its codes with the delay
applied, between two marks. Ids and columns equal those that boson-multimodal makes of a ChatMLSample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from errors import InvalidRequest, StartError
from higgs.config import HiggsConfig
from higgs.delay import apply_delay

INSTRUCTION = "Generate audio following instruction."
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


class Tokenizer(Protocol):
    """What is used of transformers' tokenizers."""

    unk_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def convert_tokens_to_ids(self, tokens: str) -> Any: ...


@dataclass(frozen=True)
class Turn:
    """One message. Parts are texts and reference codes (8, T): heard from others, spoken by the assistant."""

    role: str
    parts: tuple[str | torch.Tensor, ...]
    recipient: str | None = None


@dataclass(frozen=True)
class Reference:
    """A voice to imitate: codes (8, T), and what is said in them where it is known."""

    codes: torch.Tensor
    transcript: str | None = None


@dataclass(frozen=True)
class Prompt:
    """S positions: input_ids [S] int64, audio_columns [S, 8] int64, and which of the two counts, [S] bool.

    prefix: so many positions at the beginning are likely to be those of other prompts too: all turns but
        the last, which are the voice.
    """

    input_ids: torch.Tensor
    audio_columns: torch.Tensor
    audio_mask: torch.Tensor
    prefix: int = 0

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def audio_tokens(self) -> int:
        return int(self.audio_mask.sum())

    @property
    def text_tokens(self) -> int:
        return len(self) - self.audio_tokens


def speech_turns(
    text: str, references: Sequence[Reference] = (), scene: str | None = QUIET_ROOM
) -> list[Turn]:
    """The turns that ask for `text` to be spoken, in the form of boson's examples.

    A reference with a transcript is an earlier exchange; one without stands in the scene's description. With
    several references the texts carry tags, [SPEAKER0] for the first.
    """
    exchanges: list[Turn] = []
    description: list[str | torch.Tensor] = []
    for speaker, reference in enumerate(references):
        if reference.transcript is None:
            description += [f"SPEAKER{speaker}: ", reference.codes, "\n"]
        else:
            tag = f"[SPEAKER{speaker}] " if len(references) > 1 else ""
            exchanges += [
                Turn("user", (tag + reference.transcript,)),
                Turn("assistant", (reference.codes,)),
            ]
    return [_system_turn(scene, description), *exchanges, Turn("user", (text,))]


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
    """Builds prompts with a model's tokenizer; StartError if that lacks the marks of Higgs Audio."""

    def __init__(self, tokenizer: Tokenizer, config: HiggsConfig) -> None:
        self._tokenizer, self._config = tokenizer, config
        ids = {name: self._id(name) for name in {*HEARD, *SPOKEN, *STRUCTURE}}
        self._heard, self._spoken = [[ids[name] for name in names] for names in (HEARD, SPOKEN)]
        self._reserved = sorted(ids)
        self._unknown = tokenizer.unk_token_id

    def speech(
        self, text: str, references: Sequence[Reference] = (), scene: str | None = QUIET_ROOM
    ) -> Prompt:
        """The prompt that asks for `text` in the voices of `references`; see speech_turns."""
        return self.build(speech_turns(text, references, scene))

    def build(self, turns: Sequence[Turn]) -> Prompt:
        """The prompt of any conversation, open for the assistant to speak.

        InvalidRequest for texts that hold the marks of the conversation itself.
        """
        ids: list[int] = []
        columns: list[torch.Tensor] = []
        prefix = 0
        for number, turn in enumerate(turns):
            prefix = len(ids)
            begin = "" if number else "<|begin_of_text|>"
            ids += self.encode(f"{begin}<|start_header_id|>{turn.role}<|end_header_id|>\n\n")
            if turn.recipient:
                ids += self.encode(f"{turn.recipient}<|recipient|>")
            for part in turn.parts:
                ids += self._text(part) if isinstance(part, str) else self._audio(turn.role, part, columns)
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

    def _text(self, text: str) -> list[int]:
        ids = self.encode(text)
        if name := next((name for name in self._reserved if name in text), None):
            message = f"The text holds {name}, which is reserved. Remove it."
            raise InvalidRequest(message, code="reserved_token")
        if self._unknown is not None and self._unknown in ids:
            strange = sorted({sign for sign in text if self._unknown in self.encode(sign)})
            message = f"This model can't read {' '.join(strange[:10])!r}. Write the text in letters it knows."
            raise InvalidRequest(message, code="unsupported_characters")
        return ids

    def encode(self, text: str) -> list[int]:
        """The ids of a text, nothing added."""
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _id(self, name: str) -> int:
        number = self._tokenizer.convert_tokens_to_ids(name)
        if number is None or self._tokenizer.encode(name, add_special_tokens=False) != [number]:
            raise StartError(f"The model's tokenizer has no token {name}: it is not one of Higgs Audio v2.")
        return number
