"""Higgs v3 as a plain loop around transformers' Qwen3Model, as its published ports run it: a peer.

transformers has no class for v3; embedding, head and sampling are a few lines around its backbone.
"""

import torch
from transformers import DynamicCache, Qwen3Config, Qwen3Model

from higgs.engine.sampler import SamplingOptions
from higgs.model.transformer import HiggsModel
from higgs.prompts.v2 import Prompt


class QwenLoop:
    """A v3 model's weights in this loop."""

    def __init__(self, model: HiggsModel, prompt: Prompt, options: SamplingOptions, columns: int) -> None:
        config = model.config
        with torch.device("meta"):
            self._qwen = Qwen3Model(
                Qwen3Config(
                    vocab_size=config.vocab_size,
                    hidden_size=config.hidden_size,
                    intermediate_size=config.intermediate_size,
                    num_hidden_layers=config.layers,
                    num_attention_heads=config.heads,
                    num_key_value_heads=config.kv_heads,
                    head_dim=config.head_dim,
                    rms_norm_eps=config.rms_norm_eps,
                    max_position_embeddings=config.max_positions,
                    rope_parameters={"rope_type": "default", "rope_theta": config.rope.theta},
                )
            )
        weights = model.model.state_dict()
        # Our engine has made views of the weights; the peer gets them as it would have loaded them.
        own = {name: weights[name].contiguous() for name in self._qwen.state_dict()}
        self._qwen.load_state_dict(own, assign=True)
        self._qwen.rotary_emb = type(self._qwen.rotary_emb)(self._qwen.config).to(
            model.audio_lm_head.weight.device
        )
        self._qwen.eval()
        self._model, self._prompt, self._options, self._columns = model, prompt, options, columns

    @torch.inference_mode()
    def __call__(self, streams: int) -> int:
        """Write the columns of so many streams as one batch; returns how many, the opening ones included."""
        model, config, prompt = self._model, self._model.config, self._prompt
        device = model.audio_lm_head.weight.device
        parts = (prompt.input_ids, prompt.audio_columns, prompt.audio_mask)
        x = model.embed(*(part.to(device)[None] for part in parts)).expand(streams, -1, -1)
        cache = DynamicCache()
        self._qwen(inputs_embeds=x, past_key_values=cache)
        codes = torch.full((streams, config.num_codebooks), config.opening_code, device=device)
        for column in range(1, self._columns):
            x = model.embed_audio(codes)[:, None]
            hidden = self._qwen(inputs_embeds=x, past_key_values=cache).last_hidden_state[:, -1]
            codes = self._draw(model.audio_logits(hidden).float())
            codes[:, column:] = config.bos_code
        codes.cpu()
        return streams * self._columns

    def _draw(self, logits: torch.Tensor) -> torch.Tensor:
        logits = logits / self._options.temperature
        if self._options.top_k is not None:
            least = logits.topk(self._options.top_k).values[..., -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        drawn = logits.softmax(-1).flatten(0, 1).multinomial(1)
        return drawn.view(logits.shape[:2])
