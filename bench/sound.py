"""From a prompt to samples, without HTTP: first sound, and seconds of speech per second, of 1 to 64 streams.

    python -m bench.sound [--model FOLDER|small|3b|v3] [--streams 1 4 16 64] [--columns 250] [--graphs all]

For sizes whose weights can't be had: the language model and the published codec have random weights, made on
the device, and the end mark is moved out of reach. Each stream is a thread that reads its pieces as an
answer's reader does, in a voice whose prefix is kept; the bundled model speaks through its own codec. Also
how long it takes to encode a recording of 10 s. Ends in one line of JSON.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from transformers import HiggsAudioV2TokenizerConfig

from audio.frames import SAMPLE_RATE
from bench.answer import Answer
from bench.subject import DEVICE, default_model, model_named, options_named, some_prompt
from higgs.codecs.base import Codec, load_codec
from higgs.codecs.higgs_v2.codec import WaveformCodec
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.engine.cuda_graphs import Graphs
from higgs.engine.engine import Engine
from higgs.engine.sampler import SamplingOptions
from higgs.loading import GRAPHS
from higgs.prompts.v2 import Prompt
from higgs.segments import SpeechSegment, TextChunk
from higgs.speech import SpeechStream

REPEATS = 5
RATIOS = [8, 5, 4, 2, 3]
PUBLISHED = {
    "acoustic_model_config": {
        "model_type": "dac",
        "downsampling_ratios": RATIOS,
        "upsampling_ratios": RATIOS,
    },
    "semantic_model_config": {"model_type": "hubert"},
}


def codec_of(model: str) -> Codec:
    """A model folder's own codec; the published one's size with random weights for a shape."""
    if (Path(model) / "codec").is_dir():
        return load_codec(str(Path(model) / "codec"))
    return WaveformCodec(published_network())


def published_network() -> CodecNetwork:
    """The published codec's, of random weights, on the device."""
    with torch.device(DEVICE):
        return CodecNetwork(HiggsAudioV2TokenizerConfig.from_dict(PUBLISHED))


def encode_seconds(codec: Codec) -> float:
    """Seconds for a recording of 10 s, the least of some runs after one to warm up."""
    recording = np.random.default_rng(0).standard_normal(10 * SAMPLE_RATE).astype(np.float32) / 10
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        codec.encode(recording)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def speak(engine: Engine, codec: Codec, prompt: Prompt, options: SamplingOptions, columns: int) -> Answer:
    """One stream, heard as it comes."""
    start, answer = time.perf_counter(), Answer()
    for samples in SpeechStream(engine, codec, [SpeechSegment([TextChunk(prompt, columns)])], options):
        if len(samples):
            answer.hear(time.perf_counter() - start, len(samples) / SAMPLE_RATE)
    return answer


def load(
    engine: Engine, codec: Codec, prompt: Prompt, options: SamplingOptions, columns: int, streams: int
) -> dict[str, float]:
    """What so many streams that begin at once get."""
    start = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        waiting = [
            pool.submit(speak, engine, codec, prompt, replace(options, seed=seed), columns)
            for seed in range(streams)
        ]
        answers = [future.result() for future in waiting]
    seconds = time.perf_counter() - start
    firsts = sorted(answer.first for answer in answers)
    return {
        "first_sound_p50_s": round(firsts[streams // 2], 4),
        "first_sound_max_s": round(firsts[-1], 4),
        "starved_max_s": round(max(answer.starved for answer in answers), 3),
        "audio_s_per_s": round(sum(answer.speech for answer in answers) / seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=default_model())
    parser.add_argument("--columns", type=int, default=250)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--graphs", choices=list(GRAPHS), default="model", help="as HIGGS_CUDA_GRAPHS")
    arguments = parser.parse_args()
    Graphs.parts = GRAPHS[arguments.graphs]
    torch.set_num_threads(arguments.threads)
    model = model_named(arguments.model)
    prompt, options = some_prompt(model.config), options_named(arguments.model)
    codec = codec_of(arguments.model)
    capacity = len(prompt) + arguments.columns
    engine = Engine(model, slots=max(arguments.streams), capacity=capacity)
    encode = round(1000 * encode_seconds(codec), 1)
    print(f"a recording of 10 s is encoded in {encode} ms")
    load(engine, codec, prompt, options, arguments.columns, 1)  # the voice's prefix is kept from here on
    results = {}
    for streams in arguments.streams:
        results[str(streams)] = load(engine, codec, prompt, options, arguments.columns, streams)
        print(f"{streams:3} streams: {results[str(streams)]}", flush=True)
    print(json.dumps({"device": DEVICE, "encode_10_s_ms": encode, "sound": results}))


if __name__ == "__main__":
    main()
