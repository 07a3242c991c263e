"""Write the pronunciation table for the model's text: SCOWL's words as pronounced by hibari.

    train/work/venv/bin/python -m train.v2.lexicon --work train/work

Words whose pronunciation depends on their meaning ("read", "live") are left out: the model reads their
letters.
"""

import argparse
import gzip
import json
from pathlib import Path

from hibari import Hibari

from train.texts import NAMES, word_list

LEVELS = (10, 20, 35, 40, 50, 55, 60)
POSSESSIVE = "'s"
STRESSES = str.maketrans("", "", "ˈˌ")
# Said in a weak form or another by what stands beside them: one way is enough to go by.
FUNCTION_WORDS = {"a", "an", "the", "to", "of", "and", "or", "for", "that", "in", "by", "as", "am", "i"}


def ambiguous(readings: dict[str, str]) -> bool:
    """Return whether a word's pronunciations differ by more than stress."""
    return len({reading.translate(STRESSES) for reading in readings.values() if reading}) > 1


def table() -> dict[str, str]:
    """Return words in lower case → phones of Kokoro's alphabet."""
    g2p = Hibari().g2p
    words = set(word_list(*LEVELS)) | {name.lower() for name in NAMES} | FUNCTION_WORDS
    contracted = ("'s", "'t", "'re", "'ve", "'ll", "'d", "'m", "n't")
    pronouns = ("i", "you", "he", "she", "it", "we", "they", "that", "what")
    words |= {base + end for base in pronouns for end in contracted}
    words |= {
        base + "n't" for base in ("do", "does", "did", "is", "are", "was", "were", "have", "has", "had")
    }
    words |= {base + "n't" for base in ("wo", "would", "could", "should", "must", "need")}
    words |= {"can't", "let's", "there's"}
    found = {}
    for word in sorted(words):
        known = g2p.lexicon.golds.get(word)
        if isinstance(known, dict) and ambiguous(known) and word not in FUNCTION_WORDS:
            continue
        for form in (word, word + POSSESSIVE) if POSSESSIVE not in word else (word,):
            said = g2p(form, normalize_text=False)
            if said and " " not in said:
                found[form] = said
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path(__file__).parent.parent / "work")
    options = parser.parse_args()
    found = table()
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    # No time stamp, so that the same table is the same file.
    path = options.work / "pronunciations.json.gz"
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{path}: {len(found)} words")


if __name__ == "__main__":
    main()
