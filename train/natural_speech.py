# ruff: noqa: RUF001 (letters of the phonetic alphabet look like others)
"""Convert the neural teachers' passages to utterances like flite's: one or more sentences, the phones of the
first codec's codebook 0 and the letters that they are read from.

The letter of each phone is found within its word, since the front end gives the phones word by word.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from higgs.codecs.vocoder.analysis import STEPS_PER_FRAME
from higgs.prompts.pronunciation import STRESSES, SYMBOLS
from train.letters import letter_of_each_phone
from train.natural import Passage, load_passages
from train.speech import ODD, PHONES, Teacher, Utterance, load_shard, pack, save_shard
from train.v2.phones import PAUSE_OF, Timing, timing

FULL_SCALE = 32767
PHONE_OF = {
    **{"A": "ey", "I": "ay", "O": "ow", "W": "aw", "Y": "oy", "i": "iy", "u": "uw", "æ": "ae", "ɑ": "aa"},
    **{"ɐ": "ah", "ɔ": "ao", "ə": "ah", "ɜ": "er", "ɛ": "eh", "ɪ": "ih", "ʊ": "uh", "ʌ": "ah", "ᵊ": "ah"},
    **{"ᵻ": "ih", "h": "hh", "j": "y", "ŋ": "ng", "ɡ": "g", "ɹ": "r", "ʃ": "sh", "ʒ": "zh", "ʤ": "jh"},
    **{"ʧ": "ch", "θ": "th", "ð": "dh", "T": "t", **{phone: phone for phone in "bdfklmnpstvwz"}},
}
SENTENCE_ENDS = (".", "?", "!")
LEAD_STEPS, TAIL_STEPS = 8, 16  # silence kept before and after a piece
MIN_BREAK = 12  # minimum pause between two pieces, in steps
MAX_PIECE = 1000  # steps; a piece is filled up to a random length
SINGLE_SHARE = 0.3  # of the pieces hold one sentence, since the server speaks sentence by sentence
MIN_VOICED = 10  # steps


@dataclass(frozen=True)
class Said:
    """A phone of a passage.

    Attributes:
        phone: its name.
        begin: the step at which it begins.
        word: the index of its word; see Timing.
        letter: the position in the text that it is read from.
        ends: whether it is the pause after a sentence.
    """

    phone: str
    begin: float
    word: int
    letter: float
    ends: bool


def said_phones(passage: Passage, when: Timing) -> list[Said]:
    """Return a passage's phones in flite's inventory, whose vowels of "her" and "father" include the r."""
    names = [SYMBOLS[number].lstrip("".join(STRESSES)) for number in when.symbols]
    merged: list[tuple[str, int]] = []  # the phone, and its first symbol
    for i, name in enumerate(names):
        same_word = i + 1 < len(names) and when.words[i] == when.words[i + 1]
        if name == "ɹ" and merged and merged[-1] == ("er", i - 1):
            continue
        if name == "ə" and same_word and names[i + 1] == "ɹ" and not vowel_follows(names, when, i + 1):
            name = "ɜ"
        pause = name in PAUSE_OF.values() or name == "pad"
        merged.append(("pau" if pause else PHONE_OF[name], i))
    letters = letters_of(passage, when, merged)
    return [
        Said(phone, float(when.begins[i]), int(when.words[i]), letter, names[i] in SENTENCE_ENDS)
        for (phone, i), letter in zip(merged, letters, strict=True)
    ]


def vowel_follows(names: list[str], when: Timing, i: int) -> bool:
    """Return whether the symbol after index i is a vowel of the same word."""
    return i + 1 < len(names) and when.words[i + 1] == when.words[i] and names[i + 1] in "AIOWYiuæɐɑɔəɜɛɪʊʌᵊᵻ"


def letters_of(passage: Passage, when: Timing, phones: list[tuple[str, int]]) -> list[float]:
    """Return the position in the text of each phone: the cheapest alignment with the letters of its word."""
    words = when.words[[first for _, first in phones]]
    found: list[float] = []
    for word in np.unique(words):
        start, stop = when.spans[word]
        mine = [phone for (phone, _), whose in zip(phones, words, strict=True) if whose == word]
        found += (start + letter_of_each_phone(mine, passage.text[start:stop])).tolist()
    return found


def pieces(passage: Passage, features: np.ndarray, rng: np.random.Generator) -> list[tuple]:
    """Cut a passage between sentences into pieces that don't overlap, each filled up to a random length.

    Returns:
        Text, features, phones and letters of each piece, as in Utterance; none if the passage can't be
        aligned.
    """
    when = timing(passage)
    if when is None:
        return []
    phones = said_phones(passage, when)
    features = features[when.first : when.last]
    ends = [phone.begin for phone in phones[1:]] + [float(len(features))]
    breaks = [
        i
        for i, (phone, end) in enumerate(zip(phones, ends, strict=True))
        if 0 < i < len(phones) - 1 and phone.ends and end - phone.begin >= MIN_BREAK
    ]
    found, first, limit = [], 0, length_of_piece(rng)
    stops = [*breaks, len(phones) - 1]
    for number, stop in enumerate(stops):
        last = stop == stops[-1]
        if last or ends[stops[number + 1]] - phones[first].begin > limit:
            found.append(cut(passage.text, when, features, phones[first : stop + 1], ends[stop]))
            first, limit = stop, length_of_piece(rng)
    return found


def length_of_piece(rng: np.random.Generator) -> float:
    """Draw the length in steps up to which a piece is filled; 0 for a single sentence."""
    return 0.0 if rng.random() < SINGLE_SHARE else rng.uniform(50, MAX_PIECE)


def cut(text: str, when: Timing, features: np.ndarray, phones: list[Said], end: float) -> tuple:
    """Return one piece, from shortly before its first word; its first phone is the pause before."""
    start = int(max(phones[0].begin, phones[1].begin - LEAD_STEPS))
    if phones[-1].phone == "pau":
        end = min(end, phones[-1].begin + TAIL_STEPS)
    steps = (int(end) - start) // STEPS_PER_FRAME * STEPS_PER_FRAME
    begins = np.array([0, *(round(phone.begin) - start for phone in phones[1:])])
    # Every phone gets at least one step.
    order = np.arange(len(begins))
    begins = np.minimum(np.maximum.accumulate(begins - order), steps - len(begins)) + order
    numbers = np.searchsorted(begins, np.arange(steps), side="right") - 1
    marked = np.array([PHONES.index(p.phone) + ODD * (i % 2) for i, p in enumerate(phones)], np.uint8)
    first, last = when.spans[phones[1].word][0], when.spans[phones[-1].word][1]
    letters = np.array([phone.letter for phone in phones], np.float32) - first
    return (
        text[first:last],
        features[start : start + steps],
        marked[numbers],
        letters.clip(0, last - first - 1),
    )


def utterances_of(passages: list[Passage], seed: int) -> list[Utterance]:
    """Return the utterances of a shard; each style in it is one teacher."""
    rng = np.random.default_rng(seed)
    found = []
    for style in dict.fromkeys(passage.style for passage in passages):
        own = [passage for passage in passages if passage.style == style]
        packed = [pack(passage.samples.astype(np.float32) / FULL_SCALE) for passage in own]
        pitch = np.concatenate([rows[rows[:, 1] > 0.5, 0] for rows in packed]).astype(np.float32)
        level, spread = float(np.median(pitch)), float(pitch.std())
        teacher = Teacher(f"{style} {seed}", level, spread, natural=True, shift=own[0].shift)
        for passage, rows in zip(own, packed, strict=True):
            for text, features, phones, letters in pieces(passage, rows, rng):
                if len(letters) > 2 and (features[:, 1] > 0.5).sum() >= MIN_VOICED:
                    found.append(Utterance(text, teacher, features, phones, letters))
    return found


def natural_speech(work: Path) -> list[Utterance]:
    """Return the speech in work/natural without the held-out shard, analysed into work/natural_speech."""
    folder = work / "natural_speech"
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Utterance] = []
    for source in sorted((work / "natural").glob("[0-9][0-9][0-9][0-9].npz")):
        if source.stem == "0000":
            continue
        path = folder / source.name
        if not path.exists():
            save_shard(path, utterances_of(load_passages(source), int(source.stem)))
        found += load_shard(path)
    return found
