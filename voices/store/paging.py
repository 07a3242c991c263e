"""Lists in pages, newest first, the way OpenAI's API pages: after an id, so many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from voices.store.tables import VoiceConsent, VoiceProfile

Row = TypeVar("Row", VoiceProfile, VoiceConsent)


@dataclass(frozen=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    has_more: bool


def page(session: Session, chosen: Select[Row], table: type[Row], after: Row | None, limit: int) -> Page[Row]:
    """The first `limit` of the chosen rows older than the row `after`."""
    place = tuple_(table.created_at, table.id)
    if after is not None:
        chosen = chosen.where(place < tuple_(after.created_at, after.id))
    newest_first = chosen.order_by(table.created_at.desc(), table.id.desc())
    rows = session.scalars(newest_first.limit(limit + 1)).all()
    return Page(rows[:limit], len(rows) > limit)
