# ruff: noqa: RUF001, RUF002 (letters of the phonetic alphabet look like others)
"""Pronunciations that people write, in IPA or ARPAbet → phones, as models read them."""

from errors import InvalidRequest, quoted
from higgs.prompts.pronunciation import CONSONANTS, SAME_PHONE, STRESSES, VOWELS, character, symbols_of

# fmt: off
ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A",
    "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d",
    "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n",
    "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "ʒ", "AH0": "ə", "ER0": "əɹ",
}
# fmt: on
STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}
# Two letters of IPA that are one phone, and what it writes besides: longest first.
IPA = {
    "t͡ʃ": "ʧ",
    "d͡ʒ": "ʤ",
    "tʃ": "ʧ",
    "dʒ": "ʤ",
    "eɪ": "A",
    "aɪ": "I",
    "aʊ": "W",
    "ɔɪ": "Y",
    "oʊ": "O",
    "əʊ": "O",
    "ɝ": "ɜɹ",
    "ɚ": "əɹ",
    "g": "ɡ",
    "ː": "",
    ".": "",
    " ": "",
    "'": "ˈ",
    "͡": "",
}


def phone_symbols(phones: str) -> list[str]:
    """Return the symbols of phones that are written as "/wɪn/" or "{W IH1 N}".

    Raises:
        InvalidRequest: invalid_pronunciation, a phone is unknown, or there is none.
    """
    said = _of_arpabet(phones[1:-1].split()) if phones.startswith("{") else _of_ipa(phones[1:-1])
    symbols = symbols_of(said)
    if not symbols:
        raise _unknown(phones, "IPA or ARPAbet")
    return symbols


def spelled(phones: str) -> str:
    """Return the characters that stand for phones in the text of a model that reads phones."""
    return "".join(map(character, phone_symbols(phones)))


def _of_arpabet(phones: list[str]) -> str:
    said = ""
    for phone in phones:
        name = phone.upper().rstrip("012")
        if name not in ARPABET or len(phone) > len(name) + 1:
            raise _unknown(phone, "ARPAbet")
        said += STRESS.get(phone[len(name) :], "") + ARPABET.get(phone.upper(), ARPABET[name])
    return said


def _of_ipa(phones: str) -> str:
    for written, phone in sorted(IPA.items(), key=lambda pair: -len(pair[0])):
        phones = phones.replace(written, phone)
    for phone in phones:
        if SAME_PHONE.get(phone, phone) not in (*VOWELS, *CONSONANTS, *STRESSES):
            raise _unknown(phone, "IPA")
    return phones


def _unknown(phone: str, alphabet: str) -> InvalidRequest:
    message = f"{quoted(phone)} is no English phone of {alphabet}; respell the word in letters instead."
    return InvalidRequest(message, code="invalid_pronunciation", param="pronunciations")
