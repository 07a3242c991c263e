"""Compare the published 3B's codes with those that transformers' test expects.

    python -m bench.expected [--model bosonai/higgs-audio-v2-generation-3B-base] [--device cuda|cpu]

expected_v2.txt has the 50 greedy columns of transformers' test_single_speaker_smart_voice
(tests/models/higgs_audio_v2). Each is predicted from the expected columns before it, so that one code that
rounds differently doesn't change the rest. Ends in one line of JSON; the exit code is 1 if less than 95 % are
equal.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from higgs.loading import PUBLISHED_MODEL
from higgs.model.checkpoint import load_checkpoint
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt, PromptBuilder

TEXT = "The sun rises in the east and sets in the west."
EXPECTED = Path(__file__).with_name("expected_v2.txt")
ENOUGH = 0.95  # bfloat16 rounds differently on every device


def expected_columns() -> torch.Tensor:
    """Return the columns [50, 8]; the first one opens the stream."""
    return torch.tensor([[int(code) for code in line.split()] for line in EXPECTED.read_text().splitlines()])


@torch.inference_mode()
def greedy_codes(model: HiggsModel, prompt: Prompt, columns: torch.Tensor) -> torch.Tensor:
    """Return the most likely codes [N - 1, 8] after each of the first columns [N, 8] of a stream."""
    device = model.audio_lm_head.weight.device
    read = columns[:-1]
    ids = torch.cat((prompt.input_ids, torch.zeros(len(read), dtype=torch.int64)))
    audio = torch.cat((prompt.audio_columns, read))
    mask = torch.cat((prompt.audio_mask, torch.ones(len(read), dtype=torch.bool)))
    ids, audio, mask = (part[None].to(device) for part in (ids, audio, mask))
    positions = torch.arange(ids.shape[1], device=device)[None]
    hidden = model(model.embed(ids, audio, mask), mask, positions)
    return model.audio_logits(hidden[0, -len(read) :]).argmax(-1).cpu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=PUBLISHED_MODEL)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    checkpoint = load_checkpoint(arguments.model, device=arguments.device, dtype=torch.bfloat16)
    prompts, columns = checkpoint.prompts("refuse"), expected_columns()
    if not isinstance(prompts, PromptBuilder):
        sys.exit("bench.expected: the expected codes are those of v2")
    codes = greedy_codes(checkpoint.model, prompts.speech(TEXT), columns)
    drawn = columns[1:] != checkpoint.model.config.bos_code  # the others are forced by the delay
    equal = ((codes == columns[1:]) & drawn).sum().item() / drawn.sum().item()
    print(json.dumps({"model": arguments.model, "device": arguments.device, "equal": round(equal, 4)}))
    sys.exit(equal < ENOUGH)


if __name__ == "__main__":
    main()
