"""Golden values of the language model, recorded from boson-multimodal 0.1.1 in its own environment.

    sh tests/golden/reference_env.sh
    .reference-venv/bin/python -m tests.golden.make_lm_golden

writes lm_boson.safetensors (prompts, logits, greedy columns, ends of streams) and lm_boson_config.json beside
this file. The weights are those of tests/tiny.py.
"""

import json
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
from boson_multimodal.data_types import AudioContent, ChatMLSample, Message, TextContent
from boson_multimodal.dataset.chatml_dataset import prepare_chatml_sample
from boson_multimodal.model.higgs_audio import HiggsAudioModel
from boson_multimodal.model.higgs_audio.utils import revert_delay_pattern
from safetensors.torch import save_file
from transformers import AutoTokenizer, LogitsProcessorList

from bench.boson_worker import boson_config, boson_model, collate
from tests import tiny
from tests.golden import lm_cases as cases

HERE = Path(__file__).parent
AUDIO = AudioContent(audio_url="")


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
    config = boson_config(tiny.CONFIG, tiny.token_id("<|AUDIO|>"), tiny.token_id("<|audio_eos|>"))
    model = boson_model(config, tiny.random_weights(tiny.CONFIG))
    golden: dict[str, torch.Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        tiny.write_tokenizer(Path(folder))
        inputs = record_prompts(model, AutoTokenizer.from_pretrained(folder), golden)
    record_generation(model, inputs["transcript"], golden)
    record_ends(model, golden)
    names = json.dumps(sorted(name for name in model.state_dict()))
    save_file(golden, HERE / "lm_boson.safetensors", metadata={"boson_names": names})
    (HERE / "lm_boson_config.json").write_text(
        json.dumps(model.config.to_dict(), indent=1, default=str) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
