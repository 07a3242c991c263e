"""English sentences for the teachers to speak, out of Debian packages (see train/README.md for their
licences)."""

import html
import random
import re
import subprocess
from pathlib import Path

FORTUNES = Path("/usr/share/games/fortunes")
ANARCHISM = Path("/usr/share/doc/anarchism/html")
WORD_LISTS = Path("/usr/share/dict/scowl")
SPEAKABLE = re.compile(r"[A-Za-z0-9 ,.?!;:'-]+")
# Shouted words, long numbers, doubled punctuation, and sentences cut at an abbreviation.
BROKEN = re.compile(
    r"[A-Z]{3,}|\d{5,}|\.\w|[,;:]{2}|[,;:][.?!]$|\b(Mr|Mrs|Dr|St|[Oo]p|[Cc]it|pp?|[Vv]ol|ed|No|[A-Z])\.$"
)
NAMES = [
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Emma",
    "Frank",
    "Grace",
    "Henry",
    "Irene",
    "Jack",
    "Karen",
    "Leo",
    "Maria",
    "Nathan",
    "Olivia",
    "Peter",
    "Quinn",
    "Rachel",
    "Simon",
    "Tara",
    "Victor",
    "Wendy",
    "Xavier",
    "Yvonne",
    "Zoe",
    "London",
    "Paris",
    "Berlin",
    "Chicago",
    "Boston",
    "Dublin",
    "Sydney",
    "Tokyo",
]
TEMPLATES = (
    "I have {n} {noun}s and {m} {noun2}s.",
    "The {noun} costs {n} dollars.",
    "Call me at {n} o'clock, {name}.",
    "Is the {noun} near the {noun2}?",
    "We need {noun}s, {noun2}s, and {noun3}s.",
    "{name} and {name2} will meet at the {noun}.",
    "Please bring the {noun} to {name}.",
    "Where did {name} put the {noun}?",
    "There were {n} people in {name}'s {noun}.",
    "It is {n} minutes past {m}.",
    "The {adj} {noun} jumps over the {adj2} {noun2}.",
    "Hello {name}, how are you today?",
    "Thank you, {name}. See you at the {noun}.",
    "No, the {noun} is not {adj}!",
    "In {year}, the {noun} was {adj}.",
    "My {noun} is {adj}, but your {noun2} is {adj2}.",
    "Turn {adj} at the {noun}, then walk {n} miles.",
    "What a {adj} {noun} that was!",
)


def fortunes() -> str:
    """All quotations of the fortune files, attributions cut off."""
    files = [path for path in sorted(FORTUNES.iterdir()) if path.is_file() and "." not in path.name]
    skip = {"art", "ascii-art", "translate-me", "perl", "debian"}
    texts = [path.read_text("utf-8", "ignore") for path in files if path.name not in skip]
    return "\n\n".join(re.sub(r"\n\s*--.*", "\n\n", text).replace("%", "\n\n") for text in texts)


def web_book() -> str:
    """The text of the anarchism package's HTML pages."""
    pages = (path.read_text("utf-8", "ignore") for path in sorted(ANARCHISM.glob("*.html")))
    return "\n\n".join(html.unescape(re.sub(r"<[^>]+>", " ", page)) for page in pages)


def novels() -> str:
    """Jane Austen's novels, as the R package janeaustenr carries them."""
    script = "writeLines(janeaustenr::austen_books()$text)"
    return subprocess.run(["Rscript", "-e", script], check=True, capture_output=True, text=True).stdout


def sentences_of(text: str) -> list[str]:
    """Split running text into sentences that a synthesiser reads as they are written."""
    text = re.sub(r"\s+", " ", re.sub(r"\n\s*\n", " . ", text).replace("--", ", ").replace("_", ""))
    found = []
    for piece in re.split(r"(?<=[.?!])[\"')]*\s+", text):
        piece = re.sub(r"\s+([,.?!;:])", r"\1", piece.strip(" \"'()[]*-"))
        words = piece.split()
        plain = SPEAKABLE.fullmatch(piece) and not BROKEN.search(piece)
        if plain and 2 <= len(words) <= 32 and 8 <= len(piece) <= 180 and piece[-1] in ".?!":
            found.append(piece)
    return found


def word_list(*levels: int) -> list[str]:
    """Plain lower-case words of SCOWL's frequency levels (10 holds the commonest)."""
    files = [WORD_LISTS / f"{kind}-words.{level}" for level in levels for kind in ("english", "american")]
    lines = [line for path in files if path.exists() for line in path.read_text("latin-1").split("\n")]
    return sorted({word for word in lines if re.fullmatch(r"[a-z]{2,14}", word)})


def templates(count: int, rng: random.Random) -> list[str]:
    """Numbers, questions, lists and names in short everyday frames."""
    words = [word for word in word_list(10, 20) if not word.endswith("s")]
    found = []
    for _ in range(count):
        fields = {key: rng.choice(words) for key in ("noun", "noun2", "noun3", "adj", "adj2")}
        fields |= {"name": rng.choice(NAMES), "name2": rng.choice(NAMES)}
        fields |= {
            "n": str(rng.choice((rng.randint(2, 20), rng.randint(2, 999)))),
            "m": str(rng.randint(1, 12)),
        }
        fields["year"] = str(rng.randint(1900, 2030))
        found.append(rng.choice(TEMPLATES).format(**fields))
    return found


def word_strings(count: int, rng: random.Random) -> list[str]:
    """One to seven unrelated words: spelling for words that running text seldom has."""
    common, rare = word_list(10, 20), word_list(35, 40, 50)
    found = []
    for _ in range(count):
        words = [rng.choice(common if rng.random() < 0.5 else rare) for _ in range(rng.randint(1, 7))]
        text = (", " if rng.random() < 0.3 else " ").join(words).capitalize()
        found.append(text + rng.choice("...?!"))
    return found


def drills(rng: random.Random, times: int = 4) -> list[str]:
    """Every common word `times` times, in rows of two to six: how English words are read can't be told from
    their letters, and running text has half of them hardly ever ("river" in 6 of 22,000 sentences)."""
    found = []
    for _ in range(times):
        words = word_list(10, 20)
        rng.shuffle(words)
        while words:
            row = [words.pop() for _ in range(min(len(words), rng.randint(2, 6)))]
            found.append(" ".join(row).capitalize() + rng.choice("...?!"))
    return found


def corpus(count: int, seed: int = 0) -> list[str]:
    """`count` different sentences, three quarters of them running text, and the drills, in random order."""
    rng = random.Random(seed)
    running = sorted({s for text in (fortunes(), web_book(), novels()) for s in sentences_of(text)})
    # Short sentences teach the alignment and are what people type: draw them more often than they stand
    # there.
    running.sort(key=lambda s: rng.random() ** (1 / max(0.2, 1.4 - len(s.split()) / 20)), reverse=True)
    mixed = (
        running[: int(count * 0.7)] + templates(int(count * 0.16), rng) + word_strings(int(count * 0.14), rng)
    )
    mixed += drills(rng)
    unique = list({s.lower(): s for s in mixed}.values())
    rng.shuffle(unique)
    return unique
