"""Split a book into chapters, and chapters into pieces of a few sentences."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt

from text.chunking import has_words
from text.markdown import plain_text
from text.normalise import Part

PIECE_CHARACTERS = 500  # some 30 s of speech: little is lost where the server is killed
# Seconds of silence, beside what the model leaves at the end of its speech.
PIECE_PAUSE, TITLE_PAUSE, CHAPTER_PAUSE = 0.25, 0.75, 1.5
MAX_TITLE = 200  # characters that are shown of a title, and those of a paragraph's line that is one
LINE_END = re.compile(r"\r\n?")  # as Markdown has it, beside \n
# Headings are searched for in blocks only, since code may contain lines that look like one.
BLOCKS = MarkdownIt("commonmark", {"html": False}).disable(["inline", "code"])


@dataclass(frozen=True)
class Chapter:
    """A chapter; title or text may be empty, but not both. The title is as it is spoken, of any length."""

    title: str
    text: str

    @property
    def shown(self) -> str:
        """The title in lists and files."""
        return self.title[:MAX_TITLE]


@dataclass(frozen=True)
class PlannedPiece:
    """What is spoken at once: (voice number, text), and pauses in seconds.

    chapter: its index. first: number of the book's texts before it. pause: seconds of silence after it.
    """

    chapter: int
    first: int
    parts: tuple[Part, ...]
    pause: float

    @property
    def characters(self) -> int:
        return sum(len(part[1]) for part in self.parts if isinstance(part, tuple))


def chapters_of(markdown: str) -> list[Chapter]:
    """Return the chapters of a text.

    A chapter starts at each heading of the highest level that several headings have, or of a level above.
    Without headings, all is one chapter; text before the first heading has no title. A heading of several
    lines, or a long one, is text unless it begins with #: somebody drew a line under a paragraph.
    """
    markdown = LINE_END.sub("\n", markdown)
    lines = markdown.split("\n")
    headings = list(_headings(markdown))
    counts = Counter(level for level, *_ in headings)
    several = [level for level in sorted(counts) if counts[level] > 1]
    level = several[0] if several else min(counts, default=0)
    cuts = [(first, behind, title) for depth, first, behind, title in headings if depth <= level]
    begins = [(0, 0, ""), *cuts]
    ends = [*(first for first, *_ in cuts), len(lines)]
    found = [
        Chapter(title, "\n".join(lines[behind:end]).strip())
        for (_, behind, title), end in zip(begins, ends, strict=True)
    ]
    return [chapter for chapter in found if has_words(chapter.title) or has_words(chapter.text)]


def _headings(markdown: str) -> Iterator[tuple[int, int, int, str]]:
    """Return each heading outside of lists and quotes: level, first line, the line after it, and text."""
    tokens = BLOCKS.parse(markdown)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            first, behind = opening.map
            written = inline.content
            if opening.markup[0] != "#" and ("\n" in written or len(written) > MAX_TITLE):
                continue
            yield int(opening.tag[1:]), first, behind, title_of(written)


def title_of(written: str) -> str:
    """Return a title without Markdown, on one line.

    It stays a heading for the reader: what it starts with may look like a list or like code.
    """
    heading = "# " + " ".join(written.split())
    return " ".join(plain_text(heading, full_stops=False).split())


def pieces_of(chapters: Sequence[tuple[Sequence[Part], Sequence[Part]]]) -> list[PlannedPiece]:
    """Return the pieces of a book; a title and a text are apart, and long ones split between sentences.

    chapters: the parts of each title and text, of which some have a text; see VoiceCloner.parts.
    """
    found: list[PlannedPiece] = []
    first = 0
    for number, (title, text) in enumerate(chapters):
        groups = [(group, PIECE_PAUSE) for group in _groups(title)]
        groups[-1:] = [(group, TITLE_PAUSE) for group, _ in groups[-1:]]
        groups += [(group, PIECE_PAUSE) for group in _groups(text)]
        for at, (parts, pause) in enumerate(groups):
            last = at == len(groups) - 1
            found.append(PlannedPiece(number, first, parts, CHAPTER_PAUSE if last else pause))
            first += sum(isinstance(part, tuple) for part in parts)
    return [*found[:-1], PlannedPiece(found[-1].chapter, found[-1].first, found[-1].parts, 0.0)]


def _groups(parts: Sequence[Part]) -> Iterator[tuple[Part, ...]]:
    """Group parts into pieces; a pause stays with the text before it."""
    held: list[Part] = []
    length = 0
    for part in parts:
        characters = len(part[1]) if isinstance(part, tuple) else 0
        if isinstance(part, tuple) and length and length + characters > PIECE_CHARACTERS:
            yield tuple(held)
            held, length = [], 0
        held.append(part)
        length += characters
    if held:
        yield tuple(held)
