"""Load a model from a folder or the hub, in any of its published layouts.

The native layout is transformers'. Boson's original v2 layout and that of v3 differ only in tensor names,
which are mapped here. Whatever can't be loaded is a StartError that names the remedy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from errors import InvalidRequest, StartError
from higgs.codecs.higgs_v2.checkpoint import INNER_CODEC
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.licence import Licence, licence_of
from higgs.model.quantised import KINDS, quantise, quantise_linears
from higgs.model.transformer import HiggsModel
from higgs.model.weights import Uninitialised, compare, find, find_file, read_json, read_weights
from higgs.prompts.pronunciation import Pronunciations
from higgs.prompts.tags import Tags, UnknownTags
from higgs.prompts.v2 import PromptBuilder
from higgs.prompts.v3 import TaskPromptBuilder

CHUNK_CHARACTERS = 300  # unless generation_config.json has another
REFERENCE_SECONDS = 30.0
PUBLISHED_CODEC = "bosonai/higgs-audio-v2-tokenizer"

TO_NATIVE = {
    "tied.embedding.text_embedding.": "model.embed_tokens.",
    "tied.embedding.modality_embeddings.0.embedding.": "model.embed_audio_tokens.embed_audio_tokens.",
    "tied.head.modality_heads.0.": "audio_lm_head.",
    "body.": "model.",
    "audio_codebook_embeddings.": "model.embed_audio_tokens.embed_audio_tokens.",
    "audio_decoder_proj.audio_lm_head.": "audio_lm_head.",
    "embed_tokens.": "model.embed_tokens.",
    "layers.": "model.layers.",
    "norm.": "model.norm.",
}
# Speech needs neither the text head nor the audio tower (Whisper features as input).
# higgs.codecs.higgs_v2 loads the codec within v3's weights.
UNUSED = (
    "text_lm_head.",
    "audio_decoder_proj.text_lm_head.",
    "audio_tower.",
    "audio_encoder_proj.",
    "tied.head.text_head.",
    INNER_CODEC,
)
HEAD, EMBEDDING = "audio_lm_head.weight", "model.embed_audio_tokens.embed_audio_tokens.weight"

# As in the published model card, boson's README, and its examples of cloning and of long texts.
V2_SAMPLING = SamplingOptions(temperature=0.3, top_k=50, top_p=0.95, ras_window=7, ras_repeats=2)
V3_OPENING = "<|audio|>"
# As in the published examples of v3 (SGLang-Omni's cookbook of Higgs TTS).
MIN_FRAMES_PER_LETTER = 0.8  # the fastest speakers reach 25 letters a second, which is 1
V3_SAMPLING = SamplingOptions(temperature=0.8, top_k=50, top_p=1.0, ras_window=0)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded language model and what belongs to it.

    Attributes:
        folder: where it was loaded from.
        defaults: its default sampling.
        codec: the folder of its codec.
        chunk_characters: maximum length of a text that it speaks well at once.
        chunk_sentences: maximum number of sentences at once; None for no limit.
        min_frames_per_letter: minimum frames of speech per letter of a text; it doesn't end before.
        reference_seconds: maximum duration of a voice reference that it follows.
        licence: of the weights, if they name one.
    """

    folder: Path
    model: HiggsModel
    tokenizer: PreTrainedTokenizerFast
    defaults: SamplingOptions
    codec: Path
    chunk_characters: int
    chunk_sentences: int | None
    min_frames_per_letter: float
    reference_seconds: float
    licence: Licence | None

    def prompts(self, unknown_tags: UnknownTags) -> PromptBuilder | TaskPromptBuilder:
        """Return the generation's prompt builder. Raises StartError if the tokenizer lacks its tokens."""
        tags = Tags(self.tokenizer, unknown_tags)
        if self.model.config.generation != 2:
            return TaskPromptBuilder(self.tokenizer, self.model.config, tags)
        pronunciations = Pronunciations.load(self.folder)
        return PromptBuilder(self.tokenizer, self.model.config, tags, pronunciations)


