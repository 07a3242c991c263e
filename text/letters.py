"""Initialisms → the names of their letters, for a model that reads letters as sounds: FBI as eff bee eye."""

import re

from text.rules import rule, words_in

NAMES = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            "ay",
            "bee",
            "see",
            "dee",
            "ee",
            "eff",
            "gee",
            "aitch",
            "eye",
            "jay",
            "kay",
            "ell",
            "em",
            "en",
            "oh",
            "pee",
            "cue",
            "ar",
            "ess",
            "tee",
            "you",
            "vee",
            "double you",
            "ex",
            "why",
            "zee",
        ),
        strict=True,
    )
)
# Short words that are capitalised for emphasis; any other three capitals are an initialism.
WORDS = words_in(
    "AM AN AS AT BE BY DO GO HE HI IF IN IS IT ME MY NO OF OH ON OR SO TO UP US WE AH HA HO YO ACT ADD "
    "AGE AGO AID AIM AIR ALL AND ANY ARE ARM ART ASK ATE BAD BAG BAR BED BET BIG BIN BIT BOX BOY BUS BUT "
    "BUY CAN CAR CAT COW CRY CUP CUT DAD DAY DID DIE DIG DOG DRY DUE EAR EAT EGG END EYE FAR FAT FEW FIT "
    "FIX FLY FOR FOX FUN GAS GET GIF GNU GOD GOT GUN GUY HAD HAS HAT HER HEY HID HIM HIS HIT HOT HOW HUG ICE "
    "ILL INK ITS JOB JOY KEY KID LAN LAW LAY LED LEG LET LIE LOT LOW MAD MAN MAP MAY MEN MET MIX MOM MUD "
    "NET NEW NOR NOT NOW NUT ODD OFF OIL OLD ONE OUR OUT OWE OWN PAY PEN PET PIG PIN POT PUT RAM RAN RAT "
    "RAW RED RID ROM RUN SAD SAT SAW SAY SEA SEE SET SHE SIM SIT SIX SKY SON SUN TAX TEA TEN THE TIE TIP "
    "TOO TOP TOY TRY TWO UGH USE VAN VAT WAN WAR WAS WAY WET WHO WHY WIN WON WOW YES YET YOU ZIP ZOO"
)
# Two letters that are a word only next to other capitalised words: the US, IT people, ON AIR.
TWO_LETTERS_ALONE = frozenset({"US", "IT", "AM", "OR", "IN", "ME", "OH", "AN", "AS", "HI", "PA", "MA"})
# Initialisms of four letters or more that have a vowel.
SPELLED = words_in(
    "IEEE ISBN ISSN IMDB IMAP HTTPS AFAIK IIRC USAF UEFI USDA UCLA UNHCR EBITDA ESPN IUPAC ISDN IMHO OECD "
    "NAACP AARP ASPCA BASF"
)
VOWEL = re.compile(r"[AEIOUY]")
# The longest of WORDS, and what may stand between it and the next word.
COMPANY = 3 + 2
BEFORE = re.compile(r"\b([A-Z]{2,3})[^\w.]{1,2}$")
BEHIND = re.compile(r"[^\w.]{1,2}([A-Z]{2,3})\b")


def by_name(letters: str) -> str:
    return " ".join(NAMES[letter] for letter in letters)


def _capitals(found: re.Match[str]) -> str:
    """Spell a capitalised word, or leave it as a word."""
    word, ending = found["word"], found["ending"] or ""
    if not spelled(word, alone=not _in_company(found)):
        return found[0]
    return by_name(word) + ending.replace("’", "'")  # noqa: RUF001


def spelled(word: str, alone: bool) -> bool:
    """Return whether a word of two or more capitals is read letter by letter."""
    if word == "OK":
        return False
    if len(word) == 2 and alone and word in TWO_LETTERS_ALONE:
        return word in ("US", "IT")
    if word in WORDS:
        return False
    return len(word) <= 3 or word in SPELLED or not VOWEL.search(word)


def _in_company(found: re.Match[str]) -> bool:
    """Return whether another capitalised word is next to it: then it is shouting, and "US" is us."""
    start, end = found.span()
    before = BEFORE.search(found.string, max(start - COMPANY, 0), start)
    behind = BEHIND.match(found.string, end)
    return any(other and other[1] in WORDS for other in (before, behind))


def _run(found: re.Match[str]) -> str:
    return by_name(re.sub(r"[^A-Z]", "", found[0]))


def _single(found: re.Match[str]) -> str:
    return NAMES[found[0].upper()]


LETTERS = (
    rule(r"\bOK\b", "okay"),
    rule(r"\bI/O\b", "eye oh"),
    # U S A, as it stands or made of U.S.A. and of signs.
    rule(r"(?<![\w'’-])[A-Z](?: [A-Z])+(?=s?\b)(?!['’](?!s\b))", _run),  # noqa: RUF001
    rule(r"(?<![\w'’])(?P<word>[A-Z]{2,})(?P<ending>['’]?s)?\b(?!['’]\w)", _capitals),  # noqa: RUF001
    # Plan B, vitamin C, x squared; "A" and "I" are words.
    rule(r"(?<![\w'’-])[B-HJ-Zb-hj-z](?![\w'’-])", _single),  # noqa: RUF001
)
