"""Quality gates: what must hold before a version exists, each shown to bite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.collection.quality import Finding, findings
from include.kreislauf.requirements.contract import Contract, Quality
from include.kreislauf.requirements.loading import load_contract
from include.kreislauf.settings import ROOT
from tests.collection.test_panel import observed
from tests.support.folder_source import FolderSource, config, months_of, write_months

AS_OF = datetime(2017, 1, 1, tzinfo=UTC)


@pytest.fixture
def contract() -> Iterator[Contract]:
    """The shipped contract, over the folder's source."""
    shipped = load_contract(ROOT / "include" / "use_cases" / "technology_radar" / "contract.yaml")
    quality = Quality(min_rows=4, min_entities=2, max_missing_periods=1)
    yield shipped.model_copy(update={"sources": (config(),), "quality": quality})


def frame(**changes: object) -> pd.DataFrame:
    """A panel of two technologies and four quarters."""
    quarters = pd.date_range("2016-01-01", periods=4, freq="QS")
    whole = pd.DataFrame(
        [
            {"tech": tech, "quarter_start": quarter, "share": 0.5, "count": 3.0}
            for tech in ("ada", "cobol")
            for quarter in quarters
        ]
    )
    return whole.assign(**changes)  # type: ignore[arg-type]


def levels(found: list[Finding]) -> dict[str, str]:
    """The worst of each rule."""
    return {one.rule: one.level for one in reversed(found)}


def judged(tmp_path: Path, contract: Contract, table: pd.DataFrame | None = None) -> list[Finding]:
    return findings(frame() if table is None else table, [observed(tmp_path)], contract, AS_OF)


def test_sound_data_pass_every_rule(tmp_path: Path, contract: Contract) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=60, cobol=30)
    assert levels(judged(tmp_path, contract)) == {
        "completeness": "ok",
        "freshness": "ok",
        "range": "ok",
        "volume": "ok",
    }


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("share", 1.5, "share fails less_than_or_equal_to(1), found 1.5"),
        ("share", -0.1, "share fails greater_than_or_equal_to(0), found -0.1"),
        ("count", float("inf"), "count fails finite, found inf"),
        ("tech", "ada", "unique"),
    ],
)
def test_a_number_out_of_range_breaks_the_range(
    tmp_path: Path, contract: Contract, column: str, value: object, said: str
) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=60)
    first = judged(tmp_path, contract, frame(**{column: value}))[0]
    if column == "tech":  # one technology: the key repeats, and so does the completeness rule break
        first = next(one for one in findings(frame(tech="ada"), [], contract.model_copy(
            update={"quality": Quality(min_entities=1)}), AS_OF) if one.rule == "range")  # fmt: skip
    assert (first.rule, first.level) == ("range", "broken")
    assert said in first.text


@pytest.mark.parametrize(("gone", "level"), [(2, "warning"), (5, "broken")])
def test_periods_without_files_are_told_and_too_many_break(
    tmp_path: Path, contract: Contract, gone: int, level: str
) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=60)
    for month in months_of(2015)[3 : 3 + gone]:
        (tmp_path / "source" / f"{month}.json").unlink()
    found = next(
        one
        for one in judged(tmp_path, contract)
        if one.text.startswith("folder") and one.rule == "completeness"
    )
    assert found.level == level
    assert "2015-04" in found.text


@pytest.mark.parametrize(
    ("factor", "level"), [(0.1, "broken"), (0.5, "ok"), (1.0, "ok"), (3.0, "ok"), (20.0, "broken")]
)
def test_a_volume_unlike_all_before_breaks(
    tmp_path: Path, contract: Contract, factor: float, level: str
) -> None:
    write_months(tmp_path / "source", months_of(2015, 2016), ada=10)
    write_months(tmp_path / "source", months_of(2016)[9:], ada=int(10 * factor))
    assert levels(judged(tmp_path, contract))["volume"] == level


def test_a_stale_source_breaks_freshness(contract: Contract) -> None:
    found = findings(frame(), [], contract, datetime(2018, 1, 1, tzinfo=UTC))
    assert (found[0].rule, found[0].level) == ("freshness", "broken")
    assert (
        found[0]
        .error()
        .text.startswith("quality: the newest row is of 2016-10-01, 5 quarters before 2018-01-01")
    )


def test_a_change_of_format_that_breaks_nothing_is_told(tmp_path: Path, contract: Contract) -> None:
    class Warned(FolderSource):
        def read(self, unit):  # type: ignore[no-untyped-def]
            reading = super().read(unit)
            reading.warnings.append("additive: payload.extra")
            return reading

    write_months(tmp_path / "source", months_of(2015, 2016), ada=60)
    seen = observed(tmp_path, source_class=Warned)
    found = [one for one in findings(frame(), [seen], contract, AS_OF) if one.rule == "schema"]
    assert [(one.level, one.text) for one in found] == [
        ("warning", "folder: additive: payload.extra (24 files)")
    ]
