"""Source kind ``own``: rows from a use case's own ``source.py``, checked as those of a table."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from include.kreislauf.collection.access import Access, AccessRules
from include.kreislauf.collection.sources.own import read_own
from include.kreislauf.collection.step import collect_alone
from include.kreislauf.errors import ContractError, SourceError
from include.kreislauf.handovers import Handover, Loop, Reason, StepResult
from include.kreislauf.requirements.contract import Problem
from include.kreislauf.requirements.loading import contract_path, load_contract
from include.kreislauf.requirements.sources import Column, OwnSource
from include.kreislauf.settings import ROOT, Settings

BAKERY = ROOT / "tests" / "use_cases" / "bakery"
AS_OF = datetime(2016, 7, 1, 6, tzinfo=UTC)
PROBLEM = Problem(kind="regression", entity="shop", time="month", period="month", target="sold")
SOURCE = OwnSource(
    kind="own", name="sales", options={"shops": ["a", "b"], "most": 9},
    columns={
        "shop": Column(type="text", required=True), "month": Column(type="date", required=True),
        "sold": Column(type="number", minimum=0),
    },
)  # fmt: skip
ROWS = '{"shop": ["a", "b"], "month": ["2016-05-01", "2016-05-01"], "sold": [1, 2]}'


def read(folder: Path, body: str, as_of: datetime = AS_OF) -> pd.DataFrame:
    """What a ``read`` of this body gives, after all checks."""
    code = f"import pandas as pd\ndef read(options, as_of, access):\n    {body}\n"
    (folder / "source.py").write_text(code)
    return read_own(SOURCE, PROBLEM, Access(AccessRules(data=str(folder))), as_of, folder)


def refused(folder: Path, body: str) -> SourceError:
    with pytest.raises(SourceError) as error:
        read(folder, body)
    return error.value


def test_rows_come_in_the_contracts_types_and_order(tmp_path: Path) -> None:
    frame = read(
        tmp_path, f"return pd.DataFrame({ROWS} | {{'more': 1}}).sort_values('sold', ascending=False)"
    )
    assert list(frame.columns) == ["shop", "month", "sold"]
    assert frame["sold"].tolist() == [1.0, 2.0]
    assert frame["month"].dtype.kind == "M"


def test_it_is_told_options_time_and_the_way_out(tmp_path: Path) -> None:
    frame = read(
        tmp_path,
        "return pd.DataFrame({'shop': options['shops'], 'month': [as_of.strftime('%Y-05-01')] * 2,"
        " 'sold': [int(access.hide('7')), options.pop('most')]})",
    )
    assert frame["sold"].tolist() == [7.0, 9.0]
    assert SOURCE.options["most"] == 9


def test_what_is_not_available_yet_is_left_out(tmp_path: Path) -> None:
    months = ROWS.replace('"2016-05-01"]', '"2016-07-01"]')
    assert read(tmp_path, f"return pd.DataFrame({months})")["shop"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("body", "what", "where"),
    [
        ("return 1 / 0", "read fails: ZeroDivisionError: division by zero", "{path}, line 3"),
        ("return [1]", "read gives list", "{path}"),
        ("pass", "read gives NoneType", "{path}"),
        ("return pd.DataFrame({'shop': ['a']})", "column month, sold is missing; the file has shop", "sales ({path})"),
        (f"return pd.DataFrame({ROWS}).head(0)", "has columns but no rows", "sales ({path})"),
        (f"return pd.DataFrame({ROWS})[['shop', 'month', 'sold', 'sold']]", "read gives column sold twice", "{path}"),
        (f"return pd.concat([pd.DataFrame({ROWS})] * 2)", "shop: duplicate rows, found 'a' in row 1", "sales ({path})"),
        (f"return pd.DataFrame({ROWS}).assign(sold=-1)", "sold: fails greater_than_or_equal_to(0.0), found -1.0 in row 1", "sales ({path})"),
        (f"return pd.DataFrame({ROWS}).assign(sold='many')", "column sold: 'many' in row 1 is not a number", "sales ({path})"),
        (f"return pd.DataFrame({ROWS}).assign(sold=[[1], {{}}])", "column sold: [1] in row 1 is not a number", "sales ({path})"),
        (f"return pd.DataFrame({ROWS}, index=[4, 4]).assign(month='May')", "column month: 'May' in row 1 is not a date", "sales ({path})"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(tmp_path: Path, body: str, what: str, where: str) -> None:
    error = refused(tmp_path, body)
    assert error.what.startswith(what)
    assert error.where == where.format(path=tmp_path / "source.py")
    assert not error.transient


def test_errors_of_the_way_out_pass_as_they_are(tmp_path: Path) -> None:
    error = refused(tmp_path, "return access.connection('nowhere')")
    assert error.what == "no such connection"
    busy = "from include.kreislauf.errors import SourceError; raise SourceError('is busy', transient=True)"
    assert refused(tmp_path, busy).transient


def test_a_secret_shows_in_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KREISLAUF_SECRET_BAKERY", "s3cr3t-of-the-bakery")
    error = refused(tmp_path, "raise ValueError('with ' + access.secret('bakery'))")
    assert "s3cr3t" not in error.text


def collected(home: Path, use_cases: Path) -> StepResult:
    settings = Settings(home=home, use_cases=use_cases, data=str(BAKERY / "data"))
    contract = load_contract(contract_path(use_cases, "bakery"))
    return collect_alone(contract, settings, as_of=datetime(2024, 1, 10, tzinfo=UTC), now=AS_OF)


@pytest.fixture
def use_cases(tmp_path: Path) -> Path:
    shutil.copytree(BAKERY, tmp_path / "use_cases" / "bakery", ignore=shutil.ignore_patterns("data"))
    return tmp_path / "use_cases"


def test_a_collection_takes_it_as_any_source(tmp_path: Path, use_cases: Path) -> None:
    result = collected(tmp_path / "home", use_cases)
    message = result.message
    assert isinstance(message, Handover)
    assert "- `sales` (own): `source.py`" in result.document
    assert message.summary["rows"] == 8 * 24
    assert message.summary["last_period"] == "2023-12-01"


def test_the_source_is_part_of_the_address_and_the_metrics_are_not(tmp_path: Path, use_cases: Path) -> None:
    addresses = []
    for changed in (None, "metrics.py", "source.py"):
        if changed:
            path = use_cases / "bakery" / changed
            path.write_text(path.read_text() + "# a remark\n")
        message = collected(tmp_path / "home", use_cases).message
        assert isinstance(message, Handover)
        addresses.append(message.address)
    assert addresses[0] == addresses[1] != addresses[2]


def test_what_fails_goes_back_to_requirements_with_its_line(tmp_path: Path, use_cases: Path) -> None:
    path = use_cases / "bakery" / "source.py"
    path.write_text("def read(options, as_of, access):\n    raise KeyError('till')\n")
    message = collected(tmp_path / "home", use_cases).message
    assert isinstance(message, Loop)
    assert (message.reason, message.text.split(":")[0]) == (Reason.SOURCE_FAILED, f"{path}, line 2")


@pytest.mark.parametrize(
    ("name", "said"), [("source.py", "source sales is of kind own"), ("metrics.py", "metric earned is of kind own")]
)  # fmt: skip
def test_a_contract_without_its_files_is_refused(use_cases: Path, name: str, said: str) -> None:
    (use_cases / "bakery" / name).unlink()
    with pytest.raises(ContractError, match=f"{said}, but there is no {name}"):
        load_contract(contract_path(use_cases, "bakery"))
