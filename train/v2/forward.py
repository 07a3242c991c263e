"""The language model's forward pass for training: HiggsModel.forward, fused where a GPU gains, with dropout.

Nothing in it waits for a GPU. Rows of text and of audio are put in order once a layer, by gathers in both
directions. tests/train/test_v2.py compares it with the model's own.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F

from higgs.model.transformer import Attention, FeedForward, HiggsModel, Layer, rotate
from train.guide import LAYERS as GUIDED
from train.v2.batches import Batch


class Reordered(torch.autograd.Function):
    """Rows of x (N, H) in another order; `back` is the inverse permutation."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, order: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, order)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return gradients[0].index_select(0, back), None, None


@dataclass(frozen=True)
class Path:
    """What all layers share: a batch's mask [B, S, 1] and order of rows, rotary angles, dtype, dropout."""

    batch: Batch
    mask: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    dtype: torch.dtype
    dropout: float


def forward(
    model: HiggsModel, batch: Batch, dtype: torch.dtype, dropout: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the hidden states [B, S, H] in float32, and the guide's loss (see train.guide)."""
    backbone = model.model
    positions = torch.arange(batch.ids.shape[1], device=batch.ids.device)[None]
    cos, sin = (part.to(dtype) for part in backbone.rotary(positions))
    path = Path(batch, batch.mask[..., None], cos, sin, dtype, dropout)
    x = model.embed(batch.ids, batch.columns, batch.mask).float()
    x = F.dropout(x, dropout, dropout > 0)
    losses: list[torch.Tensor] = []
    for index, layer in enumerate(cast(list[Layer], backbone.layers)):
        q, k, v = queries_keys_values(layer, x, path)
        if index in GUIDED:
            losses.append(guide_loss(q[:, 0], k[:, 0], batch.letters[:, :, len(losses)]))
        said = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        said = F.linear(said, layer.self_attn.o_proj.weight.to(dtype))
        x = x + F.dropout(said, dropout, dropout > 0)
        x = x + F.dropout(feed_forward(layer, x, path), dropout, dropout > 0)
    return backbone.norm(x), torch.stack(losses).mean()


def normed(x: torch.Tensor, text: torch.nn.RMSNorm, audio: torch.nn.RMSNorm, path: Path) -> torch.Tensor:
    """Return x [B, S, H] normalised, each row with the weight of its kind."""
    unit = F.rms_norm(x, x.shape[-1:], eps=text.eps)
    return (unit * torch.where(path.mask, audio.weight, text.weight)).to(path.dtype)


def queries_keys_values(layer: Layer, x: torch.Tensor, path: Path) -> tuple[torch.Tensor, ...]:
    """Return queries, keys and values [B, heads, S, D]."""
    attention: Attention = layer.self_attn
    rows = normed(x, layer.input_layernorm, layer.audio_path.input_norm, path)
    weight = torch.cat([part.weight for part in (attention.q_proj, attention.k_proj, attention.v_proj)])
    heads = F.linear(rows, weight.to(path.dtype)).unflatten(-1, (3, -1, attention.head_dim))
    turned = rotate(heads[:, :, :2].flatten(2, 3), path.cos, path.sin).unflatten(2, (2, -1))
    return tuple(part.transpose(1, 2) for part in (*turned.unbind(2), heads[:, :, 2]))


def feed_forward(layer: Layer, x: torch.Tensor, path: Path) -> torch.Tensor:
    """Return what the feed-forward networks of text and audio add to x [B, S, H]."""
    batch, audio = path.batch, layer.audio_path
    rows = normed(x, layer.post_attention_layernorm, audio.feed_norm, path).flatten(0, 1)
    ordered = Reordered.apply(rows, batch.order, batch.back)
    parts = ordered.split([batch.texts, len(rows) - batch.texts])
    fed = [swiglu(part, feed, path.dtype) for part, feed in zip(parts, (layer.mlp, audio.feed), strict=True)]
    return Reordered.apply(torch.cat(fed), batch.back, batch.order).view_as(x)


def swiglu(rows: torch.Tensor, feed: FeedForward, dtype: torch.dtype) -> torch.Tensor:
    weight = torch.cat([feed.gate_proj.weight, feed.up_proj.weight]).to(dtype)
    gate, up = F.linear(rows, weight).chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, feed.down_proj.weight.to(dtype))


def guide_loss(q: torch.Tensor, k: torch.Tensor, letters: torch.Tensor) -> torch.Tensor:
    """Return -ln of the share of a head's attention on the letters, averaged over guided rows.

    q, k: [B, S, D], one head's. letters: [B, S, 2], see train.guide.guided_forward.
    """
    scores = q.float() @ k.float().mT * q.shape[-1] ** -0.5
    at = torch.arange(q.shape[1], device=q.device)
    letters = letters.long()
    guided = (letters[..., 0] >= 0) & (letters[..., 0] <= at)
    causal = at <= at[:, None]
    inside = (at >= letters[..., :1]) & (at <= letters[..., 1:]) | ~guided[..., None]
    everything = scores.masked_fill(~causal, -torch.inf).logsumexp(-1)
    wanted = scores.masked_fill(~(causal & inside), -torch.inf).logsumexp(-1)
    return (everything - wanted).sum() / guided.sum().clamp(min=1)
