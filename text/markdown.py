"""Markdown → the plain text in it, a line to a block, each ending as a sentence; emoji go, words stay."""

import re
from collections.abc import Iterator, Sequence

import emoji
from markdown_it import MarkdownIt
from markdown_it.token import Token

# Tables and links' definitions are read here: markdown-it drops cells that no header stands above, and takes
# "[Anna]: Yes" for a definition. Indented lines are text, whatever the indentation.
READER = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").disable(["code", "reference"])
PRODUCT = re.compile(r"(?<=\d)\*(?=\d)|(?<=\b\w)\*(?=\w\b)")  # 2*3*4 and a*b emphasise nothing
KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")
PRINTED_SIGNS = "©®™"  # what Unicode counts as emoji, and readers as print
FOOTNOTE = re.compile(r"\[\^[\w-]{1,30}\]:?")
TASK = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+)\[[ xX]\]\s+", re.MULTILINE)
DEFINITION = re.compile(
    r"^ {0,3}\[(?P<label>[^\[\]\n]{1,200})\]:[ \t]+<?(?:https?://|www\.|mailto:|[./#])\S*>?"
    r"(?:[ \t]+(?:\"[^\"\n]*\"|'[^'\n]*'))?[ \t]*$\n?",
    re.MULTILINE,
)
REFERENCE = re.compile(r"\[(?P<text>[^\[\]\n]{1,500})\](?:\[(?P<label>[^\[\]\n]{0,200})\])?")
RULE_OF_TABLE = re.compile(r"^\s*(?=[^\n]*\|)\|?(?:\s*:?-+:?\s*\|)*\s*(?::?-+:?)?\s*$")
CELL = re.compile(r"(?<!\\)\|")
LANGUAGE = re.compile(r"[\w+#.-]{0,20}")  # what may stand behind ``` and is no text


def plain_text(text: str, full_stops: bool = True) -> str:
    """What of a Markdown text is to be read aloud.

    The marks of emphasis, headings, quotes and lists go; the number of a list's item stays. A link is its
    text, code is read as it stands, and the cells of a table's row are parted by commas. A block that ends
    in a letter or a digit gets a full stop, unless full_stops is False.
    """
    text = emoji.replace_emoji(
        KEYCAP.sub(r"\1 ", text), lambda found, _: found if found[0] in PRINTED_SIGNS else " "
    )
    text = _without_definitions(TASK.sub(r"\1", FOOTNOTE.sub("", text)))
    source = PRODUCT.sub(r"\\*", _without_tables(text))
    lines = (line.strip() for line in _blocks(READER.parse(source)))
    return "\n".join(line + "." if full_stops and line[-1].isalnum() else line for line in lines if line)


def _without_definitions(text: str) -> str:
    """A text whose links stand without their addresses: [words][1] is words, and the line [1]: http://… goes.

    A definition that nothing refers to is text.
    """
    labels = {found["label"].strip().lower() for found in DEFINITION.finditer(text)}
    if not labels:
        return text
    rest = DEFINITION.sub("", text)
    used = {(found["label"] or found["text"]).strip().lower() for found in REFERENCE.finditer(rest)} & labels

    def linked(found: re.Match[str]) -> str:
        return found["text"] if (found["label"] or found["text"]).strip().lower() in used else found[0]

    kept = DEFINITION.sub(lambda found: "" if found["label"].strip().lower() in used else found[0], text)
    return REFERENCE.sub(linked, kept)


def _without_tables(text: str) -> str:
    """A text whose tables are a paragraph to a row, the cells parted by commas."""
    lines = text.split("\n")
    rows: set[int] = set()
    for number, line in enumerate(lines):
        if number and "|" in lines[number - 1] and RULE_OF_TABLE.match(line) and "-" in line:
            rows |= {number - 1, number}
            following = number + 1
            while following < len(lines) and "|" in lines[following]:
                rows.add(following)
                following += 1
    return "\n".join(_row(line) if number in rows else line for number, line in enumerate(lines))


def _row(line: str) -> str:
    cells = (cell.strip().replace("\\|", "|") for cell in CELL.split(line))
    return f"\n{', '.join(cell for cell in cells if cell and not RULE_OF_TABLE.match(line))}\n"


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """The text of each paragraph, heading, item, and stretch of code."""
    number = ""
    for token in tokens:
        if token.type == "list_item_open" and token.info:
            number += f"{token.info}{token.markup} "
        elif token.type == "list_item_close" and number:
            yield number  # of an empty item
            number = ""
        elif token.type == "fence":
            yield "" if LANGUAGE.fullmatch(token.info.strip()) and token.markup[0] == "`" else token.info
            yield token.content
        elif token.type == "inline":
            yield number + "".join(_words(token.children or []))
            number = ""


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type == "image":
            yield from _words(token.children or [])
        else:
            yield "\n" if token.type in ("softbreak", "hardbreak") else token.content
