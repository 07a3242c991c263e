"""The prompt of Higgs v3: a task, a voice, a text, each behind a mark of its own.

    <|tts|> [<|ref_text|> words] [<|ref_audio|> columns] <|text|> words <|audio|>

Further recordings of the voice are further blocks of ref_text and ref_audio, as in mlx-audio. The last mark
is no part of the Prompt: it opens the stream (see HiggsConfig.opening_code). Ids and columns equal those of
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
ENDINGS = ("<|endoftext|>", "<|audio_end|>")  # in no prompt, and in no text of a caller's either


class TaskPromptBuilder:
    """Builds prompts with a model's tokenizer; StartError if that lacks the marks of Higgs v3.

    normalised: no, it reads texts as they stand.
    """

    normalised = False

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
        """The prompt that asks for `text` in the voice of the one reference, its words known or not.

        Args:
            references: None, or one voice, whose further recordings (`Reference.more`) are read, too.
            scene: What it says of the manner of speaking becomes tags; this generation reads no scene.
            speakers: Changes nothing; this generation speaks in one voice at a time.
            before: The voice of a text that goes on without a reference. With one it changes nothing: how
                this generation goes on from what was said is not published.

        Raises:
            InvalidRequest: More than one voice, or a text with marks or unknown tags.
        """
        if len(references) > 1:
            raise InvalidRequest("Higgs v3 speaks in one voice at a time; give one reference.")
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
        ids += [self._tokens["<|text|>"], *self._told(text, scene)]
        audio_mask = torch.tensor(mask + [False] * (len(ids) - prefix))
        audio_columns = torch.zeros(len(ids), self._config.num_codebooks, dtype=torch.int64)
        audio_columns[audio_mask] = torch.cat(columns)
        return Prompt(torch.tensor(ids), audio_columns, audio_mask, prefix)

    def _block(self, reference: Reference, columns: list[torch.Tensor]) -> list[int]:
        """The ids of one recording; its columns, which stand at the end of them, are added to `columns`."""
        ids = []
        if reference.transcript:
            ids += [self._tokens["<|ref_text|>"], *self._text(reference.transcript)]
        columns.append(apply_delay(reference.codes.to("cpu", torch.int64), self._config))
        return [*ids, *[self._tokens["<|ref_audio|>"]] * (1 + len(columns[-1]))]

    def text_positions(self, text: str, scene: str | None) -> int:
        """How many positions of a prompt are this text. InvalidRequest if the model can't read it."""
        return len(self._told(text, scene))

    def _told(self, text: str, scene: str | None) -> list[int]:
        return self._text(self.tags.told(scene or "") + text)

    def supports_instructions(self, scene: str) -> bool:
        """Whether a description of the scene says something of the manner of speaking; see Tags.told."""
        return bool(self.tags.told(scene))

    def build(self, turns: Sequence[Turn]) -> Prompt:
        raise InvalidRequest("Higgs v3 reads no conversations; ask it to speak a text.", code="unsupported")

    def _text(self, text: str) -> list[int]:
        return self._tokens.of_text(self.tags.resolve(text))
