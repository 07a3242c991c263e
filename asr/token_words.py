"""Group Whisper's tokens into words: by whole characters, then spaces, then punctuation.

The method is OpenAI whisper's (`tokenizer.py: split_to_word_tokens`, `timing.py: merge_punctuations`).
"""

from collections.abc import Callable, Sequence
from string import punctuation

# Languages written without spaces: each character counts as a word. Codes as Whisper's.
UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}
OPENING = "\"'“¡¿([{-"
CLOSING = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001  # full-width ones are meant
BROKEN = "\ufffd"  # what an incomplete character is decoded to

TokenWord = tuple[str, list[int]]  # text, indices of its tokens


def token_words(
    tokens: Sequence[int], decode: Callable[[Sequence[int]], str], language: str
) -> list[TokenWord]:
    """Group text tokens into words, including adjacent punctuation.

    Args:
        tokens: text tokens, without special ones.
        decode: turns tokens into text; an incomplete character becomes U+FFFD.
        language: Whisper's code, e.g. "en".

    Returns:
        Each word's text, with its leading space, and the indices of its tokens.
    """
    characters = _whole_characters(tokens, decode)
    words = characters if language in UNSPACED else _split_at_spaces(characters)
    return _join_closing(_join_opening(words))


def _whole_characters(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[TokenWord]:
    """Return the shortest runs of tokens that decode to whole characters."""
    full, length = decode(tokens), 0
    found: list[TokenWord] = []
    start = 0
    for end in range(1, len(tokens) + 1):
        text = decode(tokens[start:end])
        broken = length + text.index(BROKEN) if BROKEN in text else None
        # A U+FFFD that is also in the whole text isn't an incomplete character.
        if broken is None or broken >= len(full) or full[broken] == BROKEN:
            found.append((text, list(range(start, end))))
            start, length = end, length + len(text)
    if start < len(tokens):  # tokens after a U+FFFD of several tokens; whisper drops them
        found.append((decode(tokens[start:]), list(range(start, len(tokens)))))
    return found


def _split_at_spaces(characters: list[TokenWord]) -> list[TokenWord]:
    words: list[TokenWord] = []
    for text, places in characters:
        if not words or text.startswith(" ") or text.strip() in punctuation:
            words.append((text, places))
        else:
            words[-1] = (words[-1][0] + text, words[-1][1] + places)
    return words


def _join_opening(words: list[TokenWord]) -> list[TokenWord]:
    """Join an opening quote or bracket to the next word."""
    joined: list[TokenWord] = []
    for text, places in reversed(words):
        if joined and text.startswith(" ") and text.strip() in OPENING:
            joined[-1] = (text + joined[-1][0], places + joined[-1][1])
        else:
            joined.append((text, places))
    return joined[::-1]


def _join_closing(words: list[TokenWord]) -> list[TokenWord]:
    """Join closing punctuation to the previous word."""
    joined: list[TokenWord] = []
    for text, places in words:
        if joined and not joined[-1][0].endswith(" ") and text in CLOSING:
            joined[-1] = (joined[-1][0] + text, joined[-1][1] + places)
        else:
            joined.append((text, places))
    return joined
