"""A guide to the alignment: some heads are shown which letters are about to be said.

After H. Tachibana et al., "Efficiently trainable text-to-speech system based on deep convolutional networks
with guided attention", 2018. Where they expect a straight line through text and speech, here the times of the
phones tell the way.
"""

import torch

from higgs.model import HiggsModel, Rows, rotate, route

LAYERS, HEAD = (2, 3), 0  # the first follows the reading, the second what is spoken of it


def guided_forward(
    model: HiggsModel, embeddings: torch.Tensor, mask: torch.Tensor, letters: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """As HiggsModel.forward without a cache, with the guide's loss.

    letters [B, S, 2, 2]: for each guided layer the first and last position of its letters, (-1, -1) where
    there are none. The loss is the mean of -ln of the attention that the guided heads pay to them.
    """
    backbone = model.model
    positions = torch.arange(embeddings.shape[1]).expand(embeddings.shape[:2])
    rows = Rows.from_mask(mask)
    cos, sin = backbone.rotary(positions)
    x, losses = embeddings, []
    for index, layer in enumerate(backbone.layers):
        if index in LAYERS:
            normed = route(x, rows, layer.input_layernorm, layer.audio_input_layernorm)
            losses.append(guide_loss(layer.self_attn, normed, cos, sin, letters[:, :, len(losses)]))
        x = layer(x, rows, cos, sin, None)
    return backbone.norm(x), torch.stack(losses).mean()


def guide_loss(
    attention: torch.nn.Module, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, letters: torch.Tensor
) -> torch.Tensor:
    """-ln of the share of one head's attention [B, S, S] that falls on the letters, averaged over guided
    rows."""
    size = attention.head_dim
    span = slice(HEAD * size, (HEAD + 1) * size)
    q, k = (torch.nn.functional.linear(x, p.weight[span]) for p in (attention.q_proj, attention.k_proj))
    q, k = (rotate(part[:, :, None].float(), cos, sin)[:, :, 0] for part in (q, k))
    scores = (q @ k.mT).float() * size**-0.5
    at = torch.arange(x.shape[1])
    scores = scores.masked_fill(at > at[:, None], -torch.inf)
    inside = (at >= letters[..., :1]) & (at <= letters[..., 1:])
    guided = letters[..., 0] >= 0
    everything, wanted = scores[guided], scores.masked_fill(~inside, -torch.inf)[guided]
    return (everything.logsumexp(-1) - wanted.logsumexp(-1)).mean()
