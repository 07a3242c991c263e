"""Markdown → the plain text in it, a line to a block, each ending as a sentence does; emoji go."""

import re
from collections.abc import Iterator, Sequence

import emoji
from markdown_it import MarkdownIt
from markdown_it.token import Token

READER = MarkdownIt("commonmark", {"html": False}).enable("table")
PRODUCT = re.compile(r"(?<=\d)\*(?=\d)")  # 2*3*4 emphasises nothing


def plain_text(text: str) -> str:
    """What of a Markdown text is to be read aloud.

    The marks of emphasis, headings, quotes and lists go; the number of a list's item stays. A link is its
    text, code is read as it stands, and the cells of a table's row are parted by commas. A block that ends
    in a letter or a digit gets a full stop.
    """
    source = PRODUCT.sub(r"\\*", emoji.replace_emoji(text, ""))
    lines = (line.strip() for line in _blocks(READER.parse(source)))
    return "\n".join(line + "." if line[-1].isalnum() else line for line in lines if line)


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """The text of each paragraph, heading, item, row of a table, and stretch of code."""
    number = ""
    cells: list[str] | None = None
    for token in tokens:
        if token.type == "list_item_open" and token.info:
            number = f"{token.info}{token.markup} "
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells:
            yield ", ".join(cells)
            cells = None
        elif token.type in ("fence", "code_block"):
            yield token.content
        elif token.type == "inline":
            words = "".join(_words(token.children or []))
            if cells is not None:
                cells.append(words)
            else:
                yield number + words
                number = ""


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        yield "\n" if token.type in ("softbreak", "hardbreak") else token.content
