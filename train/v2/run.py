"""The second recipe, step by step; what stands in --work is kept, and a training goes on where it was.

python -m train.v2.run codec --work train/work --minutes 60
"""

import argparse
from pathlib import Path

import torch

from train.v2 import codec, features
from train.v2.features import Utterance

WORK = Path(__file__).parent.parent / "work"


def utterances(work: Path) -> list[Utterance]:
    """All speech that there is, analysed."""
    found = [utterance for path in features.make(work) for utterance in features.load(path)]
    print(f"{len(found)} passages, {sum(u.steps for u in found) / 360_000:.2f} hours", flush=True)
    return found


def train_codec(options: argparse.Namespace) -> None:
    """The codec into work/codec2."""
    torch.manual_seed(0)
    folder, state = options.work / "codec2", options.work / "codec2.pt"
    spoken = utterances(options.work)
    network = codec.VocoderNetwork2() if state.exists() else codec.begun(spoken)
    codec.CodecTraining(network, spoken, seed=1).run(options.minutes, state, folder)


STEPS = {"codec": train_codec}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, earlier runs included")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    STEPS[options.step](options)


if __name__ == "__main__":
    main()
