"""Cursor-based pages, newest first, as in OpenAI's API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from errors import InvalidRequest
from voices.store.owned import Row


@dataclass(frozen=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    has_more: bool


def page(session: Session, chosen: Select[Row], table: type[Row], after: Row | None, limit: int) -> Page[Row]:
    """Return the first `limit` of the selected rows that are older than the row `after`."""
    place = tuple_(table.created_at, table.id)
    if after is not None:
        chosen = chosen.where(place < tuple_(after.created_at, after.id))
    newest_first = chosen.order_by(table.created_at.desc(), table.id.desc())
    rows = session.scalars(newest_first.limit(limit + 1)).all()
    return Page(rows[:limit], len(rows) > limit)


def check_count(
    session: Session, table: type[Row], owner: str, max_rows: int, code: str = "voices_full"
) -> None:
    """Raise InvalidRequest with this code if the owner has `max_rows` rows or more."""
    rows = session.scalar(select(func.count()).select_from(table).where(table.owner == owner)) or 0
    if rows >= max_rows:
        message = f"{rows} are stored already, the maximum is {max_rows}; delete one first."
        raise InvalidRequest(message, code=code)
