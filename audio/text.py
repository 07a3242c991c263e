"""The text of a request → the text that the model is asked to speak."""
# ruff: noqa: RUF001 (the tables are made of look-alike characters)

import re
from typing import Literal

from audio.english import english_words
from audio.markdown import plain_text
from audio.markup import text_of
from audio.pauses import parted
from errors import InvalidRequest

# What boson's examples/generation.py does to a text before it prompts the model. Parentheses become spaces.
PUNCTUATION = str.maketrans(
    "。：；？！【】《》“”‘’「」『』、—·（）()", '.:;?![]<>""\'\'"""",-.    ', "\u200b\u2060\ufeff"
) | {ord("，"): ", ", ord("…"): "..."}
UNITS = {"°F": " degrees Fahrenheit", "°C": " degrees Celsius"}
# "[humming start]" opens no _s tag in boson's table, and so not here.
SOUND_TAGS = {
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE>[Humming]</SE>",
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
ENDINGS = (".", "!", "?", ",", ";", '"', "'", "</SE_e>", "</SE>")

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
SPECIAL_TOKEN = re.compile(r"<\|\w+\|>")

LONGEST_INSTRUCTION = 12
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
SPEAKER = re.compile(r"\[SPEAKER(\d{1,3})\]")
SENTENCE = re.compile(r".+?(?:[.!?][\"')\]]*(?=\s)|\n|$)", re.DOTALL)
BREATH = re.compile(r"[,;:](?=\s)")
QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "「": "」", "『": "』"}
APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")


Reading = Literal["verbatim", "plain", "english"]


def chosen_reading(setting: Reading | Literal["auto"], *, english_only: bool) -> Reading:
    """How texts are read where the setting says "auto": models of many languages read numbers themselves."""
    if setting != "auto":
        return setting
    return "english" if english_only else "plain"


def speakable(text: str, reading: Reading = "verbatim") -> str:
    """Normalise a text as boson's example does before it prompts the model.

    Before that, the reading "plain" takes Markdown and emoji out, and "english" writes numbers, links, signs
    and abbreviations as English words, too.

    Full-width punctuation becomes half-width, parentheses become spaces, `[laugh]` and the like the model's
    sound tags, `°C` words; white space is joined, empty lines go, and a text without a final mark gets a full
    stop. Beyond that, control characters and the tokenizer's `<|special|>` tokens are taken out, so that a
    text can't rewrite the prompt. Raises InvalidRequest (text_empty) where no letter or digit is left.
    """
    if reading != "verbatim":
        text = plain_text(text_of(text))
    if reading == "english":
        text = english_words(text)
    text = SPECIAL_TOKEN.sub(" ", CONTROL.sub("", text).translate(PUNCTUATION))
    if not has_words(text):
        raise InvalidRequest("The text holds nothing to speak.", code="text_empty")
    for written, spoken in (UNITS | SOUND_TAGS).items():
        text = text.replace(written, spoken)
    text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())
    return text if text.endswith(ENDINGS) else text + "."


def plain_scene(text: str) -> str:
    """A description of how to speak: lines without the marks of a prompt, and without empty ones."""
    lines = SPECIAL_TOKEN.sub(" ", CONTROL.sub("", text)).splitlines()
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def spoken_part(text: str, *, strip_instruction: bool = True) -> str:
    """Leave out a leading instruction such as "Say this in my voice:", with quotes around what follows it.

    An instruction opens the text, begins with a verb of speaking in the imperative (perhaps after "please"
    or "now"), points at the text or the voice ("this in", "the following text", "aloud", "voice" …; a bare
    "Say:" will do), has at most 12 words and no other sentence mark, and ends in a colon; something to speak
    follows. Anything else, such as "Note: …", "He said: …" or "Tell me: why?", is spoken as it stands.
    """
    lead = LEAD.match(text.lstrip()) if strip_instruction else None
    if lead is None or len(lead[1].split()) > LONGEST_INSTRUCTION or not INSTRUCTION.match(lead[1].rstrip()):
        return text
    rest = without_quotes(lead.string[lead.end() :].strip())
    return rest if has_words(rest) else text


Part = tuple[int, str] | float


def spoken_parts(text: str, reading: Reading, longest: int, voices: int) -> list[Part]:
    """What is spoken one after the other: of each part the number of its voice, and its text.

    A number is a pause of so many seconds (see audio.pauses). With several voices, "[SPEAKER1] Hello." is
    spoken by the second, and what stands before any such tag by the first. With one voice the tags are left
    to the model, but for one that reads English words only. Raises InvalidRequest: unknown_speaker for a tag
    without a voice, invalid_pause, text_empty.
    """
    turns = _turns(text) if voices > 1 else [(0, SPEAKER.sub(" ", text) if reading == "english" else text)]
    found: list[Part] = []
    for number, turn in turns:
        for part in parted(turn):
            if isinstance(part, float):
                found.append(part)
            elif has_words(part):
                _check_speaker(number, voices)
                found += [(number, piece) for piece in pieces(speakable(part, reading), longest)]
    if not any(isinstance(part, tuple) for part in found):
        raise InvalidRequest("The text holds nothing to speak.", code="text_empty")
    return found


def _turns(text: str) -> list[tuple[int, str]]:
    first, *rest = SPEAKER.split(text)
    return [(0, first), *((int(number), turn) for number, turn in zip(rest[::2], rest[1::2], strict=True))]


def _check_speaker(number: int, voices: int) -> None:
    if number >= voices:
        message = f"The text names [SPEAKER{number}], but {voices} voices are there, from [SPEAKER0] on."
        raise InvalidRequest(message, code="unknown_speaker")


def pieces(text: str, longest: int) -> list[str]:
    """Cut a text into pieces of at most `longest` characters, to be spoken one after the other.

    Cuts fall behind sentences; within a longer sentence behind a comma or the like, else between words, and
    only a longer word is cut itself. The pieces hold all the words of the text, in order.
    """
    found = [""]
    for sentence in SENTENCE.findall(text):
        for part in _within(sentence.strip(), longest):
            if len(found[-1]) + 1 + len(part) <= longest:
                part = f"{found.pop()} {part}".strip()
            found.append(part)
    return [piece for piece in found if has_words(piece)]


def _within(sentence: str, longest: int) -> list[str]:
    """A sentence in parts of at most `longest` characters, cut at the last good place of each."""
    parts = []
    while len(sentence) > longest:
        head = sentence[: longest + 1]
        cut = max((match.end() for match in BREATH.finditer(head)), default=0) or head.rfind(" ")
        cut = cut if cut > 0 else longest
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*parts, sentence]


def without_quotes(text: str) -> str:
    """Drop one pair of quotes that encloses the whole text."""
    opening, closing = text[:1], QUOTES.get(text[:1])
    inner = text[1:-1]
    if closing is None or not text.endswith(closing) or {opening, closing} & set(APOSTROPHE.sub("", inner)):
        return text
    return inner.strip()


def has_words(text: str) -> bool:
    return any(character.isalnum() for character in text)
