"""Sampling, in both its forms: filters as transformers' are, draws by the distribution, a seed repeats."""

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from errors import InvalidRequest
from higgs.cpu.sampler import CompiledSampler
from higgs.engine.sampler import MAX_WINDOW, Sampler, SamplingOptions, inverse_cdf
from tests.tiny import CONFIG

DRAWS, STREAMS = 4000, 40


@pytest.fixture(params=[Sampler, CompiledSampler], autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Sampler]:
    """Each test runs for torch's operations and for the compiled ones."""
    monkeypatch.setattr(OneStream, "kind", request.param)
    return request.param


class OneStream:
    """A sampler of one stream, which remembers its columns as the decoder does."""

    kind = Sampler

    def __init__(self, options: SamplingOptions, seed: int = 0, columns: int = DRAWS) -> None:
        self.sampler = self.kind(CONFIG, columns)
        self.sampler.start(0, options, seed, columns)
        self.recent = torch.full((1, MAX_WINDOW, 8), -1)

    def draw(self, logits: torch.Tensor, column: int) -> torch.Tensor:
        return self.sampler.draw(logits, torch.tensor([column]), self.recent)

    def remember(self, codes: torch.Tensor) -> None:
        self.recent = torch.cat((self.recent[:, 1:], codes[:, None]), dim=1)


