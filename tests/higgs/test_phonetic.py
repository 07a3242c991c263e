"""IPA and ARPAbet that people write. Kind of fault: a phone that is left out without a word."""
# ruff: noqa: RUF001 (letters of the phonetic alphabet look like others)

import pytest

from errors import InvalidRequest
from higgs.prompts.phonetic import spelled
from higgs.prompts.pronunciation import character


def chars(*symbols: str) -> str:
    return "".join(map(character, symbols))


@pytest.mark.parametrize(
    ("written", "symbols"),
    [
        ("/wɪn/", ("w", "ɪ", "n")),
        ("{W IH1 N}", ("w", "ˈɪ", "n")),
        ("{t ah0 m ey1 t ow2}", ("t", "ə", "m", "ˈA", "t", "ˌO")),
        ("/təˈmeɪtoʊ/", ("t", "ə", "m", "ˈA", "t", "O")),
        ("/t͡ʃaɪ/", ("ʧ", "I")),
    ],
)
def test_phones_become_the_model_s_symbols(written: str, symbols: tuple[str, ...]) -> None:
    assert spelled(written) == chars(*symbols)


@pytest.mark.parametrize(("written", "named"), [("/ʘa/", "ʘ"), ("{W IX N}", "IX"), ("{W IH12 N}", "IH12")])
def test_an_unknown_phone_is_named(written: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        spelled(written)
