"""Golden values of the language model, recorded from boson-multimodal 0.1.1 in its own environment.

    sh tests/golden/reference_env.sh
    .reference-venv/bin/python -m tests.golden.make_lm_golden

writes lm_boson.safetensors (prompts, logits, greedy columns, ends of streams) and lm_boson_config.json beside
this file. The weights are those of tests/tiny.py.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import torch
from boson_multimodal.data_collator.higgs_audio_collator import HiggsAudioSampleCollator
from boson_multimodal.data_types import AudioContent, ChatMLSample, Message, TextContent
from boson_multimodal.dataset.chatml_dataset import ChatMLDatasetSample, prepare_chatml_sample
from boson_multimodal.model.higgs_audio import HiggsAudioConfig, HiggsAudioModel
from boson_multimodal.model.higgs_audio.utils import revert_delay_pattern
from safetensors.torch import save_file
from transformers import AutoTokenizer, LogitsProcessorList

from tests import tiny
from tests.golden import lm_cases as cases

HERE = Path(__file__).parent
AUDIO = AudioContent(audio_url="")


def boson_config() -> HiggsAudioConfig:
    config = tiny.CONFIG
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
        audio_in_token_idx=tiny.token_id("<|AUDIO|>"),
        audio_out_token_idx=config.audio_token_id,
        audio_out_bos_token_id=config.audio_bos_token_id,
        audio_eos_token_id=tiny.token_id("<|audio_eos|>"),
        pad_token_id=config.pad_token_id,
        attn_implementation="sdpa",
    )


def boson_name(name: str) -> str:
    """The name in boson's layout of a tensor of the native one."""
    if name.startswith("audio_lm_head."):
        return f"audio_decoder_proj.{name}"
    name = name.removeprefix("model.")
    return name.replace("embed_audio_tokens.embed_audio_tokens.", "audio_codebook_embeddings.")


def boson_model() -> HiggsAudioModel:
    model = HiggsAudioModel(boson_config())
    weights = {boson_name(name): tensor for name, tensor in tiny.random_weights(tiny.CONFIG).items()}
    result = model.load_state_dict(weights, strict=False)
    assert not result.unexpected_keys, result
    assert result.missing_keys == ["audio_decoder_proj.text_lm_head.weight"], result
    return model.eval()


def conversations() -> dict[str, tuple[list[Message], list[torch.Tensor]]]:
    """Messages as boson's examples/generation.py writes them, and the codes of their audio."""
    instruction = "Generate audio following instruction."
    scene = f"{instruction}\n\n<|scene_desc_start|>\n{cases.SCENE}"
    plain = Message("system", f"{scene}\n<|scene_desc_end|>")
    first, second = cases.FIRST_CODES, cases.SECOND_CODES
    one_heard = [TextContent(f"{scene}\n\nSPEAKER0: "), AUDIO, TextContent("\n<|scene_desc_end|>")]
    two_heard = [*one_heard[:2], TextContent("\nSPEAKER1: "), AUDIO, TextContent("\n<|scene_desc_end|>")]
    text, dialogue = Message("user", cases.TEXT), Message("user", cases.DIALOGUE)

    def spoken(transcript: str) -> list[Message]:
        return [Message("user", transcript), Message("assistant", AUDIO)]

    tagged = [f"[SPEAKER0] {cases.FIRST_TRANSCRIPT}", f"[SPEAKER1] {cases.SECOND_TRANSCRIPT}"]
    free = [
        Message("user", [TextContent("Listen: "), AUDIO]),
        Message("assistant", "I do.", recipient="all"),
        Message("assistant", [TextContent("So: "), AUDIO]),
        text,
    ]
    return {
        "no_reference": ([plain, text], []),
        "no_scene": ([Message("system", instruction), text], []),
        "transcript": ([plain, *spoken(cases.FIRST_TRANSCRIPT), text], [first]),
        "heard": ([Message("system", one_heard), text], [first]),
        "two_heard": ([Message("system", two_heard), dialogue], [first, second]),
        "two_transcripts": ([plain, *spoken(tagged[0]), *spoken(tagged[1]), dialogue], [first, second]),
        "free": (free, [first, second]),
    }


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