def some_logits(seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(1, 8, 1026, generator=torch.Generator().manual_seed(seed))


def theirs(logits: torch.Tensor, options: SamplingOptions) -> torch.Tensor:
    """Transformers' distribution [8, 1026]."""
    scores = TemperatureLogitsWarper(options.temperature)(None, logits[0])
    if options.top_k:
        scores = TopKLogitsWarper(options.top_k)(None, scores)
    return TopPLogitsWarper(options.top_p)(None, scores).softmax(-1)


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(ras_window=0),
        SamplingOptions(temperature=0.3, top_k=None, top_p=0.9, ras_window=0),
        SamplingOptions(temperature=1.5, top_k=5, top_p=1.0, ras_window=0),
    ],
)
def test_draws_follow_the_distribution_of_transformers(options: SamplingOptions, kind: type[Sampler]) -> None:
    logits = some_logits()
    sampler, columns = kind(CONFIG, DRAWS // STREAMS, STREAMS), DRAWS // STREAMS
    for seed in range(STREAMS):
        sampler.start(seed, options, seed, columns)
    batch, recent = logits.repeat(STREAMS, 1, 1), torch.full((STREAMS, MAX_WINDOW, 8), -1)
    draws = torch.cat(
        [sampler.draw(batch, torch.full((STREAMS,), column), recent) for column in range(columns)]
    )
    assert len(draws) == DRAWS
    expected = theirs(logits, options)
    for book in range(8):
        frequency = torch.bincount(draws[:, book], minlength=1026) / DRAWS
        assert frequency[expected[book] == 0].sum() == 0
        assert (frequency - expected[book]).abs().max() < 5 * (0.25 / DRAWS) ** 0.5


def test_temperature_zero_takes_the_likeliest() -> None:
    logits = some_logits()
    assert torch.equal(OneStream(SamplingOptions(temperature=0)).draw(logits, 0), logits.argmax(-1))


@pytest.mark.parametrize("temperature", [1e-39, 1e-20, 9e-6])
def test_a_temperature_that_float32_can_t_divide_by_is_zero(temperature: float) -> None:
    """Logits over 1e-39 are infinite, their softmax NaN, and NaN's place in it lies beyond the last code."""
    logits = 100 * some_logits()
    options = SamplingOptions(temperature=temperature, top_k=None, top_p=1.0)
    assert torch.equal(OneStream(options).draw(logits, 0), logits.argmax(-1))


def test_a_top_p_that_float32_can_t_hold_takes_the_likeliest() -> None:
    logits = some_logits()
    assert torch.equal(OneStream(SamplingOptions(top_p=1e-50)).draw(logits, 0), logits.argmax(-1))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_logits_that_are_no_numbers_give_codes_that_are(broken: float) -> None:
    """On CUDA an index beyond the codebook fails an assertion, and with it every request from then on."""
    logits = some_logits()
    logits[:, ::2] = broken
    for options in (SamplingOptions(), SamplingOptions(top_k=None), SamplingOptions(temperature=0)):
        codes = OneStream(options).draw(logits, 0)
        assert codes.min() >= 0 and codes.max() < CONFIG.codebook_size


def test_a_seed_repeats_its_codes_and_another_does_not() -> None:
    def codes(seed: int) -> list[list[int]]:
        draw = OneStream(SamplingOptions(), seed, 20)
        return [draw.draw(some_logits(column), column)[0].tolist() for column in range(20)]

    assert codes(5) == codes(5)
    assert codes(5) != codes(6)


def test_a_bound_on_the_columns_does_not_change_the_codes() -> None:
    short, long = OneStream(SamplingOptions(), 1, 10), OneStream(SamplingOptions(), 1, 1000)
    for column in range(10):
        assert torch.equal(short.draw(some_logits(column), column), long.draw(some_logits(column), column))


def test_a_repeated_code_is_drawn_again_from_the_plain_distribution() -> None:
    """All but the likeliest code are cut by top_k, so that any other code must be a second draw."""
    logits = some_logits()
    best = logits.argmax(-1)
    repetitive = OneStream(SamplingOptions(top_k=1, ras_repeats=2))
    for column in range(2):
        assert torch.equal(repetitive.draw(logits, column), best)
        repetitive.remember(best)
    other = [repetitive.draw(logits, column) != best for column in range(2, 200)]
    expected = 1 - logits.softmax(-1).gather(-1, best[..., None]).mean()
    assert abs(torch.cat(other).float().mean() - expected) < 0.05


def test_repetitions_are_forgotten_after_the_window() -> None:
    logits = some_logits()
    best = logits.argmax(-1)
    windowed = OneStream(SamplingOptions(top_k=1, ras_window=3))
    for codes in (best, best, best * 0, best * 0):
        windowed.remember(codes)
    assert torch.equal(windowed.draw(logits, 4), best)


def test_marks_do_not_count_as_repetitions() -> None:
    logits = torch.zeros(1, 8, 1026)
    logits[..., CONFIG.eos_code] = 5.0
    marks = torch.full((1, 8), CONFIG.eos_code)
    ending = OneStream(SamplingOptions(top_k=1))
    for _ in range(7):
        ending.remember(marks)
    assert torch.equal(ending.draw(logits, 7), marks)


def test_streams_of_a_batch_draw_what_each_draws_alone(kind: type[Sampler]) -> None:
    """Whatever the options of the others: here one of them sorts all codes, and one takes another's place."""
    options = [
        SamplingOptions(),
        SamplingOptions(top_k=5, top_p=0.9, temperature=0.3),
        SamplingOptions(top_k=None, ras_window=0),
        SamplingOptions(temperature=0),
    ]
    alone = [OneStream(option, seed, 30) for seed, option in enumerate(options)]
    batch = kind(CONFIG, 30, len(options))
    for seed, option in enumerate(options):
        batch.start(seed, option, seed, 30)
    recent = torch.full((len(options), MAX_WINDOW, 8), -1)
    streams = [0, 1, 2, 3]
    for column in range(30):
        if column == 15:
            batch.move(3, 1)
            streams = [0, 3, 2]
            recent = torch.cat([alone[stream].recent for stream in streams])
        logits = torch.cat([some_logits(100 * column + stream) for stream in streams])
        columns = torch.full((len(streams),), column)
        codes = batch.draw(logits, columns, recent)
        recent = torch.cat((recent[:, 1:], codes[:, None]), dim=1)
        for row, stream in enumerate(streams):
            own = alone[stream].draw(logits[row : row + 1], column)
            alone[stream].remember(own)
            assert torch.equal(codes[row], own[0])


def test_both_forms_draw_the_same_codes() -> None:
    options = [
        SamplingOptions(),
        SamplingOptions(0.3, None, 0.9),
        SamplingOptions(1.5, 5, 1.0),
        SamplingOptions(0),
    ]
    batches = [Sampler(CONFIG, 50, len(options)), CompiledSampler(CONFIG, 50, len(options))]
    for batch in batches:
        for seed, option in enumerate(options):
            batch.start(seed, option, seed, 50)
    generator = torch.Generator().manual_seed(1)
    for column in range(50):
        logits = 3 * torch.randn(len(options), 8, 1026, generator=generator)
        if column % 2:
            logits = logits.bfloat16().float()  # many are equal
        recent = torch.randint(0, 1024, (len(options), MAX_WINDOW, 8), generator=generator)
        recent[:, -3:] = logits.argmax(-1)[:, None]
        columns = torch.full((len(options),), column)
        one, other = (batch.draw(logits, columns, recent) for batch in batches)
        assert torch.equal(one, other)


def test_the_inverse_takes_no_index_without_weight() -> None:
    weights = torch.tensor([[0.0, 0.3, 0.4, 0.0]])
    just_below_one = 1 - 2.0**-24
    for number, index in [(0.0, 1), (0.2, 1), (0.5, 2), (just_below_one, 2)]:
        assert inverse_cdf(weights, torch.tensor([[number]])).item() == index


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": 0},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"ras_window": -1},
        {"ras_window": MAX_WINDOW + 1},
        {"ras_repeats": 0},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_options_out_of_range_are_refused_by_name(wrong: dict) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        SamplingOptions(**wrong)
    assert refusal.value.param == next(iter(wrong))
