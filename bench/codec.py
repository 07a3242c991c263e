"""The published codec's decoding alone, by the buckets in which it decodes: milliseconds, memory, errors.

    python -m bench.codec [--model 3b|v3]

Random weights of the published shape, the same for both models. For each number and length of windows: the
bucket's graph, the same launched one by one, the same with torch's operations only, and all that streams wait
for, with copies to and from the device. Errors are relative: of a graph against float32 without TF32, and of
windows decoded together against each alone. Needs a GPU. Ends in one line of JSON.
"""

import argparse
import json
import threading
import time

import torch

from audio.frames import CODEBOOK_SIZE, CODEBOOKS, FRAME_RATE
from bench.sound import published_network
from bench.step import seconds_of
from higgs.codecs.higgs_v2.buckets import Window, all_buckets
from higgs.codecs.higgs_v2.gpu_decode import GpuDecode
from higgs.codecs.higgs_v2.network import CodecNetwork
from higgs.devices import upload
from higgs.engine.memory import CODEC_GRAPHS

DEVICE = torch.device("cuda", 0)


def random_window(frames: int) -> Window:
    return Window(torch.randint(CODEBOOK_SIZE, (CODEBOOKS, frames)), first=False, last=False)


def milliseconds(network: CodecNetwork, decode: GpuDecode, rows: int, length: int) -> dict[str, float]:
    """What a batch takes."""
    windows = [random_window(length) for _ in range(rows)]
    kernels = decode._acoustic_decoder
    seconds = {
        "served": seconds_of(lambda: decode(windows), DEVICE),
        "graph": seconds_of(lambda: decode._graphs(length, rows), DEVICE),
        "eager": seconds_of(lambda: decode._decode(length, rows), DEVICE),
    }
    decode._acoustic_decoder = network.acoustic_decoder
    seconds["torch"] = seconds_of(lambda: decode._decode(length, rows), DEVICE)
    decode._acoustic_decoder = kernels
    times = {name: round(1000 * taken, 3) for name, taken in seconds.items()}
    return times | {"audio_s_per_s": round(rows * length / FRAME_RATE / seconds["served"])}


def apart(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return ((ours - exact).norm() / exact.norm()).item()


def errors(network: CodecNetwork, decode: GpuDecode) -> dict[str, float]:
    windows = [random_window(frames) for frames in (100, 148)]
    together, alone = decode(windows), [decode([window])[0] for window in windows]
    exact = network.decode(upload(windows[1].codes[None], DEVICE))[0, 0].cpu()
    return {
        "graph_against_float32": apart(alone[1], exact),
        "together_against_alone": max(apart(*each) for each in zip(together, alone, strict=True)),
    }


@torch.inference_mode()
def measure(network: CodecNetwork) -> dict[str, object]:
    before, start = torch.cuda.mem_get_info(DEVICE)[0], time.perf_counter()
    decode = GpuDecode(network, threading.Lock())
    found: dict[str, object] = {
        "capture_s": round(time.perf_counter() - start, 2),
        "graphs": len(decode._graphs._captured),
        "decoder": type(decode._acoustic_decoder).__name__,
        "taken_mb": (before - torch.cuda.mem_get_info(DEVICE)[0]) >> 20,
        "planned_mb": CODEC_GRAPHS >> 20,
    }
    found |= errors(network, decode)
    print(found, flush=True)
    for length, rows in all_buckets():
        name, times = f"{rows}x{length}", milliseconds(network, decode, rows, length)
        found[name] = times
        print(f"{name}: {times}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="3b", choices=["3b", "v3"])
    parser.parse_args()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    print(json.dumps(measure(published_network().eval().requires_grad_(False))))


if __name__ == "__main__":
    main()
