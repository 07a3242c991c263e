"""The whole measurement at full size on a CUDA device, a model in under 8 minutes.

    python -m bench.gpu [3b|v3]

v2's 28 layers of hidden size 3072 or v3's 36 of 2560, random bfloat16 weights made on the device: whether all
is right, and what the start, a prompt and memory take; each kernel beside torch's operations; the codec's
decoding by its buckets; what a step costs beside its bytes; first sound and seconds of speech per second
through the codec; then our engine beside transformers and boson's.
Offline, and with the packages of requirements.txt alone. Each run is a process of its own, prints what it
finds as it comes and is stopped where its time is up, so that the next ones are had. One line of JSON comes
last: every run's own, or null.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

OFFLINE = {"HF_HUB_OFFLINE": "1"}
RUNS = {
    "parts": ("--slots 16", 80),
    "kernels": ("--streams 1 16 64", 50),
    "codec": ("", 30),
    "step": ("--batch 1 4 16 64 --length 256 1024 4000", 100),
    "sound": ("--streams 1 16 64", 100),
    "peers": ("--streams 1 16 --columns 125 --repeats 1", 115),
}  # arguments, and seconds that each may take: 475 in all


def last_line(command: list[str], seconds: float) -> Any:
    """Run one benchmark, its lines printed as they come, and return the JSON of the last one.

    None where it fails, takes longer than `seconds`, or ends in anything else.
    """
    print(f"# {' '.join(command)}", flush=True)
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, env=os.environ | OFFLINE
    )
    # The whole group: peers has a process of its own for boson's engine.
    stop = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    stop.start()
    line = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
    failed = process.wait() != 0
    stop.cancel()
    try:
        return None if failed else json.loads(line)
    except json.JSONDecodeError:
        return None


def main() -> None:
    model = (sys.argv[1:] or ["3b"])[0]
    found = {"model": model}
    for run, (arguments, seconds) in RUNS.items():
        command = [sys.executable, "-m", f"bench.{run}", "--model", model, *arguments.split()]
        found[run] = last_line(command, seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
