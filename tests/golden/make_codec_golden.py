"""Golden values of the published codec, recorded from boson-multimodal 0.1.1 in its own environment.

    sh tests/golden/reference_env.sh
    .reference-venv/bin/python -m tests.golden.make_codec_golden

writes codec_boson/ (config.json and model.pth, as boson writes them) and codec_boson.safetensors (a waveform,
its codes, what comes of decoding them, and the stages between) beside this file.
make_codec_golden_native.py goes on from there.
"""

import json
from pathlib import Path

import numpy as np
import torch
import torchaudio
from boson_multimodal.audio_processing.descriptaudiocodec.dac.model import dac
from boson_multimodal.audio_processing.higgs_audio_tokenizer import (
    HiggsAudioFeatureExtractor,
    HiggsAudioTokenizer,
)
from boson_multimodal.audio_processing.quantization.vq import ResidualVectorQuantizer
from boson_multimodal.audio_processing.semantic_module import Decoder, Encoder
from safetensors.torch import save_file
from torch import nn
from transformers import HubertConfig, HubertModel

HERE = Path(__file__).parent
CONFIG = {
    "n_filters": 32,
    "D": 16,
    "target_bandwidths": [0.5, 1, 1.5, 2],
    "ratios": [8, 5, 4, 2, 3],
    "sample_rate": 24000,
    "bins": 1024,
    "n_q": 8,
    "codebook_dim": 4,
    "normalize": False,
    "causal": False,
    "semantic_techer": "hubert_base_general",
    "last_layer_semantic": True,
    "merge_mode": "concat",
    "downsample_mode": "step_down",
    "semantic_mode": "classic",
    "vq_scale": 1,
    "semantic_sample_rate": 16000,
}
ENCODER_WIDTH, DECODER_WIDTH, SEMANTIC_WIDTH = 1, 32, 64
SECONDS = 2


class NarrowTokenizer(HiggsAudioTokenizer):
    """boson's class, parts and methods, but narrow: its constructor knows the published widths only."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        ratios, features = CONFIG["ratios"], CONFIG["D"] + SEMANTIC_WIDTH
        self.device, self.n_q, self.quantizer_type = "cpu", CONFIG["n_q"], "RVQ"
        self.sample_rate, self.semantic_sample_rate = CONFIG["sample_rate"], CONFIG["semantic_sample_rate"]
        self.frame_rate, self.semantic_downsample_factor = 25, 2
        self.semantic_techer, self.downsample_mode = CONFIG["semantic_techer"], CONFIG["downsample_mode"]
        self.encoder = dac.Encoder(ENCODER_WIDTH, ratios, CONFIG["D"])
        self.decoder_2 = dac.Decoder(CONFIG["D"], DECODER_WIDTH, ratios)
        self.semantic_model = HubertModel(hubert_config())
        self.encoder_semantic = Encoder(SEMANTIC_WIDTH, SEMANTIC_WIDTH)
        self.decoder_semantic = Decoder(SEMANTIC_WIDTH, SEMANTIC_WIDTH, SEMANTIC_WIDTH)
        self.quantizer = ResidualVectorQuantizer(
            dimension=features, codebook_dim=CONFIG["codebook_dim"], n_q=self.n_q, bins=CONFIG["bins"]
        )
        self.fc_prior = nn.Linear(features, features)
        self.fc_post1 = nn.Linear(features, SEMANTIC_WIDTH)
        self.fc_post2 = nn.Linear(features, CONFIG["D"])
        self.audio_tokenizer_feature_extractor = HiggsAudioFeatureExtractor(self.sample_rate)


def hubert_config() -> HubertConfig:
    """HuBERT-base, narrow: one head of its 64 dimensions."""
    return HubertConfig(
        hidden_size=SEMANTIC_WIDTH,
        num_attention_heads=1,
        num_hidden_layers=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=16,
    )


def randomize(model: nn.Module) -> None:
    """Random weights that keep a signal's size from layer to layer, so that all of it reaches the codes."""
    random = np.random.Generator(np.random.PCG64(0))
    tensors = model.state_dict()
    for name in sorted(tensors):
        tensor = tensors[name]
        noise = torch.from_numpy(random.standard_normal(tuple(tensor.shape)).astype(np.float32))
        if name.startswith(("decoder_semantic.", "fc_post1.")):
            tensor.zero_()  # only training uses them
        elif name.endswith("_codebook.embed"):
            layer = int(name.split(".")[3])
            tensor.copy_(noise * 0.7**layer)
        elif name.endswith(("weight_g", "original0")):
            tensor.copy_(0.4 + 0.1 * noise)
        elif name.endswith((".alpha", "layer_norm.weight")):
            tensor.copy_(1 + 0.1 * noise)
        elif tensor.dim() > 1:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
        elif not name.endswith((".inited", ".cluster_size")):
            tensor.copy_(0.1 * noise)
    for quantizer in model.quantizer.vq.layers:
        quantizer._codebook.inited.fill_(1)


def waveform() -> np.ndarray:
    """Two seconds (48000,): a buzz of gliding pitch whose loudness swells and falls, and some noise."""
    time = np.arange(SECONDS * CONFIG["sample_rate"]) / CONFIG["sample_rate"]
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(2 * np.pi * 0.7 * time)) / CONFIG["sample_rate"]
    buzz = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.sin(2 * np.pi * 1.5 * time) ** 2
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal(len(time))
    return (0.15 * buzz + 0.01 * noise).astype(np.float32)


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    model = NarrowTokenizer()
    randomize(model)
    model.eval()
    folder = HERE / "codec_boson"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", "utf-8")
    torch.save(model.state_dict(), folder / "model.pth")

    samples = waveform()
    batch = torch.from_numpy(samples)[None, None]
    codes = model.encode(samples, sr=CONFIG["sample_rate"])
    values = {
        "waveform": batch[0, 0],
        "resampled": torchaudio.functional.resample(batch[0, 0], 24000, 16000),
        "semantic": model.get_regress_target(batch)[0],
        "acoustic": model.encoder(batch)[0].T,
        "codes": codes,
        "decoded": torch.from_numpy(model.decode(codes[None]))[0, 0],
    }
    save_file({name: value.contiguous() for name, value in values.items()}, HERE / "codec_boson.safetensors")
    print({name: tuple(value.shape) for name, value in values.items()})
    print("distinct codes of each codebook:", [len(row.unique()) for row in codes])


if __name__ == "__main__":
    main()
