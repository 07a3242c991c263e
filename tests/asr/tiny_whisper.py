"""A Whisper checkpoint of a few kilobytes that knows two sentences: real files, and weights made by hand.

Which token follows is told by the last token alone: the decoder's layers add nothing, and the row of each
token's successor in the output matrix points its way. So the text is known, and all else (features, language,
task, timestamps, words, windows) goes its real way.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

WIDTH = 64
LANGUAGES = ("en", "de", "zh")
MARKS = (
    *("<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES)),
    *(
        "<|translate|>",
        "<|transcribe|>",
        "<|startoflm|>",
        "<|startofprev|>",
        "<|nospeech|>",
        "<|notimestamps|>",
    ),
)
TIMESTAMPS = tuple(f"<|{step * 0.02:.2f}|>" for step in range(1501))
WORDS = ("Guten", "Morgen", "alle", "Good", "morning", "all")
# transcribe says two segments, translate one; its first timestamp tells the ways apart.
TRANSCRIPT = ("<|0.00|>", " Guten", " Morgen", ".", "<|1.00|>", "<|1.00|>", " alle", "!", "<|2.00|>")
TRANSLATION = ("<|0.02|>", " Good", " morning", " all", "?", "<|1.50|>")


def write_tiny_whisper(folder: Path, language: str = "de", *, multilingual: bool = True) -> Path:
    """A checkpoint that always hears this language; return its folder."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    model = WhisperForConditionalGeneration(_config(ids, len(tokenizer)))
    _teach(model, tokenizer, f"<|{language}|>" if multilingual else TRANSCRIPT[0])
    model.generation_config = _generation(ids, multilingual)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), tokenizer).save_pretrained(folder)
    return folder


def _tokenizer() -> WhisperTokenizer:
    """Bytes and the six words, each one token with the space before it."""
    alphabet = sorted(ByteLevel.alphabet())
    vocabulary, merges = {letter: index for index, letter in enumerate(alphabet)}, []
    for word in WORDS:
        grown = "Ġ"
        for letter in word:
            merges.append((grown, letter))
            grown += letter
            vocabulary.setdefault(grown, len(vocabulary))
    tokenizer = WhisperTokenizer(vocab=vocabulary, merges=list(dict.fromkeys(merges)))
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)})
    tokenizer.add_tokens(list(TIMESTAMPS))
    return tokenizer


def _config(ids: Any, size: int) -> WhisperConfig:
    return WhisperConfig(
        vocab_size=size,
        num_mel_bins=16,
        d_model=WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=WIDTH,
        decoder_ffn_dim=WIDTH,
        decoder_start_token_id=ids("<|startoftranscript|>"),
        bos_token_id=ids("<|endoftext|>"),
        eos_token_id=ids("<|endoftext|>"),
        pad_token_id=ids("<|endoftext|>"),
        suppress_tokens=[],
        begin_suppress_tokens=[],
        tie_word_embeddings=False,
    )


def _generation(ids: Any, multilingual: bool) -> GenerationConfig:
    """The fields that OpenAI's checkpoints have in transformers' format."""
    languages = {
        "is_multilingual": True,
        "lang_to_id": {f"<|{code}|>": ids(f"<|{code}|>") for code in LANGUAGES},
        "task_to_id": {task: ids(f"<|{task}|>") for task in ("transcribe", "translate")},
    }
    return GenerationConfig(
        **(languages if multilingual else {"is_multilingual": False}),
        decoder_start_token_id=ids("<|startoftranscript|>"),
        bos_token_id=ids("<|endoftext|>"),
        eos_token_id=ids("<|endoftext|>"),
        pad_token_id=ids("<|endoftext|>"),
        prev_sot_token_id=ids("<|startofprev|>"),
        no_timestamps_token_id=ids("<|notimestamps|>"),
        return_timestamps=False,
        max_initial_timestamp_index=50,
        alignment_heads=[[0, 0], [0, 1]],
        max_length=448,
    )


def _teach(model: WhisperForConditionalGeneration, tokenizer: WhisperTokenizer, start: str) -> None:
    """Let each token be followed by the next of its sentence; `start` follows the start of all."""
    known = model.model.decoder.embed_tokens.weight
    layer, ids = model.model.decoder.layers[0], tokenizer.convert_tokens_to_ids
    with torch.no_grad():
        for weight in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
            weight.weight.zero_()
            weight.bias.zero_()
        model.model.decoder.embed_positions.weight.zero_()
        known.copy_(torch.nn.functional.normalize(torch.randn_like(known), dim=-1))
        model.proj_out.weight.zero_()
        sayings = [("<|startoftranscript|>", start)]
        sayings += pairwise(("<|transcribe|>", *TRANSCRIPT, "<|endoftext|>"))
        sayings += pairwise(("<|translate|>", *TRANSLATION, "<|endoftext|>"))
        for rank, (token, following) in enumerate(sayings):
            one, other = (ids(name.replace(" ", "Ġ")) for name in (token, following))
            # What comes earlier is likelier: after the first <|1.00|> another, after the second " alle".
            model.proj_out.weight[other] += (6 - 0.02 * rank) * known[one]
