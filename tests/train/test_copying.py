"""The head's rows that a voice's codes are copied with."""

import torch

from higgs.model.transformer import HiggsModel
from tests.tiny import CONFIG
from train.copying import BOOKS, Copying, embedded, fresh, head


def test_it_begins_as_the_models_own_rows_where_one_map_makes_them() -> None:
    torch.manual_seed(0)
    model, size = fresh(HiggsModel(CONFIG)), CONFIG.codebook_size
    with torch.no_grad():
        for book in BOOKS:
            embedded(model, book).mul_(20)
            head(model, book)[: len(embedded(model, book))] = embedded(model, book) @ torch.randn(64, 64) + 1
    own = model.audio_lm_head.weight[BOOKS.start * size : BOOKS.stop * size]
    assert torch.allclose(Copying(model).rows(model), own, rtol=0.01, atol=0.05)


def test_the_rows_written_are_those_of_the_voice_alone() -> None:
    torch.manual_seed(0)
    model = HiggsModel(CONFIG)
    before, size = model.audio_lm_head.weight.detach().clone(), CONFIG.codebook_size
    copying = Copying(model)
    with torch.no_grad():
        copying.linears()[0].bias.add_(1.0)
    copying.write(model)
    changed = (model.audio_lm_head.weight != before).any(-1).unflatten(0, (-1, size))
    assert changed[list(BOOKS), :1024].all()
    assert not changed[list(BOOKS), 1024:].any()
    assert not changed[[book for book in range(8) if book not in BOOKS]].any()


def test_what_is_learned_of_the_rows_reaches_map_and_embedding() -> None:
    model = HiggsModel(CONFIG)
    copying = Copying(model)
    copying.rows(model).square().sum().backward()
    embedding = model.model.embed_audio_tokens.embed_audio_tokens.weight
    assert all(part.grad is not None and part.grad.any() for part in (*copying.parameters(), embedding))
