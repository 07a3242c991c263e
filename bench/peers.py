"""Our engine beside transformers' `generate` and boson's: columns per second of one stream, and of eight.

    python -m bench.peers [--model FOLDER|small|small-v3|3b|v3] [--columns 250] [--streams 1 8] [--threads N]

All hold the same weights, read the same prompt (text, a reference of 5 s, text), sample with the same options
and write the same number of columns: the end mark is moved out of reach, so that nobody stops early. Eight
streams are eight requests to our engine and one batch for transformers, which also keeps a static cache where
it compiles for one (CUDA). It has no class for v3: a loop around its Qwen3 stands for it (bench/qwen.py).
boson's own engine (bench/boson.py), which takes one request at a time, is measured too where its environment
stands: `make .reference-venv/golden.stamp` makes it.
The runs take turns, so that a busy machine hurts all; the best of each counts. Ends in one line of JSON.
"""

import argparse
import atexit
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from transformers import HiggsAudioV2Config, HiggsAudioV2ForConditionalGeneration

from bench.boson import PYTHON, BosonRun
from bench.qwen import QwenLoop
from bench.subject import DEVICE, default_model, model_named, options_named, some_prompt
from higgs.engine.engine import Engine
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt

Run = Callable[[int], int]  # streams → columns written


def our_run(model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int, most: int) -> Run:
    engine = Engine(model, slots=most, capacity=len(prompt) + columns)

    def run(streams: int) -> int:
        generations = [engine.submit(prompt, replace(options, seed=seed), columns) for seed in range(streams)]
        for generation in generations:
            for _ in generation:
                pass
        return sum(generation.columns for generation in generations)

    return run


def their_runs(model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int) -> dict[str, Run]:
    if model.config.generation == 3:
        return {"transformers": QwenLoop(model, prompt, options, columns)}
    weight = model.audio_lm_head.weight
    with weight.device:
        # Its `generate` is typed for what transformers' own mixins pass it, not for callers.
        native: Any = HiggsAudioV2ForConditionalGeneration(
            HiggsAudioV2Config(**model.config.to_native_dict())
        )
    # Our engine has made views of the weights; the peer gets them as it would have loaded them.
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    native.load_state_dict(weights, assign=True)
    native.eval()
    native.generation_config.ras_win_len = options.ras_window or None
    native.generation_config.ras_win_max_num_repeat = options.ras_repeats
    inputs = {
        "input_ids": prompt.input_ids[None],
        "attention_mask": torch.ones(1, len(prompt), dtype=torch.bool),
        "audio_input_ids": prompt.audio_columns[prompt.audio_mask][None],
        "audio_input_ids_mask": torch.ones(1, prompt.audio_tokens, dtype=torch.bool),
    }
    sampling = {
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
    }

    def runner(**more: Any) -> Run:
        def run(streams: int) -> int:
            batch = {
                name: part.to(weight.device).repeat_interleave(streams, 0) for name, part in inputs.items()
            }
            codes = native.generate(**batch, **sampling, **more, do_sample=True, max_new_tokens=columns)
            return streams * (codes.shape[1] - prompt.audio_tokens)

        return run

    runs = {"transformers": runner()}
    if weight.is_cuda:
        runs["transformers_static"] = runner(cache_implementation="static")
    return runs


def measure(runs: dict[str, Run], streams: int, columns: int, repeats: int) -> dict[str, float | None]:
    """Columns per second of each in total, the best of `repeats` turns after one to warm up.

    One that fails is None, and takes no further turn.
    """
    best: dict[str, float | None] = dict.fromkeys(runs, float("inf"))
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            if (least := best[name]) is None:
                continue
            try:
                start = time.perf_counter()
                written = run(streams)
                seconds = time.perf_counter() - start
            except Exception as error:
                print(f"{name} FAILED: {type(error).__name__}: {error}", flush=True)
                best[name] = None
                continue
            assert written == streams * columns, f"{name} wrote {written} columns"
            best[name] = min(least, seconds) if repeat else least
    return {
        name: None if seconds is None else round(streams * columns / seconds, 1)
        for name, seconds in best.items()
    }


def show(streams: int, speed: dict[str, float | None]) -> None:
    ours = speed["ours"]
    for name, value in speed.items():
        figures = "failed" if value is None else f"{value:9.1f}  {value / 25:15.1f}"
        ratio = f"  {ours / value:6.2f}x" if value and ours else ""
        print(f"{streams:7}  {name:20} {figures}{ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--columns", type=int, default=250)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = model_named(arguments.model)
    case = (model, some_prompt(model.config), options_named(arguments.model), arguments.columns)
    runs = {"ours": our_run(*case, most=max(arguments.streams)), **their_runs(*case)}
    if PYTHON.exists() and model.config.generation == 2:
        runs["boson"] = boson = BosonRun(*case)
        atexit.register(boson.close)
    if (static := runs.pop("transformers_static", None)) is not None:
        runs["transformers_static"] = static  # last: it compiles, which may take all the time there is
    speed = {}
    print(f"{'streams':>7}  {'':20} columns/s  times real time  ours is")
    for streams in arguments.streams:
        speed[str(streams)] = measure(runs, streams, arguments.columns, arguments.repeats)
        show(streams, speed[str(streams)])
    print(json.dumps({"device": DEVICE, "threads": arguments.threads, "columns_per_s": speed}))


if __name__ == "__main__":
    main()
