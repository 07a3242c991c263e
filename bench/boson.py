"""boson's engine as a peer of bench.peers, in a process of its own: its packages fight with the server's."""

import json
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from bench.subject import some_codes
from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt
from train.tokenizer import build_tokenizer, save_tokenizer

PYTHON = Path(__file__).parent.parent / ".reference-venv" / "bin" / "python"


class BosonRun:
    """Streams → columns written, by bench.boson_worker with the same weights, prompt and options."""

    def __init__(self, model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int) -> None:
        weight, config = model.audio_lm_head.weight, model.config
        # A recording stands as one token in its ids, and beside them in codes.
        first = int(prompt.audio_mask.nonzero()[0])
        kept = ~prompt.audio_mask
        kept[first] = True
        case = {
            "config": asdict(config),
            "columns": columns,
            "device": weight.device.type,
            "threads": torch.get_num_threads(),
            "sampling": {
                "temperature": options.temperature,
                "top_k": options.top_k,
                "top_p": options.top_p,
                "ras_win_len": options.ras_window or None,
                "ras_win_max_num_repeat": options.ras_repeats,
            },
        }
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "case.json").write_text(json.dumps(case))
            weights = {name: part.cpu().contiguous() for name, part in model.state_dict().items()}
            save_file(weights, folder / "weights.safetensors")
            save_file({"ids": prompt.input_ids[kept], "codes": some_codes()}, folder / "prompt.safetensors")
            save_tokenizer(build_tokenizer(), folder)
            self._worker = subprocess.Popen(
                [PYTHON, "-m", "bench.boson_worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=PYTHON.parents[2],
            )
            self._told("ready")

    def _told(self, wanted: str = "") -> str:
        """The worker's next line that is a number or as wanted; boson's own packages print beside it."""
        assert self._worker.stdout is not None
        for line in self._worker.stdout:
            if line.strip() == wanted or (not wanted and line.strip().isdigit()):
                return line.strip()
        raise RuntimeError("boson's engine has ended; what it printed stands above")

    def __call__(self, streams: int) -> int:
        assert self._worker.stdin is not None
        self._worker.stdin.write(f"{streams}\n")
        self._worker.stdin.flush()
        return int(self._told())

    def close(self) -> None:
        self._worker.terminate()
        self._worker.wait()
