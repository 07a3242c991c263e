"""The whole recipe: `python -m train.run` makes models/higgs-small; results in train/work are reused.

    python -m train.run --codec-minutes 20 --minutes 480
    python -m train.run --teachers natural --start models/higgs-small --minutes 90 --decoder-minutes 15

The first command trains on flite's speech, the second continues on the speech that `make teachers` wrote.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

from audio.frames import CODEBOOKS
from higgs.codecs.vocoder.codec import VocoderCodec
from higgs.codecs.vocoder.network import PROSODY_BOOK
from higgs.model.checkpoint import load_model
from higgs.model.config import HiggsConfig
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import PromptBuilder
from train import codec, decoder
from train.copying import fresh
from train.examples import Examples
from train.language_model import Schedule, Trainer
from train.natural_speech import natural_speech
from train.speech import Utterance, load_shard, make_shards
from train.texts import corpus
from train.tokenizer import build_config, build_tokenizer, save_tokenizer

WORK = Path(__file__).parent / "work"
MODEL = Path(__file__).parent.parent / "models" / "higgs-small"
FLITE_BESIDE = 1_000  # sentences of flite beside the natural teachers', so that its voices aren't forgotten
# Applied at a request's temperature of 1: all codebooks sound best near greedy, the envelope's most of all.
TEMPERATURES = (0.15,) * (PROSODY_BOOK + 1) + (0.075,) * (CODEBOOKS - PROSODY_BOOK - 1)
HEAD = "audio_lm_head.weight"
# Of the weights that natural teachers' lessons began with, in the mean that ships: what is learned anew costs
# some of what was known (M. Wortsman et al., "Model soups", 2022, https://arxiv.org/abs/2203.05482).
KEPT = 0.5
GENERATION = {
    "do_sample": True,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 0.95,
    "ras_win_len": 0,
    "ras_win_max_num_repeat": 2,
    "piece_characters": 90,
    "piece_sentences": 1,
    "min_frames_per_letter": 1.6,
    "reference_seconds": 10.0,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teachers", choices=("flite", "natural"), default="flite")
    parser.add_argument("--sentences", type=int, default=36_000, help="of flite's")
    parser.add_argument("--codec-minutes", type=float, default=20.0)
    parser.add_argument("--decoder-minutes", type=float, default=25.0, help="of the codec's decoder alone")
    parser.add_argument(
        "--minutes", type=float, default=480.0, help="of language model training, earlier runs included"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start", type=Path, help="model folder whose codec and weights to begin with")
    parser.add_argument("--out", type=Path, default=MODEL)
    return parser.parse_args()


def spoken_by_flite(sentences: list[str], folder: Path) -> list[Utterance]:
    """Return the corpus spoken by flite, analysed on the first run."""
    make_shards(sentences, folder)
    return [utterance for path in sorted(folder.glob("*.npz")) for utterance in load_shard(path)]


def mean_of(before: dict[str, torch.Tensor], learned: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights between those of before and those learned; see KEPT."""
    return {name: torch.lerp(part, before[name], KEPT) for name, part in learned.items()}


def ship(average: dict[str, torch.Tensor], config: HiggsConfig, out: Path) -> None:
    """Write the averaged weights in bfloat16, and everything else that a model folder has."""
    out.mkdir(parents=True, exist_ok=True)
    weights = average | {HEAD: average[HEAD] / temperatures(config)}
    save_file({n: p.to(torch.bfloat16).contiguous() for n, p in weights.items()}, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(config.to_native_dict(), indent=2) + "\n")
    (out / "generation_config.json").write_text(json.dumps(GENERATION, indent=2) + "\n")
    save_tokenizer(build_tokenizer(), out)
    copy_codec(WORK / "codec", out / "codec")


def copy_codec(source: Path, target: Path) -> None:
    """Copy a codec's config.json and model.safetensors."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        (target / name).write_bytes((source / name).read_bytes())


def started(folder: Path) -> HiggsModel:
    """Load a shipped model with its head scaled as in training."""
    model = load_model(folder, torch.device("cpu"), torch.float32)
    with torch.no_grad():
        model.audio_lm_head.weight.mul_(temperatures(model.config))
    return model


def temperatures(config: HiggsConfig) -> torch.Tensor:
    """Return the temperature of each row of the head, [8 · V, 1]."""
    return torch.tensor(TEMPERATURES).repeat_interleave(config.codebook_size)[:, None]


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    natural = options.teachers == "natural"
    sentences = corpus(options.sentences)
    if natural:
        beside = spoken_by_flite(sentences[:FLITE_BESIDE], WORK / "speech_beside")
        utterances = natural_speech(WORK) + beside
    else:
        utterances = spoken_by_flite(sentences, WORK / "speech")
    print(
        f"{len(utterances)} utterances, {sum(u.frames for u in utterances) / 90_000:.1f} hours",
        flush=True,
    )
    tokenizer = build_tokenizer()
    config = build_config(tokenizer)
    builder = PromptBuilder(PreTrainedTokenizerFast(tokenizer_object=tokenizer), config)
    if options.start:
        copy_codec(options.start / "codec", WORK / "codec")
    elif not (WORK / "codec" / "model.safetensors").exists():
        network = codec.train(utterances, WORK / "codec", options.codec_minutes)
        examples = Examples(utterances, network, builder, config)
        decoder.train(network, decoder.clips(network, examples), WORK / "codec", options.decoder_minutes)
    network = VocoderCodec.load(WORK / "codec").network
    model = started(options.start) if options.start else fresh(HiggsModel(config))
    schedule = Schedule.of_trained(options.minutes) if options.start else Schedule(options.minutes)
    state = WORK / ("natural_model.pt" if natural else "language_model.pt")
    trainer = Trainer(model.train().requires_grad_(), schedule, state)
    examples = Examples(utterances, network, builder, config)
    trainer.run(examples)
    weights = trainer.average
    if natural:  # last, since the codes keep their meaning
        decoder.train(network, decoder.clips(network, examples), WORK / "codec", options.decoder_minutes)
        if options.start:
            weights = mean_of(started(options.start).state_dict(), weights)
    ship(weights, config, options.out)


if __name__ == "__main__":
    main()
