"""The whole measurement at full size on a CUDA device, in under 8 minutes: python -m bench.gpu

28 layers of hidden size 3072, random bfloat16 weights made on the device: what a step costs beside its bytes,
then our engine beside transformers. Each ends in one line of JSON.
"""

import subprocess
import sys

RUNS = (
    "bench.step --model 3b --batch 1 4 16 64 --length 256 1024 4000",
    "bench.peers --model 3b --streams 1 8 16 --columns 125 --repeats 1",
)


def main() -> None:
    for run in RUNS:
        subprocess.run([sys.executable, "-m", *run.split()], check=True, timeout=240)


if __name__ == "__main__":
    main()
