"""The sampler's kernels choose what torch's operations do: on a GPU, or in Triton's interpreter on a CPU.

Covers: options of any size beside each other in one launch, logits of any kind, streams whose logits aren't
numbers, the bars and the delay rule of v2 and v3, and the fallback where the kernels don't work.
"""

import os
from dataclasses import replace

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from higgs.engine.column_writer import ColumnWriter
from higgs.engine.sampler import MAX_WINDOW, SamplingOptions
from higgs.model.config import HiggsConfig
from higgs.model.delay import DelayRule
from tests.tiny import CONFIG

pytest.importorskip("triton")
from higgs.cuda import sampler, sampling
from higgs.cuda.sampler import KernelColumnWriter, column_writer_on_gpu

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
pytestmark = pytest.mark.skipif(
    DEVICE.type == "cpu" and not INTERPRETED, reason="needs a GPU or TRITON_INTERPRET=1"
)
BOOKS = 2  # the interpreter takes 75 ms for each
V2 = replace(CONFIG, num_codebooks=BOOKS)
V3 = replace(V2, generation=3)
SIZE = CONFIG.codebook_size

OPTIONS = st.builds(
    SamplingOptions,
    temperature=st.sampled_from([0.0, 1e-39, 1.1e-5, 0.3, 1.0, 10.0]),
    top_k=st.sampled_from([1, 2, 64, 65, SIZE - 1, SIZE, 10**9, None]),
    # Not shares that so many equal codes have exactly: rounding decides there.
    top_p=st.sampled_from([1e-50, 1e-9, 0.3337, 0.9501, 1.0]),
    ras_window=st.sampled_from([0, 7, MAX_WINDOW]),
    ras_repeats=st.sampled_from([1, 2, MAX_WINDOW + 1]),
)
LOGITS = {
    "plain": lambda noise: noise,
    "flat": lambda noise: noise / 100,
    "steep": lambda noise: 30 * noise,
    "of bfloat16": lambda noise: noise.bfloat16().float(),
    "ties": lambda noise: noise.round(),
    "zeros of both signs": lambda noise: noise * 0.0,
    "few": lambda noise: noise.masked_fill(noise < 2.5, -torch.inf),
    "one": lambda noise: noise.masked_fill(noise < noise.amax(-1, keepdim=True), -torch.inf),
}
POISON = {
    "NaN": lambda noise: noise * torch.nan,
    "some NaN": lambda noise: noise.masked_fill(noise > 1, torch.nan),
    "inf": lambda noise: noise.masked_fill(noise > 1, torch.inf),
    "-inf": lambda noise: noise.masked_fill(noise < 9, -torch.inf),
}
STREAM = st.tuples(OPTIONS, st.sampled_from(list(LOGITS)), st.integers(0, 2**32))


def writers_of(config: HiggsConfig, options: list[SamplingOptions]) -> tuple[ColumnWriter, ColumnWriter]:
    """torch's on the CPU, and the kernels', with the same streams, in the midst of their speech."""
    writers = ColumnWriter(config, len(options), 40), KernelColumnWriter(config, len(options), 40, DEVICE)
    for row, choice in enumerate(options):
        recent = torch.randint(0, 1024, (MAX_WINDOW, BOOKS), generator=torch.Generator().manual_seed(row))
        for writer in writers:
            writer.start(row, row, choice, seed=row, max_steps=40, min_frames=15 * (row % 2))
            writer.recent[row] = recent.to(writer.recent.device)
            writer.column[row] = 9 + row
    return writers


def noise(seed: int) -> torch.Tensor:
    return 2 * torch.randn(BOOKS, SIZE, generator=torch.Generator().manual_seed(seed))


def repeat_likely_codes(writers: tuple[ColumnWriter, ...], logits: torch.Tensor) -> None:
    """Let repetition-aware sampling find what it looks for."""
    for back, code in enumerate(logits.nan_to_num().topk(3).indices.unbind(-1)):
        for writer in writers:
            writer.recent[:, 2 + back :: 7] = code[:, None].to(writer.recent.device)


