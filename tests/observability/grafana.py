"""What Grafana needs of a dashboard's JSON, of the parts that the bundle uses: strict, so that a slip is seen."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
# https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options: ids of its unit picker
UNITS = ("short", "none", "s", "ms", "bytes", "percentunit", "percent", "reqps", "cps", "ops")


class Strict(BaseModel):
    """No field that Grafana would pass over."""

    model_config = ConfigDict(extra="forbid")


class Source(Strict):
    """Where data come from; always by the variable, so that a dashboard can be imported anywhere."""

    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Grafana(Strict):
    type: Literal["grafana"]
    uid: Literal["-- Grafana --"]


class Place(Strict):
    h: int = Field(ge=1)
    w: int = Field(ge=1, le=24)
    x: int = Field(ge=0, le=23)
    y: int = Field(ge=0)


class Target(Strict):
    datasource: Source
    editorMode: Literal["code"]
    expr: Text
    legendFormat: str
    refId: Annotated[str, Field(pattern=r"^[A-Z]$")]
    instant: bool
    range: bool
    format: Literal["table", "heatmap"] | None = None


class Step(Strict):
    color: Literal["red", "orange", "green", "blue"]
    value: float | None


class Thresholds(Strict):
    mode: Literal["absolute"]
    steps: Annotated[list[Step], Field(min_length=1)]


class Color(Strict):
    mode: Literal["thresholds", "palette-classic"]


class Mapping(Strict):
    type: Literal["value"]
    options: dict[str, Any]


class Defaults(Strict):
    unit: Literal[UNITS]  # type: ignore[valid-type]
    thresholds: Thresholds
    mappings: list[Mapping]
    color: Color
    min: float | None = None
    custom: dict[str, Any] | None = None


class Fields(Strict):
    defaults: Defaults
    overrides: list[Any]


class Transformation(Strict):
    id: Literal["organize"]
    options: dict[str, Any]


class Panel(Strict):
    id: int = Field(ge=1)
    type: Literal["stat", "timeseries", "bargauge", "table", "heatmap"]
    title: Text
    description: Text
    datasource: Source
    gridPos: Place
    fieldConfig: Fields
    options: dict[str, Any]
    targets: Annotated[list[Target], Field(min_length=1)]
    transformations: list[Transformation] = []


class Row(Strict):
    id: int = Field(ge=1)
    type: Literal["row"]
    title: Text
    collapsed: Literal[False]
    gridPos: Place
    panels: Annotated[list[Any], Field(max_length=0)]


class SourceVariable(Strict):
    name: Literal["datasource"]
    label: Text
    type: Literal["datasource"]
    query: Literal["prometheus"]
    regex: str
    hide: Literal[0]
    includeAll: Literal[False]
    multi: Literal[False]
    refresh: Literal[1]
    options: list[Any]
    current: dict[str, Any]


class Query(Strict):
    qryType: Literal[1]
    query: Text
    refId: Text


class QueryVariable(Strict):
    name: Literal["use_case", "dag"]
    label: Text
    type: Literal["query"]
    datasource: Source
    definition: Annotated[str, Field(pattern=r"^label_values\(\w+, \w+\)$")]
    query: Query
    regex: str
    hide: Literal[0]
    includeAll: Literal[True]
    allValue: Literal[".*"]
    multi: Literal[True]
    refresh: Literal[2]
    sort: int
    options: list[Any]
    current: dict[str, Any]


class Variables(Strict):
    list: list[SourceVariable | QueryVariable]


class Annotation(Strict):
    datasource: Source | Grafana
    enable: bool
    hide: bool
    iconColor: Text
    name: Text
    builtIn: Literal[1] | None = None
    type: Literal["dashboard"] | None = None
    expr: Text | None = None
    step: str | None = None
    titleFormat: str | None = None
    textFormat: str | None = None


class Annotations(Strict):
    list: list[Annotation]


class Link(Strict):
    type: Literal["dashboards"]
    title: Text
    tags: list[str]
    asDropdown: bool
    includeVars: bool
    keepTime: bool
    icon: str
    targetBlank: bool
    tooltip: str
    url: str


class Span(Strict):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    since: str = Field(alias="from")
    to: str


class Dashboard(Strict):
    """One file of ``include/observability/grafana/dashboards``."""

    uid: Annotated[str, Field(pattern=r"^kreislauf-[a-z]+$", max_length=40)]
    title: Annotated[str, Field(pattern=r"^Kreislauf: ")]
    description: Text
    tags: list[str]
    schemaVersion: int = Field(ge=39)
    version: int
    id: None
    editable: bool
    graphTooltip: Literal[0, 1, 2]
    refresh: str
    time: Span
    timezone: Literal["browser", "utc"]
    fiscalYearStartMonth: int
    weekStart: str
    liveNow: bool
    timepicker: dict[str, Any]
    annotations: Annotations
    links: list[Link]
    templating: Variables
    panels: Annotated[list[Panel | Row], Field(min_length=1)]
