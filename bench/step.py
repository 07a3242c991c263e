"""Our step loop against transformers' `generate`: columns per second on one checkpoint.

    python -m bench.step [--model FOLDER] [--columns 250] [--threads N] [--dtype float32|bfloat16]

Both hold the same weights, read the same prompt (text, a reference of 5 s, text), sample with the same
options and write the same number of columns: the end mark is moved out of reach, so that neither stops early.
A step of one stream is bound by the weights it reads, which are the same for both, so that what differs is
everything else: kernels per layer, cache handling, sampling and Python. The runs take turns, so that a busy
machine hurts both; the best of each counts. Ends in one line of JSON.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

from higgs.checkpoint import load_model
from higgs.config import HiggsConfig, RopeConfig
from higgs.engine import Engine
from higgs.model import HiggsModel
from higgs.prompt import Prompt
from higgs.sampling import SamplingOptions

BUNDLED = Path(__file__).parent.parent / "models" / "higgs-small"
BUNDLED_SHAPE = HiggsConfig(
    vocab_size=128,
    hidden_size=320,
    intermediate_size=896,
    layers=8,
    heads=5,
    kv_heads=5,
    head_dim=64,
    max_positions=4096,
    rope=RopeConfig(theta=10_000.0, factor=1.0),
    audio_token_id=120,
    audio_bos_token_id=121,
    audio_delay_token_id=122,
    pad_token_id=123,
    eos_token_id=124,
)
UNREACHABLE_CODE = 1_000_000
TEXT, REFERENCE = 80, 134


def load(folder: Path | None, dtype: torch.dtype) -> HiggsModel:
    """The model of a folder, or a random one of the bundled model's shape, that never ends a stream."""
    device = torch.device("cpu")
    if folder is None:
        torch.manual_seed(0)
        model = HiggsModel(BUNDLED_SHAPE).to(dtype).requires_grad_(False)
    else:
        model = load_model(folder, device, dtype)
    model.config = replace(model.config, eos_code=UNREACHABLE_CODE)
    return model


def some_prompt(config: HiggsConfig) -> Prompt:
    ids = torch.arange(2 * TEXT + REFERENCE) % config.audio_bos_token_id % config.audio_token_id
    mask = torch.zeros(len(ids), dtype=torch.bool)
    mask[TEXT : TEXT + REFERENCE] = True
    ids[mask], ids[-1] = config.audio_token_id, config.audio_bos_token_id
    return Prompt(ids, torch.randint(0, 1024, (len(ids), config.num_codebooks)), mask)


def our_run(model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int) -> Callable[[], int]:
    engine = Engine(model, capacity=len(prompt) + columns)

    def run() -> int:
        generation = engine.submit(prompt, options, columns)
        for _ in generation:
            pass
        return generation.columns

    return run


def their_run(model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int) -> Callable[[], int]:
    config = HiggsAudioV2Config(**model.config.to_native_dict())
    native = HiggsAudioV2ForConditionalGeneration(config).eval()
    native.load_state_dict(model.state_dict(), assign=True)
    native.generation_config.ras_win_len = options.ras_window
    native.generation_config.ras_win_max_num_repeat = options.ras_repeats
    inputs = {
        "input_ids": prompt.input_ids[None],
        "attention_mask": torch.ones(1, len(prompt), dtype=torch.bool),
        "audio_input_ids": prompt.audio_columns[prompt.audio_mask][None],
        "audio_input_ids_mask": torch.ones(1, prompt.audio_tokens, dtype=torch.bool),
    }
    sampling = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p}

    def run() -> int:
        codes = native.generate(**inputs, **sampling, do_sample=True, max_new_tokens=columns)
        return codes.shape[1] - prompt.audio_tokens

    return run


def measure(runs: dict[str, Callable[[], int]], columns: int, repeats: int) -> dict[str, float]:
    """Columns per second of each, the best of `repeats` runs that take turns after one to warm up."""
    best = dict.fromkeys(runs, float("inf"))
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            written = run()
            seconds = time.perf_counter() - start
            assert written == columns, f"{name} wrote {written} columns instead of {columns}"
            best[name] = min(best[name], seconds) if repeat else best[name]
    return {name: round(columns / seconds, 1) for name, seconds in best.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=BUNDLED if BUNDLED.is_dir() else None)
    parser.add_argument("--columns", type=int, default=250)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, getattr(torch, arguments.dtype))
    case = (model, some_prompt(model.config), SamplingOptions(seed=0), arguments.columns)
    speed = measure(
        {"ours": our_run(*case), "transformers": their_run(*case)}, arguments.columns, arguments.repeats
    )
    print(f"{'':14}columns/s  times real time (25 columns/s)")
    for name, value in speed.items():
        print(f"{name:14}{value:9.1f}  {value / 25:15.1f}")
    ratio = round(speed["ours"] / speed["transformers"], 2)
    print(json.dumps({"columns_per_s": speed, "ratio": ratio}))


if __name__ == "__main__":
    main()