def drawn(writer: ColumnWriter, logits: torch.Tensor) -> torch.Tensor:
    """The newest codes [n, BOOKS]; the delay rule leaves them as they are sampled."""
    writer.write(logits.clone().to(writer.recent.device))
    return writer.recent[:, -1].cpu()


# No shrinking, which takes minutes in the interpreter.
@settings(max_examples=8, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(streams=st.lists(STREAM, min_size=4, max_size=5), v3=st.booleans())
def test_any_options_and_logits_beside_each_other_are_sampled_as_by_torch(
    streams: list[tuple[SamplingOptions, str, int]], v3: bool
) -> None:
    writers = writers_of(V3 if v3 else V2, [options for options, _, _ in streams])
    logits = torch.stack([LOGITS[kind](noise(seed)) for _, kind, seed in streams])
    repeat_likely_codes(writers, logits)
    exact, ours = (drawn(writer, logits) for writer in writers)
    assert torch.equal(ours, exact)


@pytest.mark.parametrize("kind", list(POISON))
def test_logits_that_are_no_numbers_cost_nobody_else(kind: str) -> None:
    options = [SamplingOptions(), SamplingOptions(top_k=None, top_p=1.0), SamplingOptions(temperature=0)]
    logits = torch.stack([noise(row) for row in range(3)])
    exact = drawn(writers_of(V2, options)[0], logits)
    for poisoned in (0, 1):
        broken = logits.clone()
        broken[poisoned] = POISON[kind](logits[poisoned])
        codes = drawn(writers_of(V2, options)[1], broken)
        assert codes[poisoned].min() >= 0 and codes[poisoned].max() < SIZE
        others = [row for row in range(3) if row != poisoned]
        assert torch.equal(codes[others], exact[others])


@pytest.mark.parametrize("config", [V2, V3], ids=["v2", "v3"])
def test_columns_are_appended_as_by_torch(config: HiggsConfig) -> None:
    """Streams at their beginning, middle and end, and rows in which nobody speaks."""
    rows = 12
    generator = torch.Generator().manual_seed(1)
    eager, ours = writers_of(config, [SamplingOptions()] * rows)
    for writer in (eager, ours):
        writer.column.copy_(torch.arange(rows))
        writer.rule.end[4:8] = torch.tensor([3, 4, 5, 6])
        writer.position[8:] = torch.tensor([38, 39, 0, 7])
        writer.column[8:10] = 39
        writer.stop(10)
    for step in range(4):
        codes = torch.randint(0, 1024, (rows, BOOKS), generator=generator)
        codes[step::3] = config.eos_code
        codes[(step + 1) % rows, 1] = config.bos_code
        eager.sampler.draw = lambda logits, *rest, codes=codes: codes  # type: ignore[method-assign]
        expected = eager.write(torch.zeros(rows, BOOKS, SIZE))
        state = ours.recent, ours.position, ours.column, ours.rule.end
        marks = config.bos_code, config.eos_code, config.mark_frames
        found = sampling.append_column(codes.to(DEVICE), *state, ours.speaking, 39, *marks)
        assert torch.equal(found.cpu(), expected)
        for one, other in zip(eager.changing, ours.changing, strict=True):
            assert torch.equal(one, other.cpu())
    assert (expected[:, -1] < DelayRule.OPEN).any() and (expected[:, -1] == DelayRule.OPEN).any()


def test_the_kernels_serve_where_they_sample_as_torch_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sampler, "STEPS", 2)
    assert column_writer_on_gpu(V2, DEVICE) is KernelColumnWriter
    monkeypatch.setattr(sampling, "sample", lambda logits, *rest: logits.argmin(-1))
    assert column_writer_on_gpu(V2, DEVICE) is ColumnWriter
    assert "give other codes" in caplog.text
    monkeypatch.delattr(sampling, "sample")
    assert column_writer_on_gpu(V2, DEVICE) is ColumnWriter
    assert "can't be used" in caplog.text
