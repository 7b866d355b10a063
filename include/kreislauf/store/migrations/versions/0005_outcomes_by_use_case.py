"""outcomes by use case: what one has got is read without those of all others"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_OWNERS = """
UPDATE outcomes SET use_case = COALESCE(
    (SELECT predictions.use_case FROM predictions WHERE predictions.id = outcomes.prediction_id),
    (SELECT log_newest.use_case FROM log_newest WHERE log_newest.id = outcomes.prediction_id)
)
"""


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("use_case", sa.String(length=64), nullable=True))
    op.execute(_OWNERS)
    op.create_index("ix_outcomes_use_case", "outcomes", ["use_case", "logged_at"])


def downgrade() -> None:
    op.drop_index("ix_outcomes_use_case", "outcomes")
    op.drop_column("outcomes", "use_case")
