"""What matrices of 8 bits change in a model's distributions, on the CPU: nats per code, by codebook.

    python -m bench.weights [--model FOLDER|small|small-v3 …]

The KL divergence of the distributions behind HIGGS_WEIGHTS=int8 and fp8 from those behind the weights as they
are (rounded to bfloat16), everything computed in float32, and how often the likeliest code is another. The
last row of a model is bfloat16's own arithmetic, to compare with. A model folder reads test_audio.wav and its
words, a shape of random weights the prompt of the other benchmarks. Ends in one line of JSON.
"""

import argparse
import json
from copy import deepcopy
from pathlib import Path

import torch

from audio.decode import decode_audio
from bench.subject import SHAPES, default_model, random_model, some_prompt
from higgs.codecs.base import load_codec
from higgs.model.checkpoint import load_checkpoint
from higgs.model.quantised import KINDS, quantise_linears
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt, Reference

CPU = torch.device("cpu")
RECORDING = Path(__file__).parent.parent / "test_audio.wav"


def subject(name: str) -> tuple[HiggsModel, Prompt]:
    """A model with weights that bfloat16 holds, and what it reads."""
    if name in SHAPES:
        model = random_model(SHAPES[name], CPU, torch.float32)
        prompt = some_prompt(model.config)
    else:
        checkpoint = load_checkpoint(name)
        model, codec = checkpoint.model, load_codec(str(checkpoint.codec))
        codes = codec.encode(decode_audio(RECORDING.read_bytes()))
        words = RECORDING.with_suffix(".txt").read_text("utf-8").strip()
        prompt = checkpoint.prompts("refuse").speech(words, [Reference(codes, words)])
    for weight in model.parameters():
        weight.data = weight.data.bfloat16().float()
    return model, prompt


@torch.inference_mode()
def distributions(model: HiggsModel, prompt: Prompt) -> torch.Tensor:
    """Logarithms [audio positions, K, V] of what each column makes likely for the next."""
    inputs = [part[None] for part in (prompt.input_ids, prompt.audio_columns, prompt.audio_mask)]
    hidden = model(model.embed(*inputs), inputs[2], torch.arange(len(prompt))[None])
    return model.audio_logits(hidden[inputs[2]]).float().log_softmax(-1)


def quantised(model: HiggsModel, kind: str) -> HiggsModel:
    changed = deepcopy(model)
    quantise_linears(changed.model.layers, KINDS[kind])
    return changed


def divergence(exact: torch.Tensor, other: torch.Tensor) -> dict[str, object]:
    by_codebook = (exact.exp() * (exact - other)).sum(-1).mean(0)
    return {
        "kl": round(by_codebook.mean().item(), 6),
        "kl_by_codebook": [round(value, 6) for value in by_codebook.tolist()],
        "other_likeliest": round((exact.argmax(-1) != other.argmax(-1)).float().mean().item(), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=[default_model(), "small", "small-v3"])
    results: dict[str, dict[str, object]] = {}
    for name in parser.parse_args().model:
        model, prompt = subject(name)
        exact = distributions(model, prompt)
        entropy = -(exact.exp() * exact).sum(-1).mean().item()
        results[name] = {"entropy": round(entropy, 3)}
        changed = {kind: quantised(model, kind) for kind in KINDS} | {"bfloat16": deepcopy(model).bfloat16()}
        for kind, other in changed.items():
            results[name][kind] = divergence(exact, distributions(other, prompt))
            print(f"{name} {kind}: {results[name][kind]}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