@torch.inference_mode()
def record_prompts(model: HiggsAudioModel, tokenizer: AutoTokenizer, golden: dict) -> dict[str, dict]:
    inputs = {}
    for name, (messages, codes) in conversations().items():
        ids, _, _, _ = prepare_chatml_sample(ChatMLSample(messages=messages), tokenizer)
        ids += tokenizer.encode(
            "<|start_header_id|>assistant<|end_header_id|>\n\n<|audio_out_bos|>", add_special_tokens=False
        )
        batch = inputs[name] = collate(model.config, ids, codes)
        group = batch.pop("audio_out_ids_start_group_loc")
        output = model(**batch, audio_out_ids_start_group_loc=group, use_cache=True)
        columns = torch.zeros(output.expanded_input_ids.shape[1], 8, dtype=torch.int64)
        columns[output.audio_in_discrete_codes_mask[0]] = batch["audio_in_ids"].T.reshape(-1, 8)
        columns[output.audio_out_mask[0]] = batch["audio_out_ids"].T.reshape(-1, 8)
        golden[f"prompt.{name}.input_ids"] = output.expanded_input_ids[0].clone()
        golden[f"prompt.{name}.columns"] = columns
    return inputs


@torch.inference_mode()
def record_generation(model: HiggsAudioModel, batch: dict, golden: dict) -> None:
    """Logits at some audio positions of the clone prompt, and greedy columns after it."""
    output = model(**batch, use_cache=True)
    golden["logits"] = output.audio_logits[list(cases.LOGIT_POSITIONS)].clone()
    _, audio = model.generate(
        **batch, max_new_tokens=cases.GREEDY_COLUMNS, do_sample=False, use_cache=True, ras_win_len=None
    )
    golden["greedy"] = audio[0].T.contiguous()


def record_ends(model: HiggsAudioModel, golden: dict) -> None:
    """How boson's sampling ends streams of scripted codes, and the frames its engine makes of them."""
    generation = SimpleNamespace(generation_kwargs={"audio_eos_token_id": tiny.token_id("<|audio_eos|>")})
    for case, script in enumerate(cases.scripts()):
        columns = torch.full((8, 1), 1024)
        num_delay, remaining = 0, None
        for codes in script:
            logits = torch.nn.functional.one_hot(codes, 1026).float()[None]
            token, column, _, _, num_delay, remaining = model._sample_audio_tokens(
                hidden_states=None,
                audio_logits=logits,
                audio_out_ids=columns,
                do_sample=False,
                logits_processor=LogitsProcessorList(),
                device=torch.device("cpu"),
                torch_generator=None,
                generation_config=generation,
                num_delay=num_delay,
                num_remaining_delays=remaining,
            )
            columns = torch.cat([columns, column[:, None]], dim=1)
            if token[0] != model.config.audio_out_token_idx:
                frames = revert_delay_pattern(columns).clip(0, 1023)[:, 1:-1]
                golden[f"end.{case}.frames"] = frames.contiguous()
                break
        golden[f"end.{case}.columns"] = columns.T.contiguous()


def main() -> None:
    torch.manual_seed(0)
    model = boson_model()
    golden: dict[str, torch.Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        tiny.write_tokenizer(Path(folder))
        inputs = record_prompts(model, AutoTokenizer.from_pretrained(folder), golden)
    record_generation(model, inputs["transcript"], golden)
    record_ends(model, golden)
    names = json.dumps(sorted(name for name in model.state_dict()))
    save_file(golden, HERE / "lm_boson.safetensors", metadata={"boson_names": names})
    config = model.config.to_dict()
    (HERE / "lm_boson_config.json").write_text(json.dumps(config, indent=1, default=str) + "\n", "utf-8")


if __name__ == "__main__":
    main()
