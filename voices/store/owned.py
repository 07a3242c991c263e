"""Rows that belong to an owner: the voices, consents and jobs."""

from typing import TypeVar

from sqlalchemy import Select, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from errors import NotFound, quoted
from voices.store.job_tables import SpeechJob
from voices.store.tables import VoiceConsent, VoiceProfile

Row = TypeVar("Row", VoiceProfile, VoiceConsent, SpeechJob)

MISSING = {
    VoiceProfile: ("voice", "voice_not_found"),
    VoiceConsent: ("consent", "consent_not_found"),
    SpeechJob: ("job", "job_not_found"),
}


def rows_of(table: type[Row], owner: str) -> Select[Row]:
    """Select all rows of the owner."""
    return select(table).where(table.owner == owner)


def owned(
    session: Session, table: type[Row], owner: str, row_id: str, *options: ORMOption, lock: bool = False
) -> Row:
    """Return the owner's row with this id.

    Args:
        session: a transaction.
        table: its table.
        owner: who must own it.
        row_id: its id.
        options: deferred columns to load.
        lock: nobody else can change or delete it until the transaction ends. Whoever changes it needs this.

    Raises:
        NotFound: the owner has no such row.
    """
    chosen = rows_of(table, owner).where(table.id == row_id).options(*options)
    row = session.scalar(chosen.with_for_update() if lock else chosen)
    if row is None:
        raise missing(table, row_id)
    return row


def missing(table: type[Row], row_id: str) -> NotFound:
    kind, code = MISSING[table]
    return NotFound(f"There is no {kind} {quoted(row_id)}.", code=code)
