"""Routing of text and audio positions through different modules (v2's dual FFN)."""

from typing import NamedTuple

import torch
from torch import nn

from higgs.devices import upload


class Rows(NamedTuple):
    """Indices of text and audio rows among flattened rows (B·S); `restore` undoes the order text, audio."""

    text: torch.Tensor
    audio: torch.Tensor
    restore: torch.Tensor

    @classmethod
    def from_mask(cls, audio_mask: torch.Tensor, device: torch.device | None = None) -> "Rows":
        """Build from a mask, preferably on the CPU: on a GPU, counting them would synchronise.

        Args:
            audio_mask: true for audio positions.
            device: of the indices; None for the mask's.
        """
        device = audio_mask.device if device is None else device
        flat = audio_mask.flatten()
        text, audio = (~flat).nonzero().squeeze(1), flat.nonzero().squeeze(1)
        return cls(*(upload(rows, device) for rows in (text, audio, torch.cat((text, audio)).argsort())))


def route(x: torch.Tensor, rows: Rows | None, text_path: nn.Module, audio_path: nn.Module) -> torch.Tensor:
    """Send each row of x [B, S, H] through one of two modules; without `rows`, all are audio."""
    if rows is None:
        return audio_path(x)
    flat = x.flatten(0, 1)
    both = torch.cat((text_path(flat[rows.text]), audio_path(flat[rows.audio])))
    return both[rows.restore].view_as(x)
