"""Web addresses, file names and identifiers → how one would dictate them."""

import re

from text.numbers import digits
from text.rules import rule, words_in

# These top-level domains are also words: "end.it was" is a missing space.
GENERIC_TLDS = "com|org|net|edu|gov|io|ai|dev|app|info|biz|xyz"
# As long as DNS has them. Without a bound, each hyphen of a long run would be tried as the beginning of one.
LABELS = r"(?<![\w@.])(?:[a-z0-9-]{1,63}+\.){1,8}"
# A URL ends before its sentence's punctuation; a query may contain anything.
LINK = re.compile(
    r"(?:(?:https?|ftp)://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]'*]"
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    rf"|{LABELS}(?:{GENERIC_TLDS})\b(?::\d{{2,5}})?(?:/[\w./-]*\w)?(?!\w)"
    rf"|{LABELS}(?:co|com|org|ac|gov|edu)\.[a-z]{{2}}\b(?:/[\w./-]*\w)?(?!\w)"
    r"|\blocalhost:\d{2,5}\b(?:/[\w./-]*\w)?"
)
SPELLED = words_in(
    "uk de fr es nl eu ch ca au jp cn br ru us nz za io ai tv edu html htm php pdf css js ts xml csv tsv "
    "txt png jpg gif svg mp api py rs cpp md gz db sql yml ini cfg exe dll sh wav"
)
EXTENSIONS = (
    "py|js|ts|tsx|jsx|rs|go|c|h|cpp|java|rb|php|sh|html?|css|xml|json|ya?ml|toml|ini|cfg|conf|md|txt|csv|tsv|sql|db"
    "|pdf|docx?|xlsx?|pptx?|png|jpe?g|gif|svg|webp|bmp|ico|mp3|mp4|wav|flac|ogg|opus|webm|mov|avi|mkv"
    "|zip|tar|gz|bz2|7z|rar|exe|dll|so|bin|iso|log|lock|env|bak|tmp"
)
LINK_SIGNS = {
    ".": " dot ",
    "/": " slash ",
    "@": " at ",
    "-": " dash ",
    "_": " underscore ",
    "+": " plus ",
    ":": " colon ",
    "~": " tilde ",
    "%": " percent ",
    "=": " equals ",
    "&": " and ",
    "#": " hash ",
}

LINKS = (
    (LINK, lambda found: _dictated(found[0])),
    rule(
        rf"(?<![\w@.-])([@.]*)((?:[\w-]+\.)*[\w-]+)\.({EXTENSIONS})\b(?!\.\w|\()",
        lambda found: f"{found[1]}{found[2].replace('.', ' dot ')} dot {_part(found[3])}",
    ),
)
NAMES = (
    rule(r"\b([A-Za-z]\w*)\(\)", r"\1"),
    rule(r"(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])", " "),
    # getUserName, but not iPhone; OpenAI is two words.
    rule(r"\b[a-z]{2,}(?:[A-Z][a-z0-9]+)+\b", lambda found: re.sub(r"(?=[A-Z])", " ", found[0])),
    rule(r"(?<=[a-z])(?=[A-Z]{2,}\b)", " "),
    # Begins at the first label that starts with a letter; else each of a.b.c. would be tried.
    rule(
        r"(?<!\w)(?<!\w\.)((?:[^\WA-Za-z]\w*\.)*)([A-Za-z]\w*(?:\.\w+)*\.*(?:-\w+(?:\.\w+)*)+)",
        lambda found: found[1] + _model_name(found[2]),
    ),
    rule(r"\b[vV](?:er\.|\.)?\s?(?=\d+(?:\.\d+)*\b)", "version "),
)


def _dictated(link: str) -> str:
    """Return an address as one would dictate it, without scheme and query."""
    address = re.split(r"[?#]", re.sub(r"^(?:\w+://)?(?:www\.)?", "", link))[0].rstrip("/")
    port = re.search(r":(\d{2,5})(?=/|$)", address)
    if port:
        address = address.replace(port[0], f" {digits(port[1])} ", 1)
    signs = "".join(LINK_SIGNS.get(letter, letter) for letter in address)
    return " ".join(map(_part, signs.split()))


def _part(part: str) -> str:
    """Capitalise parts of an address that aren't words, so that they are spelled."""
    return " ".join(part.upper()) if part in SPELLED else part


def _model_name(name: str) -> str:
    """Remove the hyphens of Llama-3.1-8B, but not those of well-known."""
    return name.replace("-", " ") if re.search(r"\d", name) else name
