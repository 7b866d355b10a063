"""monitoring: states of sequential tests, signals, receipts, and intervals in the ledger"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("outcomes", sa.Column("logged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outcomes", sa.Column("client", sa.String(length=16), nullable=True))
    op.create_index("ix_outcomes_logged_at", "outcomes", ["logged_at"])
    op.create_table(
        "outcome_conflicts",
        sa.Column("prediction_id", sa.String(length=36), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("logged_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("client", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("prediction_id", name=op.f("pk_outcome_conflicts")),
    )
    op.create_index("ix_outcome_conflicts_logged_at", "outcome_conflicts", ["logged_at"])
    op.add_column("reports", sa.Column("logged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("reports", sa.Column("client", sa.String(length=16), nullable=True))
    op.create_index("ix_reports_logged_at", "reports", ["logged_at"])
    op.add_column("verdicts", sa.Column("evidence", sa.Float(), nullable=True))
    op.add_column("loops", sa.Column("before_low", sa.Float(), nullable=True))
    op.add_column("loops", sa.Column("before_high", sa.Float(), nullable=True))
    op.add_column("loops", sa.Column("gain_low", sa.Float(), nullable=True))
    op.add_column("loops", sa.Column("gain_high", sa.Float(), nullable=True))
    op.create_table(
        "monitor_states",
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("test", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("use_case", "metric", "release", "arm", name=op.f("pk_monitor_states")),
    )
    op.create_table(
        "signals",
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("limit", sa.Float(), nullable=True),
        sa.Column("warning", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("use_case", "release", "name", "as_of", name=op.f("pk_signals")),
    )
    op.create_table(
        "receipts",
        sa.Column("message_id", sa.String(length=300), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "role", name=op.f("pk_receipts")),
    )
    op.create_table(
        "reminders",
        sa.Column("message_id", sa.String(length=300), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_reminders")),
    )


def downgrade() -> None:
    for table in ("reminders", "receipts", "signals", "monitor_states", "outcome_conflicts"):
        op.drop_table(table)
    op.drop_index("ix_reports_logged_at", "reports")
    op.drop_column("reports", "client")
    op.drop_column("reports", "logged_at")
    for column in ("gain_high", "gain_low", "before_high", "before_low"):
        op.drop_column("loops", column)
    op.drop_column("verdicts", "evidence")
    op.drop_index("ix_outcomes_logged_at", "outcomes")
    op.drop_column("outcomes", "client")
    op.drop_column("outcomes", "logged_at")
