"""What the bundled language model keeps of a voice, by its codes."""

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoTokenizer

from higgs.codecs.base import load_codec
from higgs.codecs.vocoder.network import CODES, VOICE_BOOKS
from higgs.codecs.vocoder.speaker import RANGES
from higgs.engine.engine import Engine
from higgs.engine.sampler import SamplingOptions
from higgs.model.checkpoint import load_model
from higgs.prompts.v2 import PromptBuilder, Reference
from tests.live import BUNDLED_MODEL, ROOT

VOICES, FRAMES = 48, 12
LEVELS = range(10, 56)  # of the pitch code: 77 to 370 Hz


def test_any_voice_is_spoken_on_in_its_own_codes() -> None:
    if not (BUNDLED_MODEL / "model.safetensors").exists():
        pytest.skip(f"no bundled model at {BUNDLED_MODEL}")
    model = load_model(BUNDLED_MODEL, torch.device("cpu"), torch.float32)
    builder = PromptBuilder(AutoTokenizer.from_pretrained(BUNDLED_MODEL), model.config)
    recording = soundfile.read(ROOT / "test_audio.wav", dtype="float32")[0]
    codes = load_codec(str(BUNDLED_MODEL / "codec")).encode(recording[: 2 * 24_000])
    rng = np.random.default_rng(0)
    pitches = rng.choice(LEVELS, VOICES) * RANGES + rng.integers(RANGES, size=VOICES)
    voices = torch.from_numpy(np.stack([pitches, rng.integers(CODES, size=VOICES)], 1))
    engine = Engine(model, slots=8, capacity=512, queue_limit=VOICES)
    try:
        answers = []
        for seed, voice in enumerate(voices):
            reference = codes.clone()
            reference[VOICE_BOOKS] = voice[:, None]
            prompt = builder.speech("The weather is lovely today.", [Reference(reference)])
            answers.append(engine.submit(prompt, SamplingOptions(seed=seed), FRAMES + 8))
        nothing = torch.zeros(8, 0, dtype=torch.int64)
        spoken = [torch.cat([nothing, *answer], 1)[VOICE_BOOKS] for answer in answers]
    finally:
        engine.close()
    pairs = zip(spoken, voices, strict=True)
    kept = [said.shape[1] >= FRAMES and bool((said == voice[:, None]).all()) for said, voice in pairs]
    assert sum(kept) > 0.9 * VOICES, f"not kept: {voices[~torch.tensor(kept)].tolist()}"
