"""Speech on its way out: tagged in each container that has tags, marked once, streamed as whole."""

from io import BytesIO

import numpy as np
import pytest

from audio.decode import comments_of, decode_audio
from audio.encode import FORMATS, encode_audio
from audio.generated import SOURCE_TYPE, SpeechEncoder, model_in_tags
from audio.watermark import watermarked
from jobs.download import BOOK_FORMATS
from tests.audio.media import recording
from tests.test_imports import imports_of, module_name, room_of, source_files

MODEL = "bosonai/higgs-audio-v2. Zoë"
PLAIN, MARKING = SpeechEncoder(MODEL, watermark=False), SpeechEncoder(MODEL, watermark=True)
CLIP = recording()[24_000:72_000]
TAGGED = [name for name in FORMATS if name != "pcm16"]


@pytest.mark.parametrize("format", TAGGED)
def test_a_file_says_in_plain_words_that_it_was_made(format: str) -> None:
    streamed = b"".join(PLAIN.stream(np.split(CLIP, 3), format))
    for data in [PLAIN.file(CLIP, format).data, *([] if format == "wav" else [streamed])]:
        (comment,) = comments_of(data)
        assert comment.startswith("AI-generated speech, made by Higgs Audio voice server, model bosonai/")
        assert comment.endswith(SOURCE_TYPE)
        assert model_in_tags(data) == MODEL
        assert len(decode_audio(data)) >= len(CLIP)


@pytest.mark.parametrize("format", BOOK_FORMATS)
def test_a_book_is_tagged_beside_its_title(format: str) -> None:
    file = BytesIO()
    PLAIN.write_book(file, [CLIP], BOOK_FORMATS[format], "Emma", [])
    assert model_in_tags(file.getvalue()) == MODEL and b"Emma" in file.getvalue()


def test_raw_samples_have_no_place_for_a_tag() -> None:
    assert PLAIN.file(CLIP, "pcm").data == encode_audio(CLIP, "pcm").data


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_a_tag_changes_no_sample(format: str) -> None:
    tagged, plain = (
        decode_audio(file.data) for file in (PLAIN.file(CLIP, format), encode_audio(CLIP, format))
    )
    np.testing.assert_array_equal(tagged, plain)


def test_the_samples_of_a_wav_stay_where_clients_look_for_them() -> None:
    """Kind: a client that skips 44 bytes plays the tag as sound."""
    whole, streamed = PLAIN.file(CLIP, "wav").data, b"".join(PLAIN.stream([CLIP], "wav"))
    assert whole[36:40] == streamed[36:40] == b"data"
    assert whole[44 : 44 + 2 * len(CLIP)] == streamed[44:]
    assert int.from_bytes(whole[4:8], "little") == len(whole) - 8


@pytest.mark.parametrize("format", ["wav", "flac", "opus", "aac", "pcm", "pcmu"])
def test_marked_speech_is_the_same_streamed_and_whole(format: str) -> None:
    streamed = b"".join(MARKING.stream(np.split(CLIP, (7_680, 7_900, 23_040)), format))
    if format in ("pcm", "pcmu"):
        assert streamed == MARKING.file(CLIP, format).data
    else:
        whole = decode_audio(MARKING.file(CLIP, format).data)
        np.testing.assert_array_equal(decode_audio(streamed), whole)


def test_samples_are_marked_where_that_is_wanted() -> None:
    marked = np.concatenate(list(watermarked([CLIP])))
    assert MARKING.file(CLIP, "pcm").data == encode_audio(marked, "pcm").data


@pytest.mark.parametrize("data", [b"", b"no sound at all", encode_audio(CLIP, "mp3").data])
def test_other_files_name_no_model(data: bytes) -> None:
    assert model_in_tags(data) is None


def test_speech_leaves_by_one_way_only() -> None:
    """Streams of samples are encoded by SpeechEncoder alone, so that no route can forget the mark."""
    doors = {f"audio.encode.{name}" for name in ("encode_stream", "Encoder")}
    others = [
        module_name(path)
        for path in source_files()
        if room_of(module_name(path)).partition(".")[0] in ("api", "jobs", "voices", "app")
        and doors & {name for _, name in imports_of(path)}
    ]
    assert others == []
