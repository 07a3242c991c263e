"""More recordings of a voice than its first."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MYSQL: dict[str, Any] = {
    f"{kind}_{option}": value
    for kind in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def upgrade() -> None:
    op.create_table(
        "voice_samples",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("voice_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("transcript", sa.Text(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("codec", sa.String(64), nullable=False),
        sa.Column("flac", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.Column("codes", sa.LargeBinary(2**16 - 1), nullable=False),
        sa.ForeignKeyConstraint(
            ["voice_id"], ["voice_profiles.id"], name="fk_voice_samples_voice_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_voice_samples"),
        **MYSQL,
    )
    op.create_index("ix_voice_samples_voice_id_created_at", "voice_samples", ["voice_id", "created_at"])


def downgrade() -> None:
    op.drop_table("voice_samples")
