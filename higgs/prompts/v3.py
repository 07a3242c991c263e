"""Prompts of Higgs v3: task, voice and text, each behind its special token.

    <|tts|> [<|ref_text|> words] [<|ref_audio|> columns] <|text|> words <|audio|>

Further recordings of a voice are further blocks of ref_text and ref_audio, as in mlx-audio. The last token is
not part of the Prompt: it opens the stream (see HiggsConfig.opening_code). Ids and columns equal those of
SGLang-Omni's and vLLM-Omni's builders.
"""

from collections.abc import Sequence

import torch

from errors import InvalidRequest
from higgs.model.config import HiggsConfig
from higgs.model.delay import apply_delay
from higgs.model.tokenizer import Tokenizer, Tokens
from higgs.prompts.tags import Tags
from higgs.prompts.v2 import Prompt, Reference, Turn

MARKS = ("<|tts|>", "<|ref_text|>", "<|ref_audio|>", "<|text|>", "<|audio|>")
ENDINGS = ("<|endoftext|>", "<|audio_end|>")  # never in a prompt, and refused in texts


class TaskPromptBuilder:
    """Builds v3 prompts with a model's tokenizer. Raises StartError if it lacks v3's special tokens.

    Attributes:
        normalised: false; v3 reads texts as they are.
    """

    normalised = False
    reads_phones = False

    def __init__(self, tokenizer: Tokenizer, config: HiggsConfig, tags: Tags | None = None) -> None:
        self._tokens, self._config = Tokens(tokenizer, (*MARKS, *ENDINGS)), config
        self.tags = tags or Tags(tokenizer)

    def speech(
        self,
        text: str,
        references: Sequence[Reference] = (),
        scene: str | None = None,
        before: Reference | None = None,
        speakers: Sequence[str] = (),
    ) -> Prompt:
        """Return the prompt that asks for `text` in the voice of one reference.

        Args:
            text: what to speak.
            references: none, or one voice with its further recordings.
            scene: only words about delivery count; they become tags.
            before: the voice to continue with if there is no reference; otherwise ignored, since how v3
                continues earlier speech is not published.
            speakers: ignored; v3 speaks in one voice at a time.

        Raises:
            InvalidRequest: more than one voice, or a text with special tokens or unknown tags.
        """
        if len(references) > 1:
            raise InvalidRequest("Higgs v3 speaks in one voice at a time; send one reference.")
        voices = references or ([before] if before else [])
        ids, columns = (
            [self._tokens["<|tts|>"]],
            [torch.empty(0, self._config.num_codebooks, dtype=torch.int64)],
        )
        mask = [False]
        for reference in [recording for voice in voices for recording in (voice, *voice.more)]:
            heard = self._block(reference, columns)
            ids += heard
            mask += [False] * (len(heard) - len(columns[-1])) + [True] * len(columns[-1])
        prefix = len(ids)
        ids += [self._tokens["<|text|>"], *self._text_with_tags(text, scene)]
        audio_mask = torch.tensor(mask + [False] * (len(ids) - prefix))
        audio_columns = torch.zeros(len(ids), self._config.num_codebooks, dtype=torch.int64)
        audio_columns[audio_mask] = torch.cat(columns)
        return Prompt(torch.tensor(ids), audio_columns, audio_mask, prefix)

    def _block(self, reference: Reference, columns: list[torch.Tensor]) -> list[int]:
        """Return the ids of one recording, and append its columns, which end the block, to `columns`."""
        ids = []
        if reference.transcript:
            ids += [self._tokens["<|ref_text|>"], *self._text(reference.transcript)]
        columns.append(apply_delay(reference.codes.to("cpu", torch.int64), self._config))
        return [*ids, *[self._tokens["<|ref_audio|>"]] * (1 + len(columns[-1]))]

    def text_positions(self, text: str, scene: str | None) -> int:
        """Return how many positions the text takes. Raises InvalidRequest if it can't be read."""
        return len(self._text_with_tags(text, scene))

    def _text_with_tags(self, text: str, scene: str | None) -> list[int]:
        return self._text(self.tags.instruction_tags(scene or "") + text)

    def supports_instructions(self, scene: str) -> bool:
        """Return whether this description has words that become tags; see Tags.instruction_tags."""
        return bool(self.tags.instruction_tags(scene))

    def build(self, turns: Sequence[Turn]) -> Prompt:
        raise InvalidRequest(
            "Higgs v3 doesn't support conversations; send a text to speak.", code="unsupported"
        )

    def _text(self, text: str) -> list[int]:
        return self._tokens.of_text(self.tags.resolve(text))
