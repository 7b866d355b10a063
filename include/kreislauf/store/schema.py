"""Tables of the workflow store. A change here needs a migration under ``migrations/versions``."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

HEAD = "0005"
"""Revision the code needs; the newest file in ``migrations/versions`` carries it."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: aware on the Python side, UTC in the database, on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Refuse naive times, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """SQLite forgets the zone: give it back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


contracts = Table(
    "contracts", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("first_seen", UtcDateTime, nullable=False),
    Column("decision", String(16)),  # signed | rejected
    Column("decided_by", String(128)),
    Column("decided_how", String(16)),  # automatic | person
    Column("decided_at", UtcDateTime),
    Column("note", Text),
)  # fmt: skip

cycles = Table(
    "cycles", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("cycle_id", String(128), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("parent_cycle_id", String(128)),
    Column("origin", String(400), nullable=False),  # what opened it: opening twice gives the same cycle
    Column("started_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(16), nullable=False),  # proposed active waiting live refused failed closed
    Column("note", Text),
    Column("as_of", UtcDateTime, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    UniqueConstraint("use_case", "origin"),
    UniqueConstraint("use_case", "number"),
)  # fmt: skip
# The governor's first law, kept by the database: one active cycle per use case.
_ACTIVE = text("state = 'active'")
Index("one_active_cycle", cycles.c.use_case, unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)

handovers = Table(
    "handovers", metadata,
    Column("id", String(300), primary_key=True),
    Column("use_case", String(64), nullable=False),
    Column("cycle_id", String(128), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("output", String(400), nullable=False),
    Column("body", JSON, nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("use_case", "cycle_id", "stage", "attempt"),
    Index("ix_handovers_latest", "use_case", "stage", "created_at"),
)  # fmt: skip

loops = Table(
    "loops", metadata,
    Column("id", String(300), primary_key=True),
    Column("use_case", String(64), nullable=False),
    Column("cycle_id", String(128), nullable=False),
    Column("edge", String(64), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("body", JSON, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False),  # raised accepted refused closed
    Column("received_run", String(250)),
    Column("decision", Text),
    Column("value_before", Float),
    Column("value_after", Float),
    Column("after_low", Float),
    Column("after_high", Float),
    Column("helped", Boolean),
    Column("before_low", Float),
    Column("before_high", Float),
    Column("gain_low", Float),  # of after - before, in the direction that is better
    Column("gain_high", Float),
    Column("override_by", String(128)),
    Column("override_reason", Text),
    Column("document", Text),
    Index("ix_loops_use_case", "use_case", "created_at"),
)  # fmt: skip

releases = Table(
    "releases", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("cycle_id", String(128), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("use_case", "cycle_id", "attempt"),
)  # fmt: skip

live_releases = Table(
    "live_releases", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)  # fmt: skip

promotions = Table(
    "promotions", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    Column("cycle_id", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["use_case", "version"], ["releases.use_case", "releases.version"]),
)  # fmt: skip

predictions = Table(
    "predictions", metadata,
    Column("id", String(36), primary_key=True),
    Column("use_case", String(64), nullable=False),
    Column("release", Integer, nullable=False),
    Column("entity", String(128)),
    Column("known", Boolean, nullable=False),
    Column("value", Float),
    Column("period", UtcDateTime, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("features", Text),  # JSON, where the client sent them; else those of the release's snapshot
    Column("arm", String(16), nullable=False, server_default="champion"),  # champion baseline canary
    Index("ix_predictions_release", "use_case", "release", "period"),
    Index("ix_predictions_as_of", "use_case", "as_of"),
)  # fmt: skip

log_days = Table(
    "log_days", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),  # of the predictions' as_of, in UTC
    Column("revision", Integer, nullable=False),  # raised when a prediction of this day comes late
    Column("rolled", Integer),  # revision that log_newest covers; another one: rows are missing there
    Column("rolled_at", UtcDateTime),
)  # fmt: skip

log_newest = Table(
    "log_newest", metadata,  # per day the newest prediction of each (release, arm, entity, period)
    Column("id", String(36), primary_key=True),
    Column("use_case", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("release", Integer, nullable=False),
    Column("arm", String(16), nullable=False),
    Column("entity", String(128)),
    Column("known", Boolean, nullable=False),
    Column("value", Float),
    Column("period", UtcDateTime, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_log_newest_day", "use_case", "day"),
)  # fmt: skip

log_counts = Table(
    "log_counts", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("release", Integer, primary_key=True),
    Column("arm", String(16), primary_key=True),
    Column("part", String(64), primary_key=True),  # archive file that has the rows; empty: they are in the store
    Column("rows", Integer, nullable=False),
    Column("known", Integer, nullable=False),
    Column("anonymous", Integer, nullable=False),  # without entity
    Column("outcomes", Integer, nullable=False),
    Column("error", Float, nullable=False),  # sum of value - outcome
    Column("absolute_error", Float, nullable=False),
)  # fmt: skip

log_archives = Table(
    "log_archives", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("file", String(128), primary_key=True),
    Column("rows", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),  # when the last of its rows had left predictions
)  # fmt: skip

outcomes = Table(
    "outcomes", metadata,
    Column("prediction_id", String(36), primary_key=True),
    Column("value", Float, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("logged_at", UtcDateTime),  # when the writer wrote it: never simulated, the cursor of monitoring
    Column("client", String(16)),  # id of the API key that sent it
    Column("use_case", String(64)),  # that of its prediction
    Index("ix_outcomes_logged_at", "logged_at"),
    Index("ix_outcomes_use_case", "use_case", "logged_at"),
)  # fmt: skip

outcome_conflicts = Table(
    "outcome_conflicts", metadata,  # what contradicts a stored outcome, which stands; the first one of a prediction
    Column("prediction_id", String(36), primary_key=True),
    Column("value", Float, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("logged_at", UtcDateTime, nullable=False),
    Column("client", String(16)),
    Index("ix_outcome_conflicts_logged_at", "logged_at"),
)  # fmt: skip

reports = Table(
    "reports", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("metric", String(64), nullable=False),
    Column("release", Integer, nullable=False),
    Column("value", Float, nullable=False),
    Column("period", UtcDateTime, nullable=False),
    Column("observed_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("logged_at", UtcDateTime),
    Column("client", String(16)),
    Index("ix_reports_logged_at", "logged_at"),
    Index("ix_reports_release", "use_case", "metric", "release", "period"),
)  # fmt: skip

verdicts = Table(
    "verdicts", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("release", Integer, primary_key=True),
    Column("as_of", UtcDateTime, primary_key=True),
    Column("cycle_id", String(128), nullable=False),
    Column("verdict", String(16), nullable=False),  # healthy breach inconclusive
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("threshold", Float, nullable=False),
    Column("periods", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("evidence", Float),  # of a fall; an alarm from 1 / false_alarms on
)  # fmt: skip

monitor_states = Table(
    "monitor_states", metadata,  # what a sequential test remembers of what it has seen
    Column("use_case", String(64), primary_key=True),
    Column("metric", String(64), primary_key=True),
    Column("release", Integer, primary_key=True),
    Column("arm", String(16), primary_key=True),
    Column("test", String(64), nullable=False),  # digest of its parameters: with others it begins anew
    Column("as_of", UtcDateTime, nullable=False),
    Column("body", JSON, nullable=False),
)  # fmt: skip

signals = Table(
    "signals", metadata,  # what warns before outcomes are known
    Column("use_case", String(64), primary_key=True),
    Column("release", Integer, primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("as_of", UtcDateTime, primary_key=True),
    Column("value", Float),
    Column("limit", Float),
    Column("warning", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)  # fmt: skip

receipts = Table(
    "receipts", metadata,  # which run has taken up a handover or a loop
    Column("message_id", String(300), primary_key=True),
    Column("role", String(32), primary_key=True),
    Column("run_id", String(250), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
)  # fmt: skip

reminders = Table(
    "reminders", metadata,  # messages that nobody had received, and were emitted again
    Column("message_id", String(300), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Column("note", Text, nullable=False),
)  # fmt: skip

shadow_predictions = Table(
    "shadow_predictions", metadata,
    Column("prediction_id", String(36), primary_key=True),  # the one that was answered
    Column("release", Integer, primary_key=True),
    Column("use_case", String(64), nullable=False),
    Column("value", Float),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_shadow_predictions_release", "use_case", "release"),
)  # fmt: skip

rollouts = Table(
    "rollouts", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("cycle_id", String(128), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # candidate shadow canary promoted rejected aborted
    Column("champion", Integer),
    Column("share", Float, nullable=False),
    Column("note", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("state_at", UtcDateTime, nullable=False),
    # no more than one release of a use case is tried at a time
    Index(
        "one_rollout", "use_case", unique=True,
        sqlite_where=text("state IN ('candidate', 'shadow', 'canary')"),
        postgresql_where=text("state IN ('candidate', 'shadow', 'canary')"),
    ),
)  # fmt: skip

arm_counts = Table(
    "arm_counts", metadata,
    Column("use_case", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),  # of the release that is tried
    Column("arm", String(16), primary_key=True),  # shadow canary baseline
    Column("worker", String(36), primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("buckets", JSON, nullable=False),  # requests by upper bound of their time in seconds
    Column("updated_at", UtcDateTime, nullable=False),
)  # fmt: skip

workers = Table(
    "workers", metadata,
    Column("id", String(36), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("serving", JSON, nullable=False),  # use case -> slot (champion, candidate) -> version
    Column("problems", JSON, nullable=False),  # use case -> why a release cannot be loaded
    Column("started_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)  # fmt: skip

api_keys = Table(
    "api_keys", metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("scopes", String(128), nullable=False),
    Column("use_case", String(64)),  # the only one it is good for; empty: all
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)  # fmt: skip
