"""Speech jobs and their pieces."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MYSQL: dict[str, Any] = {
    f"{kind}_{option}": value
    for kind in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def upgrade() -> None:
    op.create_table(
        "speech_jobs",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("voices", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("verify", sa.Boolean(), nullable=False),
        sa.Column("chapters", sa.JSON(), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text()),
        sa.Column("worker", sa.String(64)),
        sa.Column("leased_until", sa.Double(), nullable=False),
        sa.Column("transcript", sa.Text()),
        sa.Column("flac", sa.LargeBinary(2**24 - 1)),
        sa.PrimaryKeyConstraint("id", name="pk_speech_jobs"),
        **MYSQL,
    )
    op.create_index("ix_speech_jobs_owner_created_at_id", "speech_jobs", ["owner", "created_at", "id"])
    op.create_index("ix_speech_jobs_status", "speech_jobs", ["status"])
    op.create_table(
        "speech_pieces",
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("chapter", sa.Integer(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("pause", sa.Double(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.Double()),
        sa.Column("seconds", sa.Double()),
        sa.Column("took", sa.Double()),
        sa.Column("faults", sa.JSON(), nullable=False),
        sa.Column("flac", sa.LargeBinary(2**24 - 1)),
        sa.ForeignKeyConstraint(
            ["job_id"], ["speech_jobs.id"], name="fk_speech_pieces_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_speech_pieces"),
        **MYSQL,
    )


def downgrade() -> None:
    for table in ("speech_pieces", "speech_jobs"):
        op.drop_table(table)
