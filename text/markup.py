"""HTML and SSML → text: no tag is read aloud, and no word is lost.

Of SSML (https://www.w3.org/TR/speech-synthesis11), <speak>, <p>, <s>, <break>, <sub alias> and <say-as> are
supported; of other elements, and of HTML's, the content is kept. <break> is left to text.pauses. Anything
else in angle brackets, such as <name> or <i think>, is words and remains; so do the signs of a<b and c>d.
"""

import html
import re

from text.traced import Traced

CODE_SPAN = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
ATTRIBUTE = r"""\s+[\w:-]{1,40}\s{0,3}=\s{0,3}(?:"[^"<>]{0,400}"|'[^'<>]{0,400}'|[^\s"'<>=`]{1,200})"""
FLAGS = (  # attributes without a value
    "hidden|disabled|checked|selected|required|readonly|multiple|autofocus|novalidate|formnovalidate|open|reversed"
    "|controls|autoplay|loop|muted|playsinline|default|async|defer|nomodule|ismap|inert|itemscope|allowfullscreen"
    "|download|contenteditable|draggable|nowrap|noshade|compact|border|data-[a-z-]{1,40}"
)
ELEMENTS = (
    # SSML
    "speak|say-as|sub|p|s|w|token|break|emphasis|prosody|voice|lang|phoneme|audio|desc|mark|lexicon|lookup|meta|metadata|par|seq"
    # HTML
    "|html|head|body|title|main|header|footer|nav|article|section|aside|address|div|span|pre|code|kbd|samp|var|tt"
    "|h1|h2|h3|h4|h5|h6|hr|br|wbr|ul|ol|li|dl|dt|dd|table|caption|thead|tbody|tfoot|tr|td|th|col|colgroup"
    "|a|b|i|u|em|strong|small|big|del|ins|strike|sup|abbr|acronym|cite|dfn|q|blockquote|font|center|bdi|bdo|ruby|rt|rp"
    "|img|picture|source|figure|figcaption|video|track|iframe|embed|object|param|svg|path|canvas|map|area"
    "|form|input|button|select|option|optgroup|textarea|label|fieldset|legend|details|summary|dialog|data|time|mark"
    "|link|base|noscript|template|slot|output|progress|meter"
)
TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>{ELEMENTS}|[a-z]+:[\w-]+)(?P<attributes>(?:{ATTRIBUTE}|\s+(?:{FLAGS})\b)*?)\s*/?>",
    re.IGNORECASE,
)
# Any other element shows itself by its attributes or by its end.
OTHER_TAG = re.compile(
    rf"<(?!/?break\b)(?:/?[A-Za-z][\w:.-]*(?:{ATTRIBUTE})+\s*/?|/[A-Za-z][\w:.-]*\s*|[A-Za-z][\w:.-]*\s*/)>",
    re.IGNORECASE,
)
OURS = re.compile(r"</?SE(?:_[se])?>")
# From an opening to the next end, whatever is between.
UNSEEN_PARTS = (
    (re.compile("<!--"), re.compile("-->")),
    *(
        (re.compile(rf"<{name}\b[^<>]*>", re.IGNORECASE), re.compile(rf"</{name}\s*>", re.IGNORECASE))
        for name in ("script", "style")
    ),
)
UNSEEN = re.compile(
    r"<\?(?!>)[^<>]*+(?:<(?!\?)[^<>]*+)*+(?<=\?)>|<!DOCTYPE[^<>]*(?:<(?!!DOCTYPE)[^<>]*)*>|<!\[CDATA\[|\]\]>",
    re.IGNORECASE,
)
# What an element holds up to its end, unless it begins again before.
SUB = re.compile(
    rf"<sub\b(?P<attributes>(?:{ATTRIBUTE})+)\s*>[^<]*+(?:<(?!/?sub\b)[^<]*+)*+</sub\s*>", re.IGNORECASE
)
SAY_AS = re.compile(
    rf"<say-as\b(?P<attributes>(?:{ATTRIBUTE})+)\s*>(?P<words>[^<]*+(?:<(?!/?say-as\b)[^<]*+)*+)</say-as\s*>",
    re.IGNORECASE,
)
ENTITY = re.compile(r"&#?\w{1,32};?")
SPACE = re.compile(r"\s+")
BETWEEN_DIGITS = re.compile(r"(?<=\d)(?=\d)")
BLOCKS = frozenset(
    [
        "speak",
        "p",
        "s",
        "div",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "tr",
        "table",
        "caption",
        "blockquote",
        "section",
        "article",
        "header",
        "footer",
        "title",
        "body",
        "main",
        "aside",
        "nav",
        "figure",
        "figcaption",
        "pre",
        "address",
        "form",
        "fieldset",
        "legend",
        "option",
        "button",
        "details",
        "summary",
        "hr",
    ]
)


