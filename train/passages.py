"""What the neural teachers speak: single sentences, several in one passage, short ones, questions, lists,
numbers as words, names, dialogue, rows of tables and of words. Nothing of bench/sentences.txt.
"""

import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from num2words import num2words

from train.texts import NAMES, fortunes, novels, sentences_of, web_book, word_list

MAX_CHARACTERS = 320
BENCH = Path(__file__).parent.parent / "bench" / "sentences.txt"
SHORT = (
    *("Yes.", "No.", "Ready?", "Go!", "Stop.", "Wait!", "Really?", "Thanks.", "Of course.", "Not yet."),
    *("Why not?", "I see.", "Come in.", "Well done!", "Good morning.", "Good night.", "Who is it?", "Right."),
    *("Hello!", "Goodbye.", "Sorry.", "Never mind.", "Not at all.", "Let's go.", "One moment.", "Maybe."),
    *("Listen.", "How much?", "What time?", "Over here!", "Be careful.", "No problem.", "Exactly.", "Sure."),
)
FRAMES = (
    "Have you seen {name}'s {noun}?",
    "Which {noun} do you prefer, the {adj} one or the {adj2} one?",
    "Where can I buy a {noun}, a {noun2} and a {noun3}?",
    "I bought {n} {noun}s, {m} {noun2}s and a {noun3}.",
    "It was {n} degrees in {name} on {day}.",
    "My number is {digits}.",
    "The {noun} opens at {m} thirty and closes at {k}.",
    "In {year} there were {n} of them; now there are {big}.",
    "{name}, {name2} and {name3} are waiting for the {noun}.",
    "When does the {noun} leave, and who told {name}?",
    "Dear {name}, thank you for the {noun} that you sent on {day}.",
    "First the {noun}, then the {noun2}, and last of all the {noun3}.",
    "You will need {m} {noun}s: {adj}, {adj2} and {adj3}.",
    "Chapter {m}. The {adj} {noun}.",
    "Is it {adj}? No, it is {adj2}.",
    "Are you sure that the {noun} is {adj}, {name}?",
    "About {n} percent of the {noun}s were {adj}.",
    "Turn left after the {noun}, and right at the {noun2}.",
)
TALK = (
    "{a} said {name}. {b}",
    "{a} {b} {c}",
    "{name} asked, {q} {a}",
    "{q} {a}",
    "{a} {q} {b}",
)
CELLS = (
    *(
        "{name}",
        "{name}",
        "{noun}",
        "{noun}s",
        "{adj} {noun}",
        "{adj} {noun}s",
        "a {noun}",
        "the {noun}",
        "{day}",
    ),
    *(
        "{n}",
        "{m} {noun}s",
        "{m} dollars",
        "{n} {noun}s",
        "{year}",
        "{noun} and {noun2}",
        "a {noun} of {noun2}s",
    ),
    *("some {adj} {noun}", "{noun} {m}", "{m} thirty", "to {name}", "no {noun}"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@cache
def running_texts() -> list[list[str]]:
    """The sentences of each source in their order, without digits and without those of the bench."""
    held_out = {line.strip().lower() for line in BENCH.read_text().splitlines()}
    texts = [sentences_of(text) for text in (novels(), web_book(), fortunes())]
    return [[s for s in part if s.lower() not in held_out and not re.search(r"\d", s)] for part in texts]


class Passages:
    """Endless passages of mixed kinds from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._running = running_texts()
        self._nouns = [word for word in word_list(10, 20) if not word.endswith("s")]
        self._rare = word_list(35, 40, 50)
        kinds: list[tuple[float, Callable[[], str]]] = [
            (0.34, self.sentence),
            (0.19, self.several),
            (0.09, self.short),
            (0.13, self.frame),
            (0.08, self.talk),
            (0.07, self.words),
            (0.10, self.rows),
        ]
        self._shares, self._kinds = zip(*kinds, strict=True)

    def __iter__(self) -> Iterator[str]:
        while True:
            text = self._rng.choices(self._kinds, self._shares)[0]()
            if len(text) <= MAX_CHARACTERS:
                yield text

    def sentence(self) -> str:
        """One sentence of running text; short ones twice as likely."""
        found = [self._rng.choice(self._rng.choice(self._running)) for _ in range(2)]
        return min(found, key=len) if self._rng.random() < 0.5 else found[0]

    def several(self) -> str:
        """Two to five sentences that follow one another."""
        part, count = self._rng.choice(self._running), self._rng.choice((2, 2, 2, 3, 3, 4, 5))
        start = self._rng.randrange(len(part) - count)
        return " ".join(part[start : start + count])

    def short(self) -> str:
        """One to five utterances of a word or two."""
        return " ".join(self._rng.choice(SHORT) for _ in range(self._rng.choice((1, 1, 2, 2, 3, 4, 5))))

    def frame(self) -> str:
        """A question, list, number or name in a frame, sometimes two of them."""
        count = self._rng.choice((1, 1, 1, 2))
        return " ".join(self._rng.choice(FRAMES).format(**self._fields()) for _ in range(count))

    def talk(self) -> str:
        """Short utterances and questions of people who talk."""
        questions = [s for s in (self.sentence() for _ in range(8)) if s.endswith("?")] or ["Is that so?"]
        parts = {key: self._rng.choice((self.sentence, self.short))() for key in ("a", "b", "c")}
        names = {"name": self._rng.choice(NAMES)}
        return self._rng.choice(TALK).format(q=questions[0], **parts, **names)

    def words(self) -> str:
        """One to seven unrelated words."""
        rng = self._rng
        chosen = [
            rng.choice(self._nouns if rng.random() < 0.5 else self._rare) for _ in range(rng.randint(1, 7))
        ]
        return (", " if rng.random() < 0.4 else " ").join(chosen).capitalize() + rng.choice("...?!")

    def rows(self) -> str:
        """One to five rows of a table or items of a list, as a document is read out."""
        count, width = self._rng.choice((1, 2, 3, 4, 5)), self._rng.choice((1, 1, 2, 2, 2, 3))
        kinds = [self._rng.choice(CELLS) for _ in range(width)]
        found = []
        for _ in range(count):
            row = ", ".join(kind.format(**self._fields()) for kind in kinds)
            found.append(f"{row[0].upper()}{row[1:]}.")
        return " ".join(found)

    def _fields(self) -> dict[str, str]:
        rng = self._rng
        nouns = {key: rng.choice(self._nouns) for key in ("noun", "noun2", "noun3", "adj", "adj2", "adj3")}
        names = {key: rng.choice(NAMES) for key in ("name", "name2", "name3")}
        numbers = {
            "n": rng.choice((rng.randint(2, 20), rng.randint(20, 999))),
            "m": rng.randint(2, 12),
            "k": rng.randint(1, 12),
            "big": rng.choice((rng.randint(1000, 20_000), rng.randint(1, 90) * 1_000_000)),
        }
        said = {key: str(num2words(value)).replace(",", "") for key, value in numbers.items()}
        digits = " ".join(str(num2words(rng.randint(0, 9))) for _ in range(rng.randint(3, 8)))
        year = str(num2words(rng.randint(1700, 2040), to="year"))
        return nouns | names | said | {"digits": digits, "year": year, "day": rng.choice(DAYS)}
