"""Markdown → plain text, one line per block, each ending as a sentence; emoji are dropped, words kept."""

import re
from collections.abc import Iterator, Sequence
from itertools import starmap

import emoji
from markdown_it import MarkdownIt
from markdown_it.token import Token

from text.traced import Traced

# Tables and links' definitions are read here: markdown-it drops cells that no header stands above, and takes
# "[Anna]: Yes" for a definition. Indented lines are text, whatever the indentation.
# Without text_join each piece of text stands as it is in the source, and entities by themselves.
READER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough")
READER.disable(["code", "reference", "text_join"])
LINE_END = re.compile(r"\r\n?|\n")
WORD = re.compile(r"\S+")
PRODUCT = re.compile(r"(?<=\d)\*(?=\d)|(?<=\b\w)\*(?=\w\b)")  # 2*3*4 and a*b emphasise nothing
KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
PRINTED_SIGNS = "©®™"  # what Unicode counts as emoji, and readers as print
FOOTNOTE = re.compile(r"\[\^[\w-]{1,30}\]:?")
TASK = re.compile(r"^([^\S\n]*(?:[-*+]|\d+[.)])\s+)\[[ xX]\]\s+", re.MULTILINE)
DEFINITION = re.compile(
    r"^ {0,3}\[(?P<label>[^\[\]\n]{1,200})\]:[ \t]+<?(?:https?://|www\.|mailto:|[./#])\S*>?"
    r"(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ \t]*$\n?",
    re.MULTILINE,
)
REFERENCE = re.compile(r"\[(?P<text>[^\[\]\n]{1,500})\](?:\[(?P<label>[^\[\]\n]{0,200})\])?")
# Possessive, since several of its parts may match the same spaces.
RULE_OF_TABLE = re.compile(r"\s*+\|?(?:\s*+:?-++:?\s*+\|)*+\s*+(?::?-++:?)?\s*")
CELL, ESCAPED_CELL, NEW_LINE = re.compile(r"(?<!\\)\|"), re.compile(r"\\\|"), re.compile(r"\n")
AUTOLINK = re.compile(r"<[^<>\s:@]+[:@][^<>\s]*>")
LANGUAGE = re.compile(r"[\w+#.-]{0,20}")  # what may stand behind ``` and is no text


def plain_text(text: str, full_stops: bool = True) -> Traced:
    """Return the text of Markdown as it is read aloud.

    Marks of emphasis, headings, quotes and lists are removed; numbers of list items remain. A link becomes
    its text, code remains, and a table's cells are separated by commas. A block that ends in a letter or
    digit gets a full stop, unless full_stops is false.
    """
    traced = _without_emoji(Traced.of(text).sub(KEYCAP, lambda found: f"{found[1]} "))
    traced = _without_definitions(traced.sub(FOOTNOTE, "").sub(TASK, lambda found: found[1]))
    source = _without_tables(traced).sub(PRODUCT, r"\*").sub(LINE_END, "\n")
    lines = (block.strip() for block in Blocks(source))
    return Traced.joined(
        (line + "." if full_stops and line[-1].isalnum() else line for line in lines if line), "\n"
    )


def _without_emoji(text: Traced) -> Traced:
    if text.isascii():
        return text
    said, end = [], 0
    for found in emoji.emoji_list(text):
        if found["emoji"][0] not in PRINTED_SIGNS:
            said += [text[end : found["match_start"]], " "]
            end = found["match_end"]
    return Traced.joined([*said, text[end:]]) if end else text


def _without_definitions(text: Traced) -> Traced:
    """Replace [words][1] by words, and remove its definition [1]: http://…

    A definition without a reference is text.
    """
    labels = {found["label"].strip().lower() for found in DEFINITION.finditer(text)}
    if not labels:
        return text
    rest = DEFINITION.sub("", text)
    used = {(found["label"] or found["text"]).strip().lower() for found in REFERENCE.finditer(rest)} & labels

    def linked(found: re.Match[str]) -> str:
        return found["text"] if (found["label"] or found["text"]).strip().lower() in used else found[0]

    kept = text.sub(DEFINITION, lambda found: "" if found["label"].strip().lower() in used else found[0])
    return kept.sub(REFERENCE, linked)


