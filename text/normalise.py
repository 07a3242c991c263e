"""Normalisation: from a request's text to the text that the model is asked to speak."""
# ruff: noqa: RUF001 (the tables are made of look-alike characters)

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from errors import InvalidRequest
from text.chunking import SPEAKER, Chunking, chunks, has_words, length_of
from text.english import english_words
from text.markdown import plain_text
from text.markup import text_of
from text.pauses import parted
from text.pronunciations import AS_WRITTEN, Dictionaries, Lexicon
from text.traced import Traced

# What boson's examples/generation.py does to a text before it prompts the model. Parentheses become spaces.
PUNCTUATION = str.maketrans(
    "。：；？！【】《》“”‘’「」『』、—·（）()", '.:;?![]<>""\'\'"""",-.    ', "\u200b\u2060\ufeff"
) | {ord("，"): ", ", ord("…"): "..."}
UNITS = {"°F": " degrees Fahrenheit", "°C": " degrees Celsius"}
SOUND_TAGS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE_s>[Humming]</SE_s>",
    "[humming end]": "<SE_e>[Humming]</SE_e>",
    "[music start]": "<SE_s>[Music]</SE_s>",
    "[music end]": "<SE_e>[Music]</SE_e>",
    "[music]": "<SE>[Music]</SE>",
    "[sing start]": "<SE_s>[Singing]</SE_s>",
    "[sing end]": "<SE_e>[Singing]</SE_e>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
SOUND_TAG, UNIT = (re.compile("|".join(map(re.escape, each))) for each in (SOUND_TAGS, UNITS))
SPACE, LINE_BREAK = re.compile(r"[^\S\n]{2,}|[^\S \n]"), re.compile(r" ?\n[ \n]*")
# While these go on, a sound repeats itself by its nature, and sampling must not hold that against it.
SUSTAINED_SOUNDS = ("[music start]", "[humming start]", "<SE_s>[Music]", "<SE_s>[Humming]")
ENDINGS = (".", "!", "?", ",", ";", '"', "'", "</SE_e>", "</SE>")

# Control characters, and the private use area, where phones stand: a text can't bring its own.
CONTROL, UNSPOKEN = (re.compile(rf"[\x00-\x08\x0e-\x1f\x7f-\x9f{more}]") for more in ("", "\ue000-\uf8ff"))
SPECIAL_TOKEN = re.compile(r"<\|\w+\|>")

