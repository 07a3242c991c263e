"""boson's HiggsAudioServeEngine as a peer, in the environment of requirements-reference.lock.

    .reference-venv/bin/python -m bench.boson_worker FOLDER

FOLDER holds what bench/boson.py writes for it: case.json, weights.safetensors, prompt.safetensors and a
tokenizer. Having said "ready", it answers each line that holds a number of requests with the columns that it
has written for them, one request after the other, as it takes one at a time. Its codec is left out: nothing
is decoded.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import torch
from boson_multimodal.data_collator.higgs_audio_collator import HiggsAudioSampleCollator
from boson_multimodal.dataset.chatml_dataset import ChatMLDatasetSample
from boson_multimodal.model.higgs_audio import HiggsAudioConfig, HiggsAudioModel
from boson_multimodal.serve import serve_engine
from safetensors.torch import load_file
from tokenizers.decoders import Fuse

from higgs.model.config import HiggsConfig, RopeConfig

TEXT_HEAD = "audio_decoder_proj.text_lm_head.weight"


def boson_config(config: HiggsConfig, audio_in: int, audio_eos: int) -> HiggsAudioConfig:
    """The config in boson's layout; audio_in and audio_eos: the ids of `<|AUDIO|>` and `<|audio_eos|>`."""
    text = {
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.rms_norm_eps,
        "max_position_embeddings": config.max_positions,
        "rope_theta": config.rope.theta,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": config.rope.factor,
            "low_freq_factor": config.rope.low_freq_factor,
            "high_freq_factor": config.rope.high_freq_factor,
            "original_max_position_embeddings": config.rope.original_max_positions,
        },
        "pad_token_id": config.pad_token_id,
        "eos_token_id": config.eos_token_id,
    }
    return HiggsAudioConfig(
        text_config=text,
        audio_adapter_type="dual_ffn_fast_forward",
        audio_dual_ffn_layers=list(range(config.layers)),
        encode_whisper_embed=False,
        encode_audio_in_tokens=True,
        use_delay_pattern=True,
        skip_audio_tower=True,
        audio_num_codebooks=config.num_codebooks,
        audio_codebook_size=config.codebook_size - 2,
        audio_in_token_idx=audio_in,
        audio_out_token_idx=config.audio_token_id,
        audio_out_bos_token_id=config.audio_bos_token_id,
        audio_eos_token_id=audio_eos,
        pad_token_id=config.pad_token_id,
        attn_implementation="sdpa",
    )


def boson_name(name: str) -> str:
    """The name in boson's layout of a tensor of the native one."""
    if name.startswith("audio_lm_head."):
        return f"audio_decoder_proj.{name}"
    name = name.removeprefix("model.")
    return name.replace("embed_audio_tokens.embed_audio_tokens.", "audio_codebook_embeddings.")


def boson_model(config: HiggsAudioConfig, weights: dict[str, torch.Tensor]) -> HiggsAudioModel:
    """boson's model with weights in the native layout; it has a text head beside them."""
    model = HiggsAudioModel(config)
    result = model.load_state_dict({boson_name(name): part for name, part in weights.items()}, strict=False)
    assert not result.unexpected_keys, result
    assert result.missing_keys == [TEXT_HEAD], result
    return model.eval()


def collate(config: HiggsAudioConfig, ids: list[int], codes: list[torch.Tensor]) -> dict:
    """The inputs of boson's model, as its examples make them."""
    collator = HiggsAudioSampleCollator(
        whisper_processor=None,
        audio_in_token_id=config.audio_in_token_idx,
        audio_out_token_id=config.audio_out_token_idx,
        audio_stream_bos_id=config.audio_stream_bos_id,
        audio_stream_eos_id=config.audio_stream_eos_id,
        encode_whisper_embed=False,
        pad_token_id=config.pad_token_id,
        return_audio_in_tokens=True,
        use_delay_pattern=True,
        round_to=1,
        audio_num_codebooks=config.audio_num_codebooks,
    )
    starts = [0]
    for one in codes[:-1]:
        starts.append(starts[-1] + one.shape[1])
    sample = ChatMLDatasetSample(
        input_ids=torch.tensor(ids),
        label_ids=None,
        audio_ids_concat=torch.cat(codes, dim=1) if codes else None,
        audio_ids_start=torch.tensor(starts) if codes else None,
        audio_waveforms_concat=None,
        audio_waveforms_start=None,
        audio_sample_rate=None,
        audio_speaker_indices=None,
    )
    batch = asdict(collator([sample]))
    return {name: batch[name] for name in batch if not name.startswith(("label", "reward"))}


def engine_of(folder: Path, config: HiggsAudioConfig, device: str) -> serve_engine.HiggsAudioServeEngine:
    """boson's engine around the weights of a folder, loaded as it loads a checkpoint."""
    weights = load_file(folder / "weights.safetensors")
    serve_engine.load_higgs_audio_tokenizer = lambda *_, **__: SimpleNamespace(tps=25, sampling_rate=24_000)
    with tempfile.TemporaryDirectory() as checkpoint:
        dtype = next(iter(weights.values())).dtype
        boson_model(config, weights).to(dtype).save_pretrained(checkpoint)
        engine = serve_engine.HiggsAudioServeEngine(checkpoint, "", str(folder), device, dtype)
    # The search for stop strings needs what joins tokens to text.
    engine.tokenizer.backend_tokenizer.decoder = Fuse()
    return engine


def main() -> None:
    folder = Path(sys.argv[1])
    case = json.loads((folder / "case.json").read_text())
    torch.set_num_threads(case["threads"])
    config = HiggsConfig(**(case["config"] | {"rope": RopeConfig(**case["config"]["rope"])}))
    # The marks of both vocabularies, the published and the bundled one, stand in this order.
    config_there = boson_config(config, config.audio_token_id - 1, config.audio_bos_token_id - 1)
    engine = engine_of(folder, config_there, case["device"])
    prompt = load_file(folder / "prompt.safetensors")
    inputs = collate(engine.model.config, prompt["ids"].tolist(), [prompt["codes"]])
    inputs = {n: p.to(case["device"]) if isinstance(p, torch.Tensor) else p for n, p in inputs.items()}
    engine.model.config.audio_stream_eos_id = config.eos_code
    print("ready", flush=True)
    for line in sys.stdin:
        written = 0
        for seed in range(int(line)):
            engine._prepare_kv_caches()
            with torch.no_grad():
                _, audio = engine.model.generate(
                    **inputs,
                    **case["sampling"],
                    max_new_tokens=case["columns"],
                    do_sample=True,
                    use_cache=True,
                    past_key_values_buckets=engine.kv_caches,
                    tokenizer=engine.tokenizer,
                    stop_strings=["<|end_of_text|>", "<|eot_id|>"],
                    seed=seed,
                )
            written += audio[0].shape[1]
        print(written, flush=True)


if __name__ == "__main__":
    main()
