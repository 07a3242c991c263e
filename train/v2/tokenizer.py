"""The second model's tokenizer and config: the first one's, with a token for each phone."""

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from higgs.model.config import HiggsConfig, RopeConfig
from higgs.prompts.pronunciation import PAUSES, SYMBOLS, character
from train.tokenizer import CHARACTERS, PHRASES, SIGNS, SPACES, SPECIAL, UNKNOWN

PHONES = [character(symbol) for symbol in SYMBOLS if symbol not in PAUSES]
# The first one's last rule drops what is neither letter nor digit: phones stand in the private use area.
KEPT = ("[^\\p{L}\\p{M}\\p{N}\\p{Co}\\n !',.:;?\\[\\]\\t-]", "")


def build_tokenizer() -> Tokenizer:
    """Return a tokenizer of characters and phones; an unknown character becomes `<|unknown|>`."""
    names = [UNKNOWN, *CHARACTERS, *PHONES]
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token=UNKNOWN))
    signs, spaces = (
        [normalizers.Replace(Regex(found), said) for found, said in table]
        for table in ((*SIGNS[:-1], KEPT), SPACES)
    )
    letters = [normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), *signs, *letters, *spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in PHRASES])
    return tokenizer


def build_config(tokenizer: Tokenizer, hidden: int = 384, layers: int = 8) -> HiggsConfig:
    """Return the model's config: 32 million parameters, 18 of them used per step."""
    ids = tokenizer.get_vocab()
    return HiggsConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        layers=layers,
        heads=hidden // 64,
        kv_heads=hidden // 64,
        head_dim=64,
        max_positions=4096,
        rope=RopeConfig(theta=10_000.0, factor=1.0),
        audio_token_id=ids["<|AUDIO_OUT|>"],
        audio_bos_token_id=ids["<|audio_out_bos|>"],
        audio_delay_token_id=ids["<|reserved_special_token_6|>"],
        pad_token_id=ids["<|end_of_text|>"],
        eos_token_id=ids["<|eot_id|>"],
    )
