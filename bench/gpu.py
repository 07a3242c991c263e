"""The whole measurement at full size on a CUDA device, each model in under 8 minutes.

    python -m bench.gpu [3b] [v3]

v2's 28 layers of hidden size 3072 and v3's 36 of 2560, random bfloat16 weights made on the device: what a
step costs beside its bytes, first sound and seconds of speech per second through the codec, then our engine
beside transformers. Each run ends in one line of JSON.
"""

import subprocess
import sys

RUNS = {
    "3b": (
        "bench.step --model 3b --batch 1 4 16 64 --length 256 1024 4000",
        "bench.sound --model 3b --streams 1 16 64",
        "bench.peers --model 3b --streams 1 8 16 --columns 125 --repeats 1",
    ),
    "v3": (
        "bench.step --model v3 --batch 1 4 16 64 --length 256 1024 4000",
        "bench.sound --model v3 --streams 1 16 64",
        "bench.peers --model v3 --streams 1 8 16 --columns 125 --repeats 1",
    ),
}


def main() -> None:
    for model in sys.argv[1:] or RUNS:
        for run in RUNS[model]:
            subprocess.run([sys.executable, "-m", *run.split()], check=True, timeout=240)


if __name__ == "__main__":
    main()
