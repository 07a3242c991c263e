"""What the engine's benchmarks run: a model that never ends a stream, and prompts for it."""

from dataclasses import replace
from pathlib import Path

import torch

from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import EMBEDDING, HEAD, V3_SAMPLING, load_config, load_defaults, load_model
from higgs.model.config import HIGGS_V3, HiggsConfig
from higgs.model.delay import apply_delay
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt
from train.tokenizer import build_config, build_tokenizer

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32
HOT = 64  # times a folder's temperature: what brings nothing new for long counts as stuck, and is cut
BUNDLED = Path(__file__).parent.parent / "models" / "higgs-small"
SHAPES = {
    "3b": HiggsConfig(max_positions=8192),
    "small": build_config(build_tokenizer()),
    "v3": replace(HIGGS_V3, max_positions=8192),
    "small-v3": replace(
        HIGGS_V3,
        vocab_size=512,
        hidden_size=256,
        intermediate_size=768,
        layers=6,
        heads=8,
        kv_heads=2,
        head_dim=64,
        max_positions=8192,
        audio_token_id=510,
        audio_bos_token_id=511,
    ),
}
UNREACHABLE_CODE = 1_000_000
TEXT, REFERENCE = 80, 125  # positions, frames


def model_named(name: str, device: torch.device | str = DEVICE, dtype: torch.dtype = DTYPE) -> HiggsModel:
    """A model folder's, but hot, or one of random weights in a shape of SHAPES; streams never end."""
    device = torch.device(device)
    if name in SHAPES:
        model = random_model(SHAPES[name], device, dtype)
    else:
        model = load_model(Path(name), device, dtype)
        with torch.no_grad():
            model.audio_lm_head.weight.div_(HOT)  # a power of two: the weights stay as exact as they were
    model.config = replace(model.config, eos_code=UNREACHABLE_CODE)
    return model


def random_model(config: HiggsConfig, device: torch.device, dtype: torch.dtype) -> HiggsModel:
    """Weights as of a new HiggsModel, made on the device in their own type: in float32 the 3B takes 22 GB."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = HiggsModel(config)
    weights = {
        name: torch.ones(part.shape, device=device, dtype=dtype)
        if "norm" in name
        else torch.randn(part.shape, device=device, dtype=dtype) * 0.02
        for name, part in model.state_dict().items()
    }
    if config.tied_head:
        weights[HEAD] = weights[EMBEDDING]
    model.load_state_dict(weights, assign=True)
    model.move_buffers(device)
    return model.eval().requires_grad_(False)


def options_named(name: str) -> SamplingOptions:
    """The sampling of a model folder; that of the published models for random weights."""
    if name in SHAPES:
        return SamplingOptions() if SHAPES[name].generation == 2 else V3_SAMPLING
    return load_defaults(Path(name), load_config(Path(name)).generation)


def default_model() -> str:
    return str(BUNDLED) if BUNDLED.is_dir() else "small"


def some_codes() -> torch.Tensor:
    """Codes (8, T) of a reference of 5 s."""
    return torch.randint(0, 1024, (8, REFERENCE), generator=torch.Generator().manual_seed(0))


def some_prompt(config: HiggsConfig) -> Prompt:
    """Text, a reference of 5 s, text; the first two are the voice, which our engine keeps for the next."""
    columns = apply_delay(some_codes(), replace(config, eos_code=1025))
    ids = torch.arange(2 * TEXT + len(columns)) % config.audio_bos_token_id % config.audio_token_id
    mask = torch.zeros(len(ids), dtype=torch.bool)
    mask[TEXT : TEXT + len(columns)] = True
    ids[mask], ids[-1] = config.audio_token_id, config.audio_bos_token_id
    audio = torch.zeros(len(ids), config.num_codebooks, dtype=torch.int64)
    audio[mask] = columns
    return Prompt(ids, audio, mask, prefix=TEXT + len(columns))
