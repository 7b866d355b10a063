"""What a contract says of each kind of source. ``make add-source`` adds a kind here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from include.kreislauf.handovers import Name
from include.kreislauf.requirements.section import ColumnName, Section, inconsistent

Vintage = Literal["first", "latest"]
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _day(value: Any) -> Any:
    """A day as people write it in a contract; numbers are not taken for seconds since 1970."""
    if isinstance(value, str) and re.match(_DAY, value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise inconsistent(f"{value} is not in the calendar", allowed="YYYY-MM-DD") from error
    return value


def _only_data(value: str) -> str:
    """``{data}`` is all that can be filled in: anything else in braces is a slip."""
    if unknown := re.findall(r"{[^}]*}?|}", value.replace("{data}", "")):
        raise inconsistent(f"{unknown[0]} is not filled in", allowed="{data}")
    return value


Url = Annotated[str, AfterValidator(_only_data)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "pattern": _DAY})]


class Column(Section):
    """One column that a source must deliver."""

    type: Literal["text", "number", "date"] = Field(
        description="date: a day or a time; number: NaN where it is empty.", examples=["number"]
    )
    required: bool = Field(
        False,
        description="A missing column, or an empty value where nulls are not allowed, stops.",
        examples=[True],
    )
    minimum: float | None = Field(None, description="Least value that is allowed.", examples=[0])
    maximum: float | None = Field(None, description="Greatest value that is allowed.", examples=[1000000])
    feature: bool = Field(
        True,
        description="Whether models may see it, where there is no features.py; keys, target and dates are never seen.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _range_holds_something(self) -> Column:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise inconsistent(
                f"minimum {self.minimum:g} is above maximum {self.maximum:g}", allowed="minimum <= maximum"
            )
        return self


class Rows(Section):
    """Base of the sources that deliver rows as they are."""

    name: Name = Field(description="Told apart by it: in data sheets and versions.", examples=["shops"])
    available_after_days: int = Field(
        0, ge=0, le=3650, description="Days from the end of a period to its rows.", examples=[5]
    )
    columns: dict[ColumnName, Column] = Field(
        min_length=1,
        description="What the source must deliver, by name; other columns are not read.",
        examples=[
            {
                "shop": {"type": "text", "required": True},
                "month_start": {"type": "date", "required": True},
                "revenue": {"type": "number", "minimum": 0},
                "growth": {"type": "number"},
            }
        ],
    )


class TableSource(Rows):
    """Rows from a CSV or Parquet file or a Delta table, on a disk or in an object store."""

    kind: Literal["table"]
    url: Url = Field(
        min_length=1,
        description="File path or URL; {data} stands for the installation's data URL.",
        examples=["{data}/shops.csv"],
    )


class SqlSource(Rows):
    """Rows from a relational database."""

    kind: Literal["sql"]
    connection: str = Field(
        pattern=r"^[A-Za-z0-9_.-]{1,128}$",
        description="Airflow connection; outside Airflow the variable KREISLAUF_CONNECTION_<NAME> (a SQLAlchemy URL).",
        examples=["shops_db"],
    )
    query: str = Field(
        min_length=1,
        max_length=20_000,
        description="One SELECT.",
        examples=["SELECT shop, month_start, revenue, growth FROM shop_months"],
    )


class OwnSource(Rows):
    """Rows from the use case's own ``source.py``, whose ``read(options, as_of, access)`` gives a DataFrame."""

    kind: Literal["own"]
    options: dict[str, JsonValue] = Field(
        {},
        description="Given to read as they stand here.",
        examples=[{"url": "https://sensors.example/api", "sites": ["north", "south"]}],
    )


class CountColumn(Section):
    """One number per technology and period, made from a source's counts."""

    measure: str = Field(
        pattern=r"^[a-z_]{1,32}$", description="What is counted, such as stars.", examples=["stars"]
    )
    by: Literal["language", "repository", "topic", "tag", "term"] = Field(
        description="Which of the technology's names count.", examples=["repository"]
    )
    show: Literal["count", "share"] = Field(
        "share", description="share: of all that the source counted.", examples=["count"]
    )


