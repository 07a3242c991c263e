"""Other names that a voice answers to."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MYSQL: dict[str, Any] = {
    f"{kind}_{option}": value
    for kind in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def upgrade() -> None:
    op.create_table(
        "voice_aliases",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("voice_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voice_profiles.id"], name="fk_voice_aliases_voice_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner", "name", name="pk_voice_aliases"),
        **MYSQL,
    )
    op.create_index("ix_voice_aliases_voice_id", "voice_aliases", ["voice_id"])


def downgrade() -> None:
    op.drop_table("voice_aliases")
