"""/v1/audio/voices and voice_consents: the SDK keeps voices, and they speak wherever they are named."""

import subprocess
from pathlib import Path
from shutil import which
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import openai
import pytest
from openai import OpenAI
from openai.types.audio import Voice, VoiceConsent

from audio.decode import decode_audio
from settings import Settings
from tests.audio.media import float_wav, sound_file
from tests.tiny_server import TinyServer, ready

Body = dict[str, Any]
CLIP = sound_file("mp3")
FILE = ("me.mp3", CLIP, "audio/mpeg")


def new_name() -> str:
    return f"Anna {uuid4().hex}"


@pytest.fixture
def consent(client: OpenAI) -> VoiceConsent:
    return client.audio.voice_consents.create(name="Anna", language="en-US", recording=FILE)


@pytest.fixture
def voice(client: OpenAI, consent: VoiceConsent) -> Voice:
    return client.audio.voices.create(name=new_name(), audio_sample=FILE, consent=consent.id)


def voices_url(server: TinyServer, path: str = "") -> str:
    return f"{server.url}/v1/audio/voices{path}"


def keep(server: TinyServer, **fields: str) -> httpx.Response:
    return httpx.post(voices_url(server), data=fields, files={"audio_sample": FILE}, timeout=60)


def error_of(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"} and error["message"]
    return response.status_code, error["code"], error["param"]


def test_a_file_without_a_name_is_told_what_it_lacks(tiny_server: TinyServer) -> None:
    parts = {"name": (None, b"Ann"), "audio_sample": (None, FILE[1])}
    refused = httpx.post(voices_url(tiny_server), files=parts)
    assert error_of(refused) == (400, "invalid_value", "audio_sample")
    assert "filename" in refused.json()["error"]["message"]


def test_the_sdk_keeps_and_deletes_a_voice(client: OpenAI, consent: VoiceConsent) -> None:
    name = new_name()
    voice = client.audio.voices.create(name=name, audio_sample=FILE, consent=consent.id)
    strict = Voice.model_validate_json(voice.to_json(exclude_unset=False), strict=True)
    assert strict.object == "audio.voice" and strict.name == name and strict.id.startswith("voice_")
    extras = strict.model_extra or {}
    assert extras["consent"] == consent.id and extras["used"]["end"] > extras["used"]["start"]
    deleted = client.audio.voices.delete(voice.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (voice.id, True, "audio.voice.deleted")
    with pytest.raises(openai.NotFoundError) as gone:
        client.audio.voices.delete(voice.id)
    assert gone.value.code == "voice_not_found"


def test_a_taken_name_is_not_tried_again(tiny_server: TinyServer, voice: Voice) -> None:
    patient = OpenAI(base_url=f"{tiny_server.url}/v1", api_key="none", max_retries=5)
    with pytest.raises(openai.ConflictError) as taken:
        patient.audio.voices.create(name=voice.name, audio_sample=FILE, consent="")
    assert (taken.value.code, taken.value.param) == ("voice_name_taken", "name")
    assert taken.value.response.headers["x-should-retry"] == "false"


def test_voices_are_listed_found_and_changed(tiny_server: TinyServer) -> None:
    user = uuid4().hex
    names = [f"{user} {number}" for number in range(3)]
    made = [keep(tiny_server, name=name, user_id=user, ref_text=" The  words. ").json() for name in names]
    first = httpx.get(voices_url(tiny_server), params={"user_id": user, "limit": 2}).json()
    assert [one["id"] for one in first["data"]] == ["default", made[2]["id"], made[1]["id"]]
    assert first["data"][0]["built_in"] is True and first["has_more"] is True
    rest = httpx.get(voices_url(tiny_server), params={"user_id": user, "after": made[1]["id"]}).json()
    option = {name: made[0][name] for name in ("id", "name")}
    assert rest == {"object": "list", "data": [made[0]], "has_more": False, "voices": [option], "aliases": {}}
    one = voices_url(tiny_server, f"/{made[0]['id']}")
    assert httpx.get(one).json() == made[0] and made[0]["ref_text"] == "The words."
    changed = httpx.patch(one, json={"name": f"{user} new", "ref_text": "Other words."}).json()
    assert changed == made[0] | {"name": f"{user} new", "ref_text": "Other words."}
    assert httpx.patch(one, json={"ref_text": ""}).json()["ref_text"] is None
    texts = {"ref_text": "Words.", "instructions": "Whisper."}
    given = {**texts, "speed": 2.0, "pitch": 1.0, "volume": -3.0, "aliases": ["sage"]}
    given |= {"pronunciations": {"Nguyen": "win"}}
    assert httpx.patch(one, json=given).json().items() >= given.items()
    bare = httpx.patch(one, json=dict.fromkeys(given)).json()
    assert [bare[name] for name in given] == [None, None, None, None, None, [], {}]
    assert httpx.get(one).json()["name"] == f"{user} new"


def test_what_can_not_be_changed(tiny_server: TinyServer, voice: Voice) -> None:
    other = keep(tiny_server, name=new_name()).json()
    one = voices_url(tiny_server, f"/{other['id']}")
    taken = httpx.patch(one, json={"name": voice.name, "ref_text": "Lost."})
    assert error_of(taken) == (409, "voice_name_taken", "name")
    assert httpx.get(one).json() == other
    assert error_of(httpx.patch(one, json={"name": "default"})) == (400, "voice_name_reserved", "name")
    assert error_of(httpx.patch(one, json={"id": "mine"}))[:2] == (400, "invalid_value")
    assert error_of(httpx.patch(one, json={"name": None})) == (400, "invalid_value", "name")
    for method in ("PATCH", "DELETE"):
        body = {"name": "Mine"} if method == "PATCH" else None
        refused = httpx.request(method, voices_url(tiny_server, "/default"), json=body)
        assert error_of(refused)[:2] == (400, "voice_built_in")
    for path in ("/voice_0", "/voice_0/preview", "/voice_0/recording", "/n%00l"):
        assert error_of(httpx.get(voices_url(tiny_server, path)))[:2] == (404, "voice_not_found")


def test_a_kept_voice_can_be_heard_and_its_recording_taken_back(
    tiny_server: TinyServer, voice: Voice
) -> None:
    preview = httpx.get(voices_url(tiny_server, f"/{voice.id}/preview"), params={"text": "Hi."}, timeout=60)
    assert preview.headers["content-type"] == "audio/mpeg" and len(decode_audio(preview.content)) > 0
    own = httpx.get(
        voices_url(tiny_server, "/default/preview"), params={"response_format": "wav"}, timeout=60
    )
    assert own.content[:4] == b"RIFF"
    kept = httpx.get(voices_url(tiny_server, f"/{voice.id}/recording"))
    used = (voice.model_extra or {})["used"]
    assert len(decode_audio(kept.content)) / 24_000 == pytest.approx(used["end"] - used["start"])


def chat(client: OpenAI, voice: Any) -> Any:
    return client.chat.completions.create(
        model="tiny",
        modalities=["text", "audio"],
        audio={"voice": voice, "format": "wav"},
        messages=[{"role": "user", "content": "Hello world."}],
        seed=1,
        max_completion_tokens=60,
    )


def test_a_kept_voice_speaks_in_chat_and_speech_by_id_and_by_name(client: OpenAI, voice: Voice) -> None:
    by_id, by_name, default = (chat(client, named) for named in ({"id": voice.id}, voice.name, "default"))
    heard = [answer.choices[0].message.audio.data for answer in (by_id, by_name, default)]
    assert heard[0] == heard[1] != heard[2]
    assert by_name.model_extra["voice"]["used"] == voice.id
    assert by_id.usage.prompt_tokens_details.audio_tokens > 0
    spoken = client.audio.speech.with_raw_response.create(
        model="tiny", voice={"id": voice.id}, input="Hello world.", response_format="wav"
    )
    assert spoken.headers["x-voice-used"] == voice.id
    with pytest.raises(openai.NotFoundError) as missing:
        chat(client, "voice_of_nobody")
    assert (missing.value.code, missing.value.param) == ("voice_not_found", "audio.voice")


def test_a_name_of_two_users_is_asked_back(tiny_server: TinyServer, client: OpenAI) -> None:
    name = new_name()
    ids = [keep(tiny_server, name=name, user_id=user).json()["id"] for user in ("ann", "bob")]
    with pytest.raises(openai.BadRequestError) as caught:
        chat(client, name)
    assert (caught.value.code, caught.value.param) == ("voice_ambiguous", "audio.voice")
    assert all(one in caught.value.message for one in ids)
    assert chat(client, ids[0]).choices[0].message.audio.data


def test_the_transcript_is_part_of_the_prompt(tiny_server: TinyServer, client: OpenAI) -> None:
    voice = keep(tiny_server, name=new_name(), ref_text="The words of the recording.").json()
    told = chat(client, voice["id"])
    httpx.patch(voices_url(tiny_server, f"/{voice['id']}"), json={"ref_text": ""})
    untold = chat(client, voice["id"])
    assert told.choices[0].message.audio.data != untold.choices[0].message.audio.data


@pytest.mark.skipif(which("flite") is None, reason="flite, which speaks the test's words, is not installed")
def test_the_words_of_a_voice_can_be_recognised(tiny_server: TinyServer, tmp_path: Path) -> None:
    spoken = tmp_path / "spoken.wav"
    words = "the weather is warm today so we will take the train"
    subprocess.run(["flite", "-voice", "slt", "-t", words, "-o", spoken], check=True)
    files = {"audio_sample": ("spoken.wav", spoken.read_bytes())}
    form = {"name": new_name(), "transcribe_reference": "true"}
    voice = httpx.post(voices_url(tiny_server), data=form, files=files, timeout=120).json()
    heard = voice["ref_text"].lower().split()
    assert len(set(heard) & set(words.split())) >= 6


def test_codes_of_another_codec_are_made_anew(tiny_server: TinyServer, client: OpenAI, voice: Voice) -> None:
    before = chat(client, voice.id).choices[0].message.audio.data
    profiles = tiny_server.app.state.server.voices.store.profiles
    own = profiles.sample("", voice.id)
    profiles.set_codes("", voice.id, np.zeros((8, 25), np.int64), "another codec")
    assert chat(client, voice.id).choices[0].message.audio.data == before
    again = profiles.sample("", voice.id)
    assert again.codec == own.codec
    np.testing.assert_array_equal(again.codes, own.codes)


@pytest.mark.parametrize(
    ("fields", "sample", "status", "code", "param"),
    [
        ({"name": "alloy"}, CLIP, 400, "voice_name_reserved", "name"),
        ({"name": "Alloy"}, CLIP, 400, "voice_name_reserved", "name"),
        ({"name": "\u200b\u2060"}, CLIP, 400, "invalid_value", "name"),
        ({"name": "Anna\u202e"}, CLIP, 400, "invalid_value", "name"),
        ({"name": "\u3164"}, CLIP, 400, "invalid_value", "name"),
        ({"name": "Anna", "type": "prompt", "prompt": "a low voice"}, CLIP, 400, "unsupported", "prompt"),
        ({}, CLIP, 400, "missing_required_parameter", "name"),
        ({"name": "Anna"}, b"no sound", 400, "audio_undecodable", "audio_sample"),
        ({"name": "Anna"}, float_wav(np.zeros(48_001, np.float32)), 400, "audio_silent", "audio_sample"),
        ({"name": "Anna", "consent": "cons_0"}, CLIP, 404, "consent_not_found", "consent"),
    ],
)
def test_what_is_wrong_with_a_voice_is_named(
    tiny_server: TinyServer, fields: Body, sample: bytes, status: int, code: str, param: str
) -> None:
    files = {"audio_sample": ("a.wav", sample)}
    response = httpx.post(voices_url(tiny_server), data=fields, files=files, timeout=60)
    assert error_of(response) == (status, code, param)


def test_the_sdk_keeps_consents(client: OpenAI, consent: VoiceConsent) -> None:
    strict = VoiceConsent.model_validate_json(consent.to_json(exclude_unset=False), strict=True)
    assert (strict.name, strict.language, strict.object) == ("Anna", "en-US", "audio.voice_consent")
    assert client.audio.voice_consents.retrieve(consent.id) == consent
    assert client.audio.voice_consents.update(consent.id, name="Bert").name == "Bert"
    newer = client.audio.voice_consents.create(name="New", language="de", recording=FILE)
    page = client.audio.voice_consents.list(limit=1)
    assert [one.id for one in page.data] == [newer.id] and page.has_next_page()
    assert consent.id in [one.id for one in client.audio.voice_consents.list(after=newer.id)]
    deleted = client.audio.voice_consents.delete(consent.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (consent.id, True, "audio.voice_consent")
    with pytest.raises(openai.NotFoundError) as gone:
        client.audio.voice_consents.retrieve(consent.id)
    assert gone.value.code == "consent_not_found"


@pytest.mark.parametrize(
    ("fields", "recording", "code", "param"),
    [
        ({"name": "Anna", "language": "English, please"}, CLIP, "invalid_value", "language"),
        ({"name": "Anna", "language": "en"}, b"no sound", "audio_undecodable", "recording"),
        ({"name": "A\x00", "language": "en"}, CLIP, "invalid_value", "name"),
        ({"name": "A\u202e", "language": "en"}, CLIP, "invalid_value", "name"),
        ({"language": "en"}, CLIP, "missing_required_parameter", "name"),
    ],
)
def test_what_is_wrong_with_a_consent_is_named(
    tiny_server: TinyServer, fields: Body, recording: bytes, code: str, param: str
) -> None:
    response = httpx.post(
        f"{tiny_server.url}/v1/audio/voice_consents", data=fields, files={"recording": ("a.mp3", recording)}
    )
    assert error_of(response) == (400, code, param)


def test_a_voice_of_a_description_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.voices.create(name="Anna", type="prompt", prompt="A low, warm voice.")
    assert (refused.value.code, refused.value.param) == ("unsupported", "prompt")


def test_one_key_keeps_so_many_voices_and_consents(tiny_model: Path, tmp_path: Path) -> None:
    """Kind: what anyone may add needs an end."""
    settings = Settings(model=str(tiny_model), device="cpu", data_dir=tmp_path, max_voices=1)
    with ready(settings) as server:
        sdk = OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        voice = sdk.audio.voices.create(name="Anna", audio_sample=FILE, consent="")
        sdk.audio.voice_consents.create(name="Anna", language="en", recording=FILE)
        for refuse in (
            lambda: sdk.audio.voices.create(name="Bert", audio_sample=FILE, consent=""),
            lambda: sdk.audio.voice_consents.create(name="Bert", language="en", recording=FILE),
        ):
            with pytest.raises(openai.BadRequestError) as full:
                refuse()
            assert full.value.code == "voices_full"
        sdk.audio.voices.delete(voice.id)
        assert sdk.audio.voices.create(name="Bert", audio_sample=FILE, consent="").name == "Bert"