MAX_INSTRUCTION_WORDS = 12
LEAD = re.compile(r"""([^:：.!?\n]{1,200})(?::(?=[\s"'“‘«])|：)""")
SPEAKING = r"(?:say|speak|read|repeat|recite|narrate|pronounce|synthesi[sz]e|generate|convert|turn)"
TEXT_ITSELF = (
    r"(?:this|these|the\s+following)(?:$|\s+(?:in|with|using|like|as|exactly|aloud|out\s+loud"
    r"|texts?|words?|sentences?|lines?|phrases?|passages?|paragraphs?)\b)"
)
INSTRUCTION = re.compile(
    rf"""(?:please,?\s+|now\s+)*(?:
        (?:say|speak)$
        | {SPEAKING}\b.*\b(?:voices?\b|aloud\b|out\s+loud\b|speech\b|{TEXT_ITSELF})
        | (?:clone|copy|imitate|mimic)\b.*\bvoice\b
        | use\b.*\bvoice\b.*\b{SPEAKING}\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
MODEL_TAG = re.compile(r"<\|[^|>]*\|>|<SE\w*>[^<\n]*</SE\w*>|</?SE\w*>")
LEADING_TAGS = re.compile(r"(?:<\|[\w: -]+\|>\s*)+")
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "「": "」", "『": "』"}
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")


Reading = Literal["verbatim", "plain", "english"]


def chosen_reading(setting: Reading | Literal["auto"], *, english_only: bool) -> Reading:
    """Resolve the reading "auto": multilingual models read numbers themselves."""
    if setting != "auto":
        return setting
    return "english" if english_only else "plain"


def speakable(
    text: str, reading: Reading = "verbatim", *, normalised: bool = True, lexicon: Lexicon = AS_WRITTEN
) -> Traced:
    """Normalise a text for a model.

    The reading "plain" removes HTML, SSML, Markdown and emoji; "english" also spells out numbers, links,
    symbols and abbreviations. Control characters and the tokenizer's `<|special|>` tokens are removed, so
    that a text can't change the prompt. `[laugh]` and so on become sound tags.

    Args:
        text: the text.
        reading: "verbatim", "plain" or "english".
        normalised: additionally, as in boson's example for v2: full-width punctuation becomes half-width,
            parentheses become spaces, `°C` words; white space is collapsed, and a text without final
            punctuation gets a full stop. v3 reads texts as they are.

    Raises:
        InvalidRequest: text_empty, no letter or digit is left.
    """
    spoken = _spoken(text, reading, normalised, lexicon)
    if not spoken:
        raise InvalidRequest("The text holds nothing to speak.", code="text_empty")
    return spoken


def _spoken(text: str, reading: Reading, normalised: bool, lexicon: Lexicon) -> Traced:
    """Like `speakable`; empty if there is nothing to speak."""
    spoken = Traced.of(text).sub(UNSPOKEN, "")
    if reading != "verbatim":
        spoken = plain_text(text_of(spoken), full_stops=normalised).sub(UNSPOKEN, "")  # from entities
    spoken = lexicon.applied(spoken)
    if reading == "english":
        spoken = english_words(spoken)
    spoken = (spoken.translated(PUNCTUATION) if normalised else spoken).sub(SPECIAL_TOKEN, " ", silent=True)
    if not has_words(spoken):
        return spoken[:0]
    spoken = spoken.sub(SOUND_TAG, lambda found: SOUND_TAGS[found[0]], silent=True)
    if not normalised:
        return spoken.strip()
    spoken = spoken.sub(UNIT, lambda found: UNITS[found[0]])
    spoken = spoken.sub(SPACE, " ").sub(LINE_BREAK, "\n").strip()
    return spoken if spoken.endswith(ENDINGS) else spoken + "."


def without_tags(text: str) -> Traced:
    """Remove tags of speakers, sounds and delivery."""
    return Traced.of(text).sub(MODEL_TAG, " ", silent=True).sub(SPEAKER, " ", silent=True)


def plain_scene(text: str) -> str:
    """Return a scene description without special tokens and empty lines."""
    lines = SPECIAL_TOKEN.sub(" ", CONTROL.sub("", text)).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def spoken_part(text: str, *, strip_instruction: bool = True) -> str:
    """Remove a leading instruction such as "Say this in my voice:", and quotes around what follows.

    An instruction starts the text with an imperative verb of speaking (optionally after "please" or "now"),
    refers to the text or the voice ("this in", "the following text", "aloud", "voice" …; a bare "Say:"
    suffices), has at most 12 words and no other sentence punctuation, and ends in a colon with something to
    speak after it. Anything else, such as "Note: …", "He said: …" or "Tell me: why?", is spoken as it is.
    """
    lead = LEAD.match(text.lstrip()) if strip_instruction else None
    if (
        lead is None
        or len(lead[1].split()) > MAX_INSTRUCTION_WORDS
        or not INSTRUCTION.match(lead[1].rstrip())
    ):
        return text
    rest = without_quotes(lead.string[lead.end() :].strip())
    return rest if has_words(rest) else text


Part = tuple[int, str] | float


@dataclass(frozen=True)
class ReadText:
    """A normalised text, before it is split into chunks.

    Attributes:
        written: the original text.
        turns: (voice number, text), and pauses in seconds between them.
        dictionaries: the pronunciations that were applied for each voice.
    """

    written: str
    turns: tuple[tuple[int, tuple[Traced | float, ...]], ...]
    dictionaries: Dictionaries = ()

    @property
    def length(self) -> int:
        """What there is to speak, as of length_of: no pauses and no tags; numbers as their words where the
        reading writes them."""
        texts = (part for _, parts in self.turns for part in parts if isinstance(part, str))
        return sum(length_of(without_tags(text)) for text in texts)


def read_out(
    text: str, reading: Reading, voices: int, *, normalised: bool = True, lexicons: Sequence[Lexicon] = ()
) -> ReadText:
    """Read a text in one of the readings.

    With several voices, "[SPEAKER1] Hello." is spoken by the second, and what stands before any such tag by
    the first. With one voice the tags are left to the model, but for one that reads English words only.
    Pauses are those of text.pauses; `normalised` as of speakable. lexicons: how each voice says words.

    Raises InvalidRequest: unknown_speaker for a tag without a voice, invalid_pause, text_empty.
    """
    plain = Traced.of(text) if reading == "verbatim" else text_of(text)
    if voices == 1 and reading == "english":
        plain = plain.sub(SPEAKER, " ", silent=True)
    turns = _turns(plain) if voices > 1 else [(0, plain)]
    found: list[tuple[int, tuple[Traced | float, ...]]] = []
    for number, turn in turns:
        parts = [part for part in parted(turn) if isinstance(part, float) or has_words(part)]
        if any(isinstance(part, str) for part in parts):
            _check_speaker(number, voices)
        lexicon = lexicons[number] if lexicons and parts else AS_WRITTEN
        read = partial(_spoken, reading=reading, normalised=normalised, lexicon=lexicon)
        spoken = (part if isinstance(part, float) else read(part) for part in parts)
        found.append((number, tuple(part for part in spoken if isinstance(part, float) or part)))
    if not any(isinstance(part, str) for _, parts in found for part in parts):
        raise InvalidRequest("The text holds nothing to speak.", code="text_empty")
    return ReadText(text, tuple(found))


def spoken_parts(text: ReadText, chunking: Chunking, *, manners: frozenset[str] = frozenset()) -> list[Part]:
    """Return the chunks to speak, in order: (voice number, text), or a pause in seconds.

    manners: the model's delivery tags. Those that open a turn are repeated in its later chunks, unless these
    have their own.
    """
    found: list[Part] = []
    for number, parts in text.turns:
        opening = ""
        for part in parts:
            if isinstance(part, float):
                found.append(part)
                continue
            for chunk in chunks(part, chunking):
                own = _manner(chunk, manners)
                found.append((number, chunk if own else opening + chunk))
                opening = opening or own
    return found


def _manner(chunk: str, manners: frozenset[str]) -> str:
    """Return the delivery tags at the start of a chunk."""
    head = LEADING_TAGS.match(chunk)
    return "".join(tag for tag in re.findall(r"<\|[^|]*\|>", head[0]) if tag in manners) if head else ""


def _turns(text: Traced) -> list[tuple[int, Traced]]:
    found, speaker = [], 0
    for turn, tag in text.parts(SPEAKER):
        found.append((speaker, turn))
        speaker = int(tag[1]) if tag else speaker
    return found


def _check_speaker(number: int, voices: int) -> None:
    if number >= voices:
        message = f"The text names [SPEAKER{number}], but {voices} voices are there, from [SPEAKER0] on."
        raise InvalidRequest(message, code="unknown_speaker")


def without_quotes(text: str) -> str:
    """Remove one pair of quotes that encloses the whole text."""
    opening, closing = text[:1], QUOTES.get(text[:1])
    inner = text[1:-1]
    if closing is None or not text.endswith(closing) or {opening, closing} & set(APOSTROPHE.sub("", inner)):
        return text
    return inner.strip()