def text_of(text: str) -> Traced:
    """Return the text without HTML and SSML; Markdown code is left alone."""
    traced = Traced.of(text)
    if "<" not in traced:
        return traced
    said: list[str] = []
    for part, code in traced.parts(CODE_SPAN):
        said += [_without_tags(part), traced[code.start() : code.end()] if code else ""]
    return Traced.joined(said)


def _without_tags(text: Traced) -> Traced:
    for opening, closing in UNSEEN_PARTS:
        text = _without_parts(text, opening, closing)
    text = text.sub(UNSEEN, " ", silent=True)
    text = text.sub(SUB, lambda found: _attribute(found, "alias") or found[0])
    text = text.sub(SAY_AS, _say_as)
    text = text.sub(TAG, _spoken, silent=True)
    return text.sub(OTHER_TAG, lambda found: found[0] if OURS.fullmatch(found[0]) else "")


def _without_parts(text: Traced, opening: re.Pattern[str], closing: re.Pattern[str]) -> Traced:
    """Replace each part by a space. Where an end is missing, it is looked for once, not from each opening."""
    said: list[str] = []
    at = 0
    while (first := opening.search(text, at)) and (last := closing.search(text, first.end())):
        said += [text[at : first.start()], " "]
        at = last.end()
    return Traced.joined([*said, text[at:]]) if said else text


def _spoken(found: re.Match[str]) -> str:
    """Return what replaces a tag: nothing, a paragraph break, a pause, or words of its attributes."""
    name = found["name"].lower()
    if name == "break":
        return found[0]
    if name == "img":
        return _attribute(found, "alt")
    if name in ("td", "th"):
        return ", " if found["close"] else ""
    if name == "br":
        return "\n"
    return "\n\n" if name in BLOCKS else ""


def _attribute(found: re.Match[str], name: str) -> Traced:
    """Return the value of an element's attribute, or ""."""
    start = found.start("attributes")
    value = re.search(
        rf"""\b{name}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", found["attributes"], re.IGNORECASE
    )
    which = value.lastindex if value else None
    if value is None or which is None:
        return Traced.of("")[:0]
    written = Traced.of(found.string)[start + value.start(which) : start + value.end(which)]
    return written.sub(
        ENTITY, lambda entity: written.become(entity.start(), entity.end(), html.unescape(entity[0]))
    )


def _say_as(found: re.Match[str]) -> Traced:
    """Spell letters and digits if requested; dates, amounts and so on need no help."""
    kind = _attribute(found, "interpret-as").lower()
    inner = Traced.of(found.string)[found.start("words") : found.end("words")]
    words = inner.sub(TAG, "").sub(OTHER_TAG, "")
    if kind in ("characters", "spell-out", "verbatim", "letters"):
        letters = words.sub(SPACE, "").mapped(str.upper)
        return Traced.joined([letters[place] for place in range(len(letters))], " ")
    if kind in ("digits", "telephone"):
        return words.sub(BETWEEN_DIGITS, " ")
    if kind == "ordinal" and words.strip().isdecimal():
        number = words.strip()
        return number + _ordinal_ending(number)
    return inner


def _ordinal_ending(number: str) -> str:
    teen = number[-2:-1] == "1"
    return "th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
