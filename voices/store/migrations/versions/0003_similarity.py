"""How like the reference a voice's first trial sounds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("voice_profiles", sa.Column("similarity", sa.Double()))


def downgrade() -> None:
    op.drop_column("voice_profiles", "similarity")
