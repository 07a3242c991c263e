"""More recordings of a saved voice, alike on every database."""

from typing import Any

import numpy as np
import pytest

from errors import InvalidRequest, NotFound
from tests.voices.test_store import CODES, NUMBERS, profile
from voices.store.profiles import packed
from voices.store.tables import VoiceSample
from voices.store.voice_store import VoiceStore


def sample(voice_id: str, seconds: float = 5.0, **fields: Any) -> VoiceSample:
    number = next(NUMBERS)
    values = {"id": f"sample_{number}", "created_at": float(number), "transcript": "Words.", "codec": "one"}
    values |= {"voice_id": voice_id, "seconds": seconds, "flac": b"fLaC", "codes": packed(CODES)}
    return VoiceSample(**values | fields)


def test_more_recordings_come_and_go_with_their_voice(store: VoiceStore) -> None:
    kept = profile("Anna")
    store.keep(kept)
    first, second = sample(kept.id), sample(kept.id, flac=b"fLaC 2")
    for one in (first, second):
        store.samples.add("me", one)
    found = store.profiles.get("me", kept.id).samples
    assert [one.id for one in found] == [first.id, second.id]
    assert store.samples.recording(found[1]) == b"fLaC 2"
    np.testing.assert_array_equal(store.samples.codes(found[0]), CODES)
    store.samples.set_codes(found[0], CODES[:, :3], "two")
    assert store.samples.remove("me", kept.id, second.id).samples[0].codec == "two"
    for owner, sample_id in (("me", second.id), ("you", first.id)):
        with pytest.raises(NotFound):
            store.samples.remove(owner, kept.id, sample_id)
    store.delete("me", kept.id)
    with pytest.raises(NotFound):
        store.samples.recording(found[0])


def test_recordings_of_a_voice_are_bounded(store: VoiceStore) -> None:
    kept = profile("Anna")
    store.keep(kept)
    with pytest.raises(InvalidRequest, match="60 s"):
        store.samples.add("me", sample(kept.id, 57.5))
    for _ in range(2):
        store.samples.add("me", sample(kept.id))
    with pytest.raises(InvalidRequest) as full:
        store.samples.add("me", sample(kept.id))
    assert full.value.code == "voice_samples_full"
    assert len(store.profiles.get("me", kept.id).samples) == 2
    with pytest.raises(NotFound):
        store.samples.add("you", sample(kept.id))
