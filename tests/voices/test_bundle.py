"""A voice as one file: it comes back, and what is no such file is refused before it costs anything."""

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest

from errors import InvalidRequest
from voices.bundle import Bundle

BUNDLE = Bundle("Anna", "The words.", 9.0, 1.5, 4.5, b"fLaC" * 1000, {"speed": 1.5}, (("More.", b"fLaC"),))


def archive(**parts: bytes) -> bytes:
    output = BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in parts.items():
            written.writestr(name.replace("_", "."), data)
    return output.getvalue()


def described(**fields: Any) -> bytes:
    whole = json.loads(zipfile.ZipFile(BytesIO(BUNDLE.packed())).read("voice.json"))
    return json.dumps(whole | fields).encode()


def test_a_voice_comes_back() -> None:
    assert Bundle.unpacked(BUNDLE.packed()) == BUNDLE


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not a zip file"),
        (b"ID3 some music", "not a zip file"),
        (BUNDLE.packed()[:-30], "not a zip file"),
        (BUNDLE.packed().replace(b"fLaC", b"fLaD", 1), "CRC"),
        (archive(voice_json=described()), "reference.flac"),
        (archive(voice_json=b"[]", reference_flac=b""), "list indices"),
        (archive(voice_json=b"{]", reference_flac=b""), "Expecting"),
        (archive(voice_json=described(format="voice/9"), reference_flac=b""), "voice/9"),
        (archive(voice_json=described(sample_texts=["a"] * 3), reference_flac=b""), "up to 2 texts"),
        (archive(voice_json=described(sample_texts=["a"]), reference_flac=b""), "sample_0.flac"),
        (archive(voice_json=described(delivery=[]), reference_flac=b""), "delivery"),
        (archive(voice_json=described(name=7), reference_flac=b""), "not a string"),
        (archive(voice_json=described(end_seconds="NaN"), reference_flac=b""), "not within source_seconds"),
        (archive(voice_json=described(start_seconds=[]), reference_flac=b""), "float"),
        (archive(voice_json=described(), reference_flac=bytes(2**24)), "too large"),
        (archive(voice_json=bytes(2**20), reference_flac=b""), "too large"),
    ],
)
def test_what_is_no_exported_voice_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why) as caught:
        Bundle.unpacked(data)
    assert caught.value.code == "voice_file_invalid"
