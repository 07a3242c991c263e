"""Inline tags: parts of a text that control the speech instead of being spoken.

v3 reads <|category:name|> (https://docs.boson.ai, "Tags"), v2 reads sounds such as <SE>[Laughter]</SE>. The
tokenizer's vocabulary determines which tags a model supports.
"""

import re
from typing import Literal

from errors import InvalidRequest
from higgs.model.tokenizer import Tokenizer

UnknownTags = Literal["refuse", "read"]

CATEGORIES = ("emotion", "style", "sfx", "prosody")
SHAPE = re.compile(
    r"<\|\s*\w+\s*:\s*(?P<name>[\w -]+?)\s*\|>|<(?P<mark>SE\w*)>(?P<sound>.*?)</(?P=mark)>|</?SE\w*>"
)
KNOWN = re.compile(rf"<\|(?:{'|'.join(CATEGORIES)}):\w+\|>|</?SE(?:_[se])?>")
BARE_PAUSE = re.compile(r"\[pause\]|<break\s*/?>(?:</break>)?", re.IGNORECASE)
PAUSE = "<|prosody:pause|>"
# These apply to the whole turn; sounds and pauses apply at their position.
MANNER = re.compile(r"<\|(?:emotion|style|prosody):(?!(?:\w+_)?pause)\w+\|>")

# v2's sounds for v3: a tag and the sound spelled out, as the published guide requires.
SOUNDS = {
    "[Laughter]": "<|sfx:laughter|>Haha,",
    "[Cough]": "<|sfx:cough|>Ahem,",
    "[Humming]": "<|sfx:humming|>Hmm,",
    "[Singing]": "<|style:singing|>",
}

# Patterns of an instruction and the tags they select. Of each group, only the first match counts.
DELIVERY: tuple[dict[str, str], ...] = (
    {
        "emotion:elation": r"happ(?:y|ily)|joy\w*|elated|cheer\w*|delighted",
        "emotion:sadness": r"sad\w*|sorrow\w*|mournful\w*|griev\w*",
        "emotion:anger": r"ang(?:er|ry|rily)|furious\w*|enraged",
        "emotion:fear": r"afraid|fear\w*|scared|frightened|terrified",
        "emotion:surprise": r"surprise\w*|astonish\w*",
        "emotion:disgust": r"disgust\w*",
        "emotion:amusement": r"amuse\w*|playful\w*|humorous\w*",
        "emotion:enthusiasm": r"enthusias\w*|excite\w*",
        "emotion:determination": r"determin\w*|resolute\w*|confident\w*",
        "emotion:pride": r"proud\w*|pride",
        "emotion:contentment": r"content(?:ed\w*|ment)?|serene\w*|relaxed",
        "emotion:affection": r"affection\w*|loving\w*|tender\w*|warm\w*|gentl[ey]",
        "emotion:relief": r"reliev\w*|relief",
        "emotion:contemplation": r"thoughtful\w*|contemplat\w*|pensive\w*",
        "emotion:confusion": r"confus\w*|puzzled",
        "emotion:awe": r"awe\w*|wonder",
        "emotion:longing": r"longing\w*|wistful\w*|nostalgi\w*",
        "emotion:bitterness": r"bitter\w*|resentful\w*",
        "emotion:shame": r"asham\w*|shame\w*|embarrass\w*",
        "emotion:helplessness": r"helpless\w*|desperate\w*",
    },
    {
        "style:whispering": r"whisper\w*",
        "style:shouting": r"shout\w*|yell\w*",
        "style:singing": r"sing|singing|sung",
    },
    {
        "prosody:speed_very_slow": r"very slow(?:ly)?",
        "prosody:speed_very_fast": r"very (?:fast|quick(?:ly)?|rapid(?:ly)?)",
        "prosody:speed_slow": r"slow(?:ly|er)?",
        "prosody:speed_fast": r"fast(?:er)?|quick(?:ly|er)?|rapid(?:ly)?",
    },
    {
        "prosody:pitch_low": r"(?:low|lower|deep|deeper)[- ](?:pitch\w*|voice)",
        "prosody:pitch_high": r"(?:high|higher)[- ](?:pitch\w*|voice)",
    },
    {
        "prosody:expressive_high": r"(?:very )?expressive\w*|lively|animated\w*|dramatic\w*",
        "prosody:expressive_low": r"monoton\w*|flat(?:ly)?|matter-of-fact|deadpan",
    },
)
DENIED = r"(?<!not )(?<!n't )(?<!never )(?<!without )(?<!less )(?<!too )"


class Tags:
    """The inline tags of one model.

    Args:
        tokenizer: its added vocabulary defines the supported tags.
        unknown: whether unsupported tags are refused, or their names read aloud.

    Attributes:
        known: all supported tags.
        manners: those that change how the following text is spoken.
    """

    def __init__(self, tokenizer: Tokenizer, unknown: UnknownTags = "refuse") -> None:
        self.known = frozenset(name for name in tokenizer.get_added_vocab() if KNOWN.fullmatch(name))
        self.manners = frozenset(filter(MANNER.fullmatch, self.known))
        self._unknown = unknown

    def resolve(self, text: str) -> str:
        """Return the text with only supported tags. Raises InvalidRequest (unknown_tag)."""
        resolved = SHAPE.sub(self._resolve, text)
        return resolved if resolved == text else re.sub(r" +", " ", resolved).strip()

    def instruction_tags(self, instruction: str) -> str:
        """Return the tags for an English instruction; "" if none apply.

        At most one each of emotion, style, speed, pitch and expressiveness. Negations ("not angry") don't
        count.
        """
        found = (self._first(row, instruction) for row in DELIVERY)
        return "".join(tag for tag in found if tag)

    def _first(self, row: dict[str, str], instruction: str) -> str | None:
        """Return the tag of the group whose pattern matches first; the longer match wins a tie."""
        places = []
        for name, words in row.items():
            match = re.search(rf"{DENIED}\b(?:{words})\b", instruction, re.IGNORECASE)
            if match and f"<|{name}|>" in self.known:
                places.append((match.start(), -match.end(), f"<|{name}|>"))
        return min(places)[2] if places else None

    def _resolve(self, found: re.Match[str]) -> str:
        written = found[0]
        if written in self.known or f"<{found['mark']}>" in self.known:
            return written
        spoken = SOUNDS.get(found["sound"] or "", "")
        if KNOWN.findall(spoken) and self.known.issuperset(KNOWN.findall(spoken)):
            return spoken
        if self._unknown == "read":
            return " " + re.sub(r"[_\[\]]", " ", found["name"] or found["sound"] or "") + " "
        raise InvalidRequest(
            f"This model doesn't support the tag {written}. {self._help()}", code="unknown_tag"
        )

    def _help(self) -> str:
        if not self.known:
            return "It supports no tags; remove it."
        return f"Remove it, or use one of these: {' '.join(sorted(self.known))}"
