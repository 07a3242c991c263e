"""How a voice says words that it would say otherwise."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("voice_profiles", sa.Column("pronunciations", sa.JSON()))


def downgrade() -> None:
    op.drop_column("voice_profiles", "pronunciations")
