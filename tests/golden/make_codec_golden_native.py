"""Golden values of the published codec, recorded from transformers' own class.

    PYTHONPATH=.reference-venv/torchaudio-only .venv/bin/python -m tests.golden.make_codec_golden_native

reads what make_codec_golden.py wrote; writes codec_native/, the same codec as transformers saves it, and
codec_native.safetensors (codes of the same waveform, and what comes of decoding them).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import HiggsAudioV2TokenizerConfig, HiggsAudioV2TokenizerModel

from higgs.codecs.higgs_v2.checkpoint import read_native

HERE = Path(__file__).parent


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    config, tensors = read_native(HERE / "codec_boson")
    model = HiggsAudioV2TokenizerModel(
        HiggsAudioV2TokenizerConfig(**config, target_bandwidths=[0.5, 1, 1.5, 2])
    ).eval()
    convolution = model.semantic_model.encoder.pos_conv_embed.conv
    convolution.weight = tensors.pop("semantic_model.encoder.pos_conv_embed.conv.weight")
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert not unexpected
    for name in missing:  # what only training uses
        if name.startswith(("decoder_semantic.", "fc1.")):
            model.get_parameter(name).zero_()
    model.save_pretrained(HERE / "codec_native")

    boson = load_file(HERE / "codec_boson.safetensors")
    codes = model.encode(boson["waveform"][None, None]).audio_codes
    decoded = model.decode(codes).audio_values
    save_file({"codes": codes[0].contiguous(), "decoded": decoded[0, 0]}, HERE / "codec_native.safetensors")
    print("codes equal to boson's:", torch.equal(codes[0], boson["codes"]))
    print("decoded differs by", (decoded[0, 0] - boson["decoded"]).abs().max().item())


if __name__ == "__main__":
    main()
