"""Which sampling a text gets: the request's options, else the model's; music and humming may repeat."""

import pytest

from errors import InvalidRequest
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import V2_SAMPLING
from synthesis.options import SpeechOptions


def test_a_request_outranks_the_model_s_defaults() -> None:
    assert SpeechOptions().sampling(V2_SAMPLING, "Hello.") == SamplingOptions(0.3, 50, 0.95, 7, 2)
    chosen = SpeechOptions(temperature=0.9, top_k=3, seed=4).sampling(V2_SAMPLING, "Hello.")
    assert chosen == SamplingOptions(0.9, 3, 0.95, 7, 2, seed=4)
    with pytest.raises(InvalidRequest):
        SpeechOptions(top_k=0).sampling(V2_SAMPLING, "Hello.")


@pytest.mark.parametrize(
    "text", ["<SE_s>[Music]</SE_s> la", "<SE_s>[Humming]</SE_s> mm", "[music start] la [music end]"]
)
def test_what_is_sung_or_played_may_repeat_itself(text: str) -> None:
    assert SpeechOptions().sampling(V2_SAMPLING, text).ras_window == 0
    assert SpeechOptions().sampling(V2_SAMPLING, "<SE>[Laughter]</SE> music").ras_window == 7
