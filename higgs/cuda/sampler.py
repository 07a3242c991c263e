"""ColumnWriter on a GPU: two kernels for what torch launches some fifty for."""

import torch

from higgs.cuda.fallback import kernels_or
from higgs.devices import upload
from higgs.engine.column_writer import ColumnWriter
from higgs.engine.cuda_graphs import share_equal
from higgs.engine.sampler import SamplingOptions
from higgs.model.config import HiggsConfig

STEPS = 24  # of the check
OPTIONS = (  # of its streams
    SamplingOptions(),
    SamplingOptions(temperature=0.3, top_k=None, top_p=0.8),
    SamplingOptions(temperature=1.5, top_k=65, top_p=1.0, ras_window=0),
    SamplingOptions(top_k=None, top_p=1.0, ras_repeats=1),
    SamplingOptions(temperature=0),
)
MIN_EQUAL = 0.99  # of the check's codes: a random number on the edge of two may select the other


class KernelColumnWriter(ColumnWriter):
    """A ColumnWriter of two kernels."""

    def write(self, logits: torch.Tensor) -> torch.Tensor:
        """See ColumnWriter."""
        from higgs.cuda import sampling  # needs Triton, which comes with torch's CUDA build only

        draws, rule = self.sampler, self.rule
        options = (draws.temperature, draws.top_k, draws.top_p, draws.repeats, draws.window, draws.uniform)
        marks = rule.bos_code, rule.eos_code, rule.marks
        codes = sampling.sample(logits, self.column, self.recent, rule.min_frames, *options, *marks)
        state = self.recent, self.position, self.column, rule.end
        return sampling.append_column(codes, *state, self.speaking, self._last, *marks)


def column_writer_on_gpu(config: HiggsConfig, device: torch.device) -> type[ColumnWriter]:
    """Return KernelColumnWriter if its kernels work here, else ColumnWriter; the log says why."""
    return kernels_or(
        ColumnWriter,
        lambda: KernelColumnWriter,
        lambda equal: equal >= MIN_EQUAL,
        lambda _: share_equal_to_torch(config, device),
        "the sampler's kernels can't be used, so generation is slower: %s",
        "the sampler's kernels give other codes (%.2f equal) and stay unused; generation is slower",
    )


@torch.inference_mode()
def share_equal_to_torch(config: HiggsConfig, device: torch.device) -> float:
    """Return the share of equal codes of both writers, of a few steps of streams with OPTIONS."""
    generator, streams = torch.Generator().manual_seed(0), len(OPTIONS)
    written = []
    writers = [kind(config, streams, 2 * STEPS, device) for kind in (ColumnWriter, KernelColumnWriter)]
    for writer in writers:
        for row, options in enumerate(OPTIONS):
            writer.start(row, row, options, row, STEPS, min_frames=row)
    for _ in range(STEPS):
        shape = streams, config.num_codebooks, config.codebook_size
        logits = upload(3 * torch.randn(shape, generator=generator), device)
        written.append(torch.stack([writer.write(logits.clone()) for writer in writers]))
    exact, ours = torch.stack(written, dim=1)
    return share_equal(ours, exact)