def load_checkpoint(
    name: str,
    *,
    codec: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    weights: str = "bf16",
) -> Checkpoint:
    """Load a model.

    Args:
        name: a folder or hub id.
        codec: folder or hub id of a codec to use instead of the model's own; see find_codec.
        device: where the weights go.
        dtype: of the weights; None for bfloat16 on CUDA and float32 elsewhere.
        weights: see load_model.

    Raises:
        StartError: the model or its codec can't be used.
        HubError: one of them can't be downloaded.
    """
    folder = find(name)
    generation = load_config(folder).generation
    codec_folder = find_codec(folder, codec, generation)  # first, since it may be missing
    device = torch.device(device)
    if dtype is None:
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    defaults_of = load_generation(folder)
    return Checkpoint(
        folder=folder,
        model=load_model(folder, device, dtype, weights),
        tokenizer=load_tokenizer(folder),
        defaults=load_defaults(folder, generation),
        codec=codec_folder,
        chunk_characters=int(defaults_of.get("piece_characters") or CHUNK_CHARACTERS),
        chunk_sentences=defaults_of.get("piece_sentences"),
        min_frames_per_letter=float(defaults_of.get("min_frames_per_letter", MIN_FRAMES_PER_LETTER)),
        reference_seconds=float(defaults_of.get("reference_seconds", REFERENCE_SECONDS)),
        licence=licence_of(folder, generation),
    )


def peek_config(name: str) -> HiggsConfig:
    """Return the shape of a model, a folder or hub id; downloads config.json only."""
    return HiggsConfig.from_dict(read_json(find_file(name, "config.json")))


def find_codec(folder: Path, codec: str | None, generation: int = 2) -> Path:
    """Return the codec's folder: the requested one, else `codec/` beside the model, else the published one.

    A v3 model's weights contain its codec, so its own folder is returned.
    """
    if codec:
        return find(codec)
    own = folder / "codec"
    if own.is_dir():
        return own
    return folder if generation == 3 else find(PUBLISHED_CODEC)


def load_config(folder: Path) -> HiggsConfig:
    """Load a folder's config in any layout; some of v3's token ids are in its tokenizer only."""
    config = HiggsConfig.from_dict(read_json(folder / "config.json"))
    if config.generation == 2:
        return config
    tokens = {token["content"]: token["id"] for token in read_json(folder / "tokenizer.json")["added_tokens"]}
    if V3_OPENING not in tokens:
        raise StartError(f"The tokenizer in {folder} has no token {V3_OPENING}: it is not one of Higgs v3.")
    return replace(config, audio_bos_token_id=tokens[V3_OPENING])


def load_model(folder: Path, device: torch.device, dtype: torch.dtype, weights: str = "bf16") -> HiggsModel:
    """Load the language model of a folder in any layout, ready for inference.

    Args:
        folder: the model's folder.
        device: where the weights go.
        dtype: of the weights.
        weights: of the layers' matrices: "bf16" (see dtype), or one of KINDS, quantised while loading.

    Raises:
        StartError: tensors are missing, left over, or of other shapes than the config says.
    """
    config = load_config(folder)
    with torch.device("meta"), Uninitialised():
        model = HiggsModel(config)
    if weights in KINDS:
        quantise_linears(model.model.layers, KINDS[weights])
    wanted, tensors = model.state_dict(), {}
    for name, tensor in _native_weights(folder):
        tensors[name] = tensor.to(device, dtype)
        if (scale := f"{name.removesuffix('weight')}scale") in wanted:
            tensors[name], tensors[scale] = quantise(tensors[name], KINDS[weights])
    if config.tied_head and EMBEDDING in tensors:
        tensors[HEAD] = tensors[EMBEDDING]
    compare(folder, wanted, tensors)
    model.load_state_dict(tensors, assign=True)
    model.move_buffers(device)
    return model.eval().requires_grad_(False)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    try:
        return PreTrainedTokenizerFast.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise StartError(f"{folder} has no readable tokenizer.json ({error}). Download it again.") from error


def load_generation(folder: Path) -> dict[str, Any]:
    """Return a model's generation_config.json; empty if there is none."""
    path = folder / "generation_config.json"
    return read_json(path) if path.is_file() else {}


def load_defaults(folder: Path, generation: int = 2) -> SamplingOptions:
    """Return the default sampling of generation_config.json, completed by the published model's."""
    config = load_generation(folder)
    published = V2_SAMPLING if generation == 2 else V3_SAMPLING
    names = {
        "temperature": "temperature",
        "top_k": "top_k",
        "top_p": "top_p",
        "ras_window": "ras_win_len",
        "ras_repeats": "ras_win_max_num_repeat",
    }
    chosen = {ours: config[theirs] for ours, theirs in names.items() if config.get(theirs) is not None}
    chosen["top_k"] = chosen.get("top_k", published.top_k) or None
    if config.get("do_sample") is False:
        chosen["temperature"] = 0.0
    try:
        return replace(published, **chosen)
    except (InvalidRequest, TypeError) as error:
        raise StartError(f"{folder}/generation_config.json can't be used: {error}") from error


def _native_weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in read_weights(folder):
        if name.startswith(UNUSED):
            continue
        prefix = next((prefix for prefix in TO_NATIVE if name.startswith(prefix)), "")
        yield TO_NATIVE.get(prefix, "") + name.removeprefix(prefix), tensor
