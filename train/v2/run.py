"""The second recipe, step by step; results in --work are reused, and trainings resume.

make teachers                                             # speech, hours; beside it:
python -m train.v2.run codec --minutes 60                 # work/codec2
python -m train.v2.run code --shards 40                   # work/coded
python -m train.v2.run pack --out packed                  # what a GPU needs, at most 45 MB
python -m train.v2.run lm --minutes 600                   # work/lm2.pt, work/average-*
python -m train.v2.run lm --work packed --out BACK --minutes 5 --device cuda   # BACK/average-*, for work
python -m train.v2.run ship --out models/NAME             # a model folder that the server loads
"""

import argparse
import json
import shutil
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from higgs.codecs.vocoder.v2.codec import VocoderCodec2
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.pronunciation import TABLE_FILE, Pronunciations
from higgs.prompts.v2 import PromptBuilder
from train.copying import fresh
from train.tokenizer import save_tokenizer
from train.v2 import codec, coded, features
from train.v2.batches import Loader, unseen_batches
from train.v2.examples import Examples
from train.v2.features import Utterance
from train.v2.language_model import BOOKS, Schedule, Trainer
from train.v2.parts import load_parts
from train.v2.tokenizer import build_config, build_tokenizer

WORK = Path(__file__).parent.parent / "work"
TEMPERATURE = 0.15  # at a request's of 1: all codebooks are best near their likeliest
HEAD = "audio_lm_head.weight"
PACKED_BYTES = 45_000_000
GENERATION = {
    "do_sample": True,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 0.95,
    "ras_win_len": 0,
    "ras_win_max_num_repeat": 2,
    "piece_characters": 160,
    "reference_seconds": 30,
}


def utterances(work: Path) -> list[Utterance]:
    """Return all speech so far, analysed."""
    found = [utterance for path in features.make(work) for utterance in features.load(path)]
    print(f"{len(found)} passages, {sum(u.steps for u in found) / 360_000:.2f} hours", flush=True)
    return found


def train_codec(options: argparse.Namespace) -> None:
    """Train the codec into work/codec2."""
    torch.manual_seed(0)
    folder, state = options.work / "codec2", options.work / "codec2.pt"
    spoken = codec.balanced(utterances(options.work))
    network = codec.VocoderNetwork2() if state.exists() else codec.begun(spoken)
    codec.CodecTraining(network, spoken, seed=1).run(options.minutes, state, folder)


def code(options: argparse.Namespace) -> None:
    """Encode clips into work/coded."""
    network = VocoderCodec2.load(options.work / "codec2").network.float()
    words = table(options.work)
    coded.make_held_out(options.work, network, words)
    numbers = range(options.first, options.shards, options.every)
    coded.make(options.work, network, utterances(options.work), words, numbers)


def pack(options: argparse.Namespace) -> None:
    """Copy the shards of encoded clips that a machine with a GPU gets into a folder that is its --work."""
    (options.out / "coded").mkdir(parents=True, exist_ok=True)
    held_out = options.work / "coded" / coded.HELD_OUT
    shutil.copy(held_out, options.out / "coded" / coded.HELD_OUT)
    total = held_out.stat().st_size
    for path in sorted((options.work / "coded").glob("[0-9]*.npz")):
        total += path.stat().st_size
        if total > PACKED_BYTES:
            break
        shutil.copy(path, options.out / "coded" / path.name)
    print(f"{options.out}: {len(list((options.out / 'coded').iterdir()))} shards")


def model_parts() -> tuple[PreTrainedTokenizerFast, HiggsConfig]:
    """Return the tokenizer and the config of the model."""
    tokenizer = build_tokenizer()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer), build_config(tokenizer)


def train_language_model(options: argparse.Namespace) -> None:
    """Train the language model; its state goes to work/lm2.pt, or its average alone to --out on a GPU."""
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    tokenizer, config = model_parts()
    builder = PromptBuilder(tokenizer, config)
    shards = sorted((options.work / "coded").glob("[0-9]*.npz"))
    examples = Examples(shards, builder, config)
    print(f"{len(shards)} shards, {examples.hours:.1f} hours", flush=True)
    cuda = options.device == "cuda"
    schedule = Schedule.of_gpu(options.minutes) if cuda else Schedule(options.minutes)
    # The processes that make batches are started before anything is on the GPU.
    loader = Loader(examples, schedule.positions, schedule.workers, int(time.time()), cuda)
    held_out = options.work / "coded" / coded.HELD_OUT
    unseen = []
    if held_out.exists():
        others = Examples([held_out], builder, config)
        unseen = unseen_batches(others, min(16_000, schedule.positions), schedule.longest)
    model = fresh(HiggsModel(config), BOOKS).train().requires_grad_()
    state = (options.out if cuda else options.work) / "lm2.pt"
    state.parent.mkdir(parents=True, exist_ok=True)
    Trainer(model, schedule, state, options.device).run(loader, unseen)


def ship(options: argparse.Namespace) -> None:
    """Write a model folder: averaged weights in bfloat16, tokenizer, pronunciation table, codec."""
    out, (_, config) = options.out, model_parts()
    out.mkdir(parents=True, exist_ok=True)
    average = {name: part.float() for name, part in load_parts(options.work).items()}
    weights = average | {HEAD: average[HEAD] / TEMPERATURE}
    save_file({n: p.to(torch.bfloat16).contiguous() for n, p in weights.items()}, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(config.to_native_dict(), indent=2) + "\n")
    (out / "generation_config.json").write_text(json.dumps(GENERATION, indent=2) + "\n")
    save_tokenizer(build_tokenizer(), out)
    shutil.copy(options.work / TABLE_FILE, out / TABLE_FILE)
    shutil.copytree(options.work / "codec2", out / "codec", dirs_exist_ok=True)


def table(work: Path) -> Pronunciations:
    """Return the pronunciations that train.v2.lexicon wrote."""
    found = Pronunciations.load(work)
    if found is None:
        raise SystemExit(
            f"There is no {work / TABLE_FILE}: run train.v2.lexicon in the teachers' environment."
        )
    return found


STEPS = {"codec": train_codec, "code": code, "pack": pack, "lm": train_language_model, "ship": ship}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, earlier runs included")
    parser.add_argument("--shards", type=int, default=40, help="of coded clips, in all")
    parser.add_argument("--first", type=int, default=0, help="of the numbers of coded shards")
    parser.add_argument("--every", type=int, default=1, help="so many; several processes share the work")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=WORK / "shipped2")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    STEPS[options.step](options)


if __name__ == "__main__":
    main()
