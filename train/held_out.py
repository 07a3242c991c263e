"""Write the speech of the voices that are held out (shard 0000) as recordings for bench.quality.

python -m train.held_out --work train/work     → train/work/held_out/VOICE/NN.wav with its words in NN.txt
"""

import argparse
from pathlib import Path

import soundfile

from train.natural import load_passages

MIN_CLIPS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    options = parser.parse_args()
    passages = load_passages(options.work / "natural" / "0000.npz")
    for style in sorted({passage.style for passage in passages}):
        spoken = [passage for passage in passages if passage.style == style]
        if len(spoken) < MIN_CLIPS:
            continue
        folder = options.work / "held_out" / style
        folder.mkdir(parents=True, exist_ok=True)
        # The clip that is cloned comes first: long enough to know a voice by.
        spoken.sort(key=lambda passage: abs(len(passage.samples) / 24_000 - 6))
        for number, passage in enumerate(spoken):
            soundfile.write(folder / f"{number:02d}.wav", passage.samples, 24_000)
            (folder / f"{number:02d}.txt").write_text(passage.text + "\n")


if __name__ == "__main__":
    main()
