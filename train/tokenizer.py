"""The bundled model's tokenizer: characters, the published special tokens, and the prompt's fixed phrases."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from higgs.model.config import HiggsConfig, RopeConfig
from higgs.prompts.v2 import INSTRUCTION, QUIET_ROOM, STRUCTURE

UNKNOWN = "<|unknown|>"
CHARACTERS = "\n !',-.0123456789:;?[]abcdefghijklmnopqrstuvwxyz"
SPECIAL = (
    *STRUCTURE,
    "<|recipient|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|audio_out_bos|>",
    "<|reserved_special_token_6|>",
    "<|AUDIO|>",
    "<|AUDIO_OUT|>",
    "<|scene_desc_start|>",
    "<|scene_desc_end|>",
    "<|generation_instruction_start|>",
    "<|generation_instruction_end|>",
)
# What every prompt repeats to the letter costs one position instead of dozens.
PHRASES = (
    *(f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant")),
    f"{INSTRUCTION}\n\n",
    f"\n{QUIET_ROOM}\n",
    "\nSPEAKER0: ",
)
# Signs to what is said of them, in this order. Emoji and other signs are silent; letters of other scripts
# stay,
# and become `<|unknown|>`.
SIGNS = (
    ("[\u2018\u2019\u02bc`]", "'"),
    ("[\u2013\u2014\u2026()/|]|\\.\\.\\.+", ", "),
    ("&", " and "),
    ("%", " percent"),
    ("@", " at "),
    ("\\+", " plus "),
    ("=", " equals "),
    ("\\$", "dollar "),
    ("\u00a3", "pound "),
    ("\u20ac", "euro "),
    ("[^\\p{L}\\p{M}\\p{N}\\n !',.:;?\\[\\]\\t-]", ""),
)
SPACES = (("[\t ]+", " "), (" +(?=[,.?!;:])", ""))


def build_tokenizer() -> Tokenizer:
    """A tokenizer of characters; one it doesn't know becomes `<|unknown|>`."""
    names = [UNKNOWN, *CHARACTERS]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=UNKNOWN))
    signs, spaces = (
        [normalizers.Replace(Regex(found), said) for found, said in table] for table in (SIGNS, SPACES)
    )
    letters = [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *signs, *letters, *spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in PHRASES])
    return tokenizer


def build_config(tokenizer: Tokenizer) -> HiggsConfig:
    """The shape of the bundled model: 13 million parameters, 7 of them touched in a column."""
    ids = tokenizer.get_vocab()
    return HiggsConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=256,
        intermediate_size=768,
        layers=6,
        heads=4,
        kv_heads=4,
        head_dim=64,
        max_positions=4096,
        rope=RopeConfig(theta=10_000.0, factor=1.0),
        audio_token_id=ids["<|AUDIO_OUT|>"],
        audio_bos_token_id=ids["<|audio_out_bos|>"],
        audio_delay_token_id=ids["<|reserved_special_token_6|>"],
        pad_token_id=ids["<|end_of_text|>"],
        eos_token_id=ids["<|eot_id|>"],
    )


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json, as transformers reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin_of_text|>",
        "eos_token": "<|eot_id|>",
        "pad_token": "<|end_of_text|>",
        "unk_token": UNKNOWN,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
