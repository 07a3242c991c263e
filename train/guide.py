"""Auxiliary training targets: where to look in the text, and how words are pronounced.

Alignment: some heads are guided to the letters that are about to be spoken, after H. Tachibana et al.,
"Efficiently trainable text-to-speech system based on deep convolutional networks with guided attention",
2018. Instead of their straight line through text and speech, the times of the phones are used.

Pronunciation: a letter's sound depends on the letters after it ("captain"), which its own position has not
seen. So each position of the text predicts the sounds that begin at it, and two and four letters earlier; the
audio columns find them there. Without this, one phone in thirty was misread.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from higgs.codecs.vocoder.reading import SOUNDS
from higgs.model.transformer import Attention, HiggsModel, Layer, Rows, rotate, route

LAYERS, HEAD = (2, 3), 0  # the first layer follows the reading, the second what is spoken of it
PRONOUNCED = 2  # layers after which sounds are predicted
BEFORE = (0, 2, 4)  # distances in letters of the predicted sounds before a position


class Pronunciation(nn.Module):
    """Predicts the sounds of a text from its positions; for training only."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.tell = nn.Linear(hidden, len(BEFORE) * len(SOUNDS))

    def forward(self, hidden: torch.Tensor, sounds: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of hidden states [B, S, H] against sounds [B, S, 3], -1 where none begins."""
        told = (sounds >= 0).any(-1)
        logits = self.tell(F.rms_norm(hidden[told], hidden.shape[-1:])).float()
        return F.cross_entropy(logits.view(-1, len(SOUNDS)), sounds[told].flatten(), ignore_index=-1)


def guided_forward(
    model: HiggsModel, embeddings: torch.Tensor, mask: torch.Tensor, letters: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Like HiggsModel.forward without a cache.

    Args:
        model: the language model.
        embeddings: [B, S, H].
        mask: [B, S], true for audio positions.
        letters: [B, S, 2, 2], first and last position of each guided layer's letters, (-1, -1) for none;
            None guides nothing.

    Returns:
        The final hidden states, those that predict sounds, and the guide's loss: mean -ln of the attention
        that the guided heads pay to the letters.
    """
    backbone = model.model
    positions = torch.arange(embeddings.shape[1], device=embeddings.device).expand(embeddings.shape[:2])
    rows = Rows.from_mask(mask)
    cos, sin = backbone.rotary(positions)
    x, middle = embeddings, embeddings
    losses: list[torch.Tensor] = []
    for index, layer in enumerate(cast(list[Layer], backbone.layers)):
        if index == PRONOUNCED:
            middle = x
        if letters is not None and index in LAYERS:
            normed = route(x, rows, layer.input_layernorm, layer.audio_input_layernorm)
            losses.append(guide_loss(layer.self_attn, normed, cos, sin, letters[:, :, len(losses)]))
        x = layer(x, rows, cos, sin, None)
    guide = torch.stack(losses).mean() if losses else x.new_zeros(())
    return backbone.norm(x), middle, guide


def guide_loss(
    attention: Attention, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, letters: torch.Tensor
) -> torch.Tensor:
    """Return -ln of the share of a head's attention on the letters, averaged over guided rows."""
    size = attention.head_dim
    span = slice(HEAD * size, (HEAD + 1) * size)
    q, k = (torch.nn.functional.linear(x, p.weight[span]) for p in (attention.q_proj, attention.k_proj))
    q, k = (rotate(part[:, :, None].float(), cos, sin)[:, :, 0] for part in (q, k))
    scores = (q @ k.mT).float() * size**-0.5
    at = torch.arange(x.shape[1], device=x.device)
    scores = scores.masked_fill(at > at[:, None], -torch.inf)
    inside = (at >= letters[..., :1]) & (at <= letters[..., 1:])
    guided = letters[..., 0] >= 0
    everything, wanted = scores[guided], scores.masked_fill(~inside, -torch.inf)[guided]
    return (everything.logsumexp(-1) - wanted.logsumexp(-1)).mean()