def _without_tables(text: Traced) -> Traced:
    """Replace each table row by a paragraph with comma-separated cells."""
    if "|" not in text:
        return text
    lines = [line for line, _ in text.parts(NEW_LINE)]
    rows: set[int] = set()
    for number, line in enumerate(lines):
        if number in rows or not number or "|" not in lines[number - 1]:
            continue
        if "|" in line and "-" in line and RULE_OF_TABLE.fullmatch(line):
            rows |= {number - 1, number}
            following = number + 1
            while following < len(lines) and "|" in lines[following]:
                rows.add(following)
                following += 1
    return Traced.joined((_row(line) if number in rows else line for number, line in enumerate(lines)), "\n")


def _row(line: Traced) -> Traced:
    if RULE_OF_TABLE.fullmatch(line):
        return Traced.joined(["\n\n"])
    cells = (cell.strip().sub(ESCAPED_CELL, "|") for cell, _ in line.parts(CELL))
    return "\n" + Traced.joined(filter(None, cells), ", ") + "\n"


class Blocks:
    """The text of each paragraph, heading, item, and span of code, found again in the source."""

    def __init__(self, source: Traced) -> None:
        self._source, self._at, self._end = source, 0, len(source)
        self._lines = [0, *(found.end() for found in NEW_LINE.finditer(source)), len(source)]

    def __iter__(self) -> Iterator[Traced]:
        number: list[str] = []
        for token in READER.parse(str(self._source)):
            self._look_within(token)
            if token.type == "list_item_open" and token.info:
                number += [self._found(token.info + token.markup), " "]
            elif token.type == "list_item_close" and number:
                yield Traced.joined(number)  # of an empty item
                number = []
            elif token.type == "fence":
                named = LANGUAGE.fullmatch(token.info.strip()) and token.markup[0] == "`"
                yield Traced.joined([self._found("" if named else token.info)])
                yield Traced.joined(map(self._found, token.content.split("\n")), "\n")
            elif token.type == "inline":
                yield Traced.joined([*number, *starmap(self._found, _pieces(token.children or []))])
                number = []

    def _look_within(self, token: Token) -> None:
        """Look for what follows in the lines of this block, from where the last text was found."""
        if token.map:
            first, last = (min(line, len(self._lines) - 1) for line in token.map)
            self._at, self._end = max(self._at, self._lines[first]), self._lines[last]

    def _found(self, text: str, written: str = "") -> str:
        """A piece of a block's text where it stands, `written` so if given; else word by word."""
        written = written or text
        at = self._source.find(written, self._at, self._end)
        if at >= 0:
            self._at = at + len(written)
            if written.endswith(text):  # as it is, or behind a backslash
                return self._source[self._at - len(text) : self._at]
            return self._source.become(at, self._at, text)
        words = list(WORD.finditer(text))
        if [word[0] for word in words] == [text]:  # an address that is written otherwise
            link = AUTOLINK.search(self._source, self._at, self._end)
            self._at = link.end() if link else self._at
            return self._source.become(link.start() + 1, link.end() - 1, text) if link else text
        found: list[str] = []
        end = 0
        for word in words:
            found += [text[end : word.start()], self._found(word[0])]
            end = word.end()
        return Traced.joined([*found, text[end:]])


def _pieces(tokens: Sequence[Token]) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a block's text, each with how it is written if otherwise: € as &euro;."""
    for token in tokens:
        if token.type == "image":
            yield from _pieces(token.children or [])
        elif token.type in ("softbreak", "hardbreak"):
            yield "\n", ""
        else:
            yield token.content, token.markup if token.type == "text_special" else ""
