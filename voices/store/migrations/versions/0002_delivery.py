"""How a voice speaks where nobody says: speed, pitch, volume, and instructions in words."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SOUND = ("speed", "pitch", "volume")


def upgrade() -> None:
    for name in SOUND:
        op.add_column("voice_profiles", sa.Column(name, sa.Double()))
    op.add_column("voice_profiles", sa.Column("instructions", sa.Text()))


def downgrade() -> None:
    for name in (*SOUND, "instructions"):
        op.drop_column("voice_profiles", name)
