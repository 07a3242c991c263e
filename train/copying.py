"""Tie the head's rows of the voice codes to their embeddings, so that any code can be copied.

Otherwise each of the 2 · 1024 codes has to learn which row of the head answers to its embedding, and rare
ones never did: a man's timbre that one speaker in 3,000 had was answered with other ones, a new one in every
frame, until the answer broke off. During training the head's row is a linear map of the embedding's row, one
map per codebook, so a code that was never seen is copied as well.
"""

from typing import cast

import torch
from torch import nn

from higgs.codecs.vocoder.network import CODES, VOICE_BOOKS
from higgs.model.transformer import HiggsModel

BOOKS = range(VOICE_BOOKS.start, VOICE_BOOKS.stop)
RIDGE = 0.5
SPREAD = 0.08  # standard deviation of a new model's embeddings of these codes, larger than of the others


class Copying(nn.Module):
    """Maps the voice codebooks' embeddings to the head's rows; starts as a ridge regression on these."""

    def __init__(self, model: HiggsModel, books: range = BOOKS) -> None:
        super().__init__()
        self.books = books
        hidden = model.config.hidden_size
        self.maps = nn.ModuleList(nn.Linear(hidden, hidden) for _ in books)
        with torch.no_grad():
            for book, linear in zip(self.books, self.linears(), strict=True):
                rows = torch.cat([embedded(model, book), torch.ones(CODES, 1)], dim=1)
                near = rows.T @ rows + RIDGE * torch.eye(hidden + 1)
                found = torch.linalg.solve(near, rows.T @ head(model, book)[:CODES])
                linear.weight.copy_(found[:-1].T)
                linear.bias.copy_(found[-1])

    def linears(self) -> list[nn.Linear]:
        return [cast(nn.Linear, linear) for linear in self.maps]

    def rows(self, model: HiggsModel) -> torch.Tensor:
        """Return the head's rows (2 · V, H) of these codebooks; the model's own for special codes."""
        parts: list[torch.Tensor] = []
        for book, linear in zip(self.books, self.linears(), strict=True):
            parts += [linear(embedded(model, book)), head(model, book)[CODES:]]
        return torch.cat(parts)

    @torch.no_grad()
    def write(self, model: HiggsModel) -> None:
        """Write the rows into the model's head."""
        size = model.config.codebook_size
        model.audio_lm_head.weight[self.books.start * size : self.books.stop * size] = self.rows(model)


def embedded(model: HiggsModel, book: int) -> torch.Tensor:
    """Return the embeddings (1024, H) of a codebook's codes."""
    first = book * model.config.codebook_size
    return model.model.embed_audio_tokens.embed_audio_tokens.weight[first : first + CODES]


def head(model: HiggsModel, book: int) -> torch.Tensor:
    """Return the head's rows (V, H) for a codebook."""
    size = model.config.codebook_size
    return model.audio_lm_head.weight[book * size : (book + 1) * size]


def fresh(model: HiggsModel, books: range = BOOKS) -> HiggsModel:
    """Initialise the embeddings of a new model's voice codes far enough apart, and return it."""
    with torch.no_grad():
        for book in books:
            embedded(model, book).normal_(std=SPREAD)
    return model
