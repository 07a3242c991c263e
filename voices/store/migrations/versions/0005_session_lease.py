"""A lease for onboarding sessions: without a valid one, which its server renews, a session is interrupted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("voice_clone_sessions", sa.Column("leased_until", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("voice_clone_sessions", "leased_until")
