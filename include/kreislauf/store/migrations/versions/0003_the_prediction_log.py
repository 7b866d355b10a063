"""the prediction log: rolled-up days and archives"""

from alembic import op
import sqlalchemy as sa


revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "log_days",
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rolled", sa.Integer(), nullable=True),
        sa.Column("rolled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("use_case", "day", name=op.f("pk_log_days")),
    )
    op.create_table(
        "log_newest",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("entity", sa.String(length=128), nullable=True),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("period", sa.DateTime(timezone=True), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_newest")),
    )
    op.create_index("ix_log_newest_day", "log_newest", ["use_case", "day"])
    op.create_table(
        "log_counts",
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("release", sa.Integer(), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("anonymous", sa.Integer(), nullable=False),
        sa.Column("outcomes", sa.Integer(), nullable=False),
        sa.Column("error", sa.Float(), nullable=False),
        sa.Column("absolute_error", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("use_case", "day", "release", "arm", "part", name=op.f("pk_log_counts")),
    )
    op.create_table(
        "log_archives",
        sa.Column("use_case", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("file", sa.String(length=128), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("use_case", "day", "file", name=op.f("pk_log_archives")),
    )
    op.create_index("ix_predictions_as_of", "predictions", ["use_case", "as_of"])


def downgrade() -> None:
    op.drop_index("ix_predictions_as_of", "predictions")
    op.drop_table("log_archives")
    op.drop_table("log_counts")
    op.drop_index("ix_log_newest_day", "log_newest")
    op.drop_table("log_newest")
    op.drop_table("log_days")
