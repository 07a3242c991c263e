"""Profiles, consents and onboarding sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MYSQL: dict[str, Any] = {
    f"{kind}_{option}": value
    for kind in ("mysql", "mariadb")
    for option, value in (("charset", "utf8mb4"), ("collate", "utf8mb4_bin"), ("engine", "InnoDB"))
}


def upgrade() -> None:
    op.create_table(
        "voice_consents",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("language", sa.String(35), nullable=False),
        sa.Column("flac", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_voice_consents"),
        **MYSQL,
    )
    op.create_index("ix_voice_consents_owner_created_at_id", "voice_consents", ["owner", "created_at", "id"])
    op.create_table(
        "voice_profiles",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("transcript", sa.Text()),
        sa.Column("consent_id", sa.String(64)),
        sa.Column("source_seconds", sa.Double(), nullable=False),
        sa.Column("start_seconds", sa.Double(), nullable=False),
        sa.Column("end_seconds", sa.Double(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("codec", sa.String(64), nullable=False),
        sa.Column("flac", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.Column("codes", sa.LargeBinary(2**16 - 1), nullable=False),
        sa.ForeignKeyConstraint(
            ["consent_id"],
            ["voice_consents.id"],
            name="fk_voice_profiles_consent_id",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_voice_profiles"),
        sa.UniqueConstraint("owner", "user_id", "name", name="uq_voice_profiles_owner_user_id_name"),
        **MYSQL,
    )
    op.create_index("ix_voice_profiles_owner_created_at_id", "voice_profiles", ["owner", "created_at", "id"])
    op.create_table(
        "voice_clone_sessions",
        sa.Column("voice_id", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("voice_name", sa.String(100), nullable=False),
        sa.Column("file_name", sa.String(255), nullable=False),
        sa.Column("upload_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double()),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text()),
        sa.PrimaryKeyConstraint("voice_id", name="pk_voice_clone_sessions"),
        **MYSQL,
    )
    op.create_index(
        "ix_voice_clone_sessions_state_created_at", "voice_clone_sessions", ["state", "created_at"]
    )


def downgrade() -> None:
    for table in ("voice_clone_sessions", "voice_profiles", "voice_consents"):
        op.drop_table(table)