class Counted(Section):
    """Base of the sources that are counted per technology and period.

    ``GIVES`` says what a kind counts: by which names of a technology -> the measures.
    """

    GIVES: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    name: Name = Field(description="Told apart by it: in data sheets and versions.", examples=["counts"])
    since: Day = Field(description="First day that is collected.", examples=["2011-01-01"])
    vintage: Vintage = Field(
        "first",
        description="Of several counts of the same thing: the one taken first after the period's end, or the latest.",
        examples=["first"],
    )
    revisit_periods: int = Field(
        0, ge=0, le=40, description="Past periods that are counted again at each collection.", examples=[1]
    )
    available_after_hours: int = Field(
        0,
        ge=0,
        le=24 * 365,
        description="Hours from the end of a file, window or thread to its data.",
        examples=[2],
    )
    columns: dict[ColumnName, CountColumn] = Field(
        min_length=1, description="What is made from the counts, by the name of the raw column."
    )

    @field_validator("columns")
    @classmethod
    def _columns_are_given(cls, columns: dict[str, CountColumn]) -> dict[str, CountColumn]:
        for name, column in columns.items():
            if column.measure not in cls.GIVES.get(column.by, ()):
                given = "; ".join(f"{', '.join(measures)} by {by}" for by, measures in cls.GIVES.items())
                raise inconsistent(
                    f"column {name}: there are no {column.measure} by {column.by}", allowed=given
                )
        return columns


class GithubEventsSource(Counted):
    """GH Archive: one gzip file of JSON lines per hour, by base URL, folder or object store."""

    GIVES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "language": ("pull_requests", "pushes", "stars", "issues", "forks"),
        "repository": ("pull_requests", "pushes", "stars", "issues", "forks"),
        "topic": ("pull_requests",),
    }

    kind: Literal["github_events"]
    available_after_hours: int = Field(
        2, ge=0, le=24 * 365, description="Hours from the end of a file to its data.", examples=[2]
    )
    url: Url = Field(
        "https://data.gharchive.org",
        description="Where {year}-{month}-{day}-{hour}.json.gz lie.",
        examples=["https://data.gharchive.org"],
    )
    days: tuple[Annotated[int, Field(ge=1, le=31)], ...] = Field(
        (), strict=False, description="Days of the month that are read; empty: every day.", examples=[[15]]
    )
    hours: tuple[Annotated[int, Field(ge=0, le=23)], ...] = Field(
        (),
        strict=False,
        description="Hours of the day that are read (UTC); empty: every hour.",
        examples=[[15]],
    )
    api: str = Field(
        "https://api.github.com",
        description="Where a repository's language is asked for.",
        examples=["https://api.github.com"],
    )
    revision: int = Field(1, ge=1, description="Raise it to have all files read anew.", examples=[1])
    look_ups: int = Field(
        0, ge=0, le=100_000, description="Repositories that one task may ask for.", examples=[1000]
    )
    keep_repositories_from: int = Field(
        3,
        ge=1,
        description="Stars in one file from which a repository outside the catalogue is kept.",
        examples=[3],
    )


class StackOverflowSource(Counted):
    """Questions per tag, from the Stack Exchange API or from a data dump."""

    GIVES: ClassVar[Mapping[str, tuple[str, ...]]] = {"tag": ("questions",)}

    kind: Literal["stackoverflow"]
    url: Url = Field(
        "https://api.stackexchange.com/2.3",
        description="The API's base URL; or the folder or URL of a dump (Posts.xml, .gz allowed), {data} allowed.",
        examples=["https://api.stackexchange.com/2.3"],
    )
    site: str = Field(
        "stackoverflow",
        pattern=r"^[a-z0-9.]{1,64}$",
        description="Site of the Stack Exchange network.",
        examples=["stackoverflow"],
    )
    read: Literal["totals", "questions", "dump"] = Field(
        "totals",
        description="totals: one request per tag and window; questions: every question's tags.",
        examples=["totals"],
    )
    window: Literal["month", "quarter"] = Field(
        "quarter", description="Time over which questions are counted.", examples=["quarter"]
    )


class JobAdsSource(Counted):
    """Job advertisements and the technologies that they name."""

    GIVES: ClassVar[Mapping[str, tuple[str, ...]]] = {"term": ("ads",)}

    kind: Literal["job_ads"]
    provider: Literal["hacker_news", "arbeitsagentur", "adzuna"] = Field(
        "hacker_news", description="Whose advertisements are read.", examples=["hacker_news"]
    )
    url: Url = Field(
        "",
        description="Base URL of the API, or folder of recorded threads; empty: the provider's.",
        examples=["{data}/threads"],
    )
    country: str = Field("gb", pattern=r"^[a-z]{2}$", description="Adzuna's market.", examples=["gb"])
    keep_terms_from: int = Field(
        3,
        ge=1,
        description="Advertisements in one thread from which a term outside the catalogue is kept.",
        examples=[3],
    )


# make add-source: models above this line

Source = Annotated[
    TableSource
    | SqlSource
    | OwnSource
    | GithubEventsSource
    | StackOverflowSource
    | JobAdsSource,
    Field(discriminator="kind"),
]  # fmt: skip
