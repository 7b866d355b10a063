"""Leak checks: every kind of planted leak is found and named, and honest features have none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.preparation.features import load_features
from include.kreislauf.preparation.leaks import Leak, correlated_leaks, cuts, future_leaks
from include.kreislauf.settings import ROOT
from include.kreislauf.simulation.panel import PANEL_PATH
from tests.preparation.worlds import RADAR, honest, module, raw, visible, with_features
from tests.support.use_cases import EXAMPLE

AS_OF = date(2016, 1, 1)
PROBLEM = RADAR.problem
REAL_PANEL = ROOT.parent / "shared" / "data" / PANEL_PATH
Build = Callable[[pd.DataFrame, date], pd.DataFrame]


def found(build: Build, rows: pd.DataFrame | None = None, checks: int = 3) -> dict[str, Leak]:
    leaks = future_leaks(module(build, "extra"), raw() if rows is None else rows, AS_OF, PROBLEM, checks)
    return {leak.feature: leak for leak in leaks}


def planted(extra: Callable[[pd.DataFrame], pd.Series]) -> Build:
    """Honest features beside one that a test gives, made from the rows visible at ``as_of``."""

    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        seen = visible(rows, as_of)
        return with_features(seen, extra=extra(seen))

    return build


def of_entity(values: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda seen: seen.groupby("tech")["y"].transform(values)


@pytest.mark.parametrize(
    ("extra", "least"),
    [
        (lambda y: y.shift(-1), 0.05),
        (lambda y: y.shift(-1).fillna(0.0), 0.05),
        (lambda y: y.rolling(3, center=True).mean(), 0.05),
        (lambda y: (y - y.mean()) / y.std(), 0.9),
        (lambda y: y.rank(), 0.2),
        (lambda y: y.bfill().where(y.index % 2 == 0).bfill(), 0.01),
        (lambda y: y.interpolate().max() - y, 0.0),
    ],
    ids=[
        "shift",
        "shift filled",
        "centred",
        "z-score",
        "rank",
        "filled backwards",
        "distance to the largest",
    ],
)
def test_a_feature_that_reads_the_future_is_found(
    extra: Callable[[pd.Series], pd.Series], least: float
) -> None:
    leaks = found(planted(of_entity(extra)))
    assert list(leaks) == ["extra"]
    assert (leaks["extra"].what, leaks["extra"].unit) == ("future", "share of rows that differ")
    assert leaks["extra"].value > least
    assert leaks["extra"].cut in cuts(raw(), AS_OF, PROBLEM, 3)


@pytest.mark.parametrize(
    "extra",
    [
        lambda y: y.shift(1), lambda y: y.rolling(3).mean(), lambda y: y.expanding().mean(),
        lambda y: y.ewm(alpha=0.3).mean(), lambda y: (y - y.expanding().mean()) / y.expanding().std(),
        lambda y: 1e12 * y.rolling(4).sum(),
        lambda y: 1e12 * (y.sum() - y[::-1].cumsum()[::-1] + y),
    ],
)  # fmt: skip
def test_a_feature_that_looks_back_is_none(extra: Callable[[pd.Series], pd.Series]) -> None:
    assert found(planted(of_entity(extra))) == {}


def test_a_category_that_reads_the_future_is_found() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        seen = visible(rows, as_of)
        grows = seen.groupby("tech")["x"].transform("last") > seen["x"]
        return with_features(seen, extra=0.0, kind=np.where(grows, "grows", "falls"))

    assert list(found(build)) == ["kind"]


def test_a_row_that_is_there_only_because_of_the_future_is_found() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        seen = visible(rows, as_of)
        survived = seen.groupby("tech")["quarter_start"].transform("max") >= pd.Timestamp("2015-10-01")
        return with_features(seen[survived], extra=0.0)

    leaks = found(build)
    assert list(leaks) == ["rows"]
    assert leaks["rows"].value == 1.0


def test_a_row_that_vanishes_because_of_the_future_is_found() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        seen = visible(rows, as_of)
        return with_features(seen[seen.groupby("tech")["x"].transform("min") > -3.0], extra=0.0)

    assert "rows" in found(build)


def test_a_target_before_its_time_is_found() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        table = with_features(visible(rows, as_of), extra=0.0)
        return table.assign(target=table["target"].fillna(0.0))

    leaks = found(build)
    assert list(leaks) == ["target"]


def test_a_target_before_its_time_is_found_at_a_cut() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        table = with_features(visible(rows, as_of), extra=0.0)
        return table if as_of == AS_OF else table.assign(target=table["target"].fillna(0.0))

    leaks = found(build)
    assert list(leaks) == ["target"]
    assert leaks["target"].cut != AS_OF


def test_a_target_that_the_future_changes_is_found() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        table = with_features(visible(rows, as_of), extra=0.0)
        return table.assign(target=table["target"] - table["target"].mean())

    leaks = found(build)
    assert list(leaks) == ["target"]
    assert leaks["target"].value > 0.9


def test_code_that_ignores_as_of_is_found_where_the_raw_data_know_more() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        return with_features(rows.sort_values(["tech", "quarter_start"]), extra=0.0)

    leaks = found(build, raw(quarters=30))
    assert set(leaks) == {"rows", "target"}
    assert found(build) == {}


def test_a_longer_horizon_keeps_targets_back_for_longer() -> None:
    two = PROBLEM.model_copy(update={"horizon": 2})
    leaks = future_leaks(module(honest), raw(), AS_OF, two, 3)
    assert [leak.feature for leak in leaks] == ["target"]


def test_code_that_finds_too_little_at_a_cut_has_no_rows_there() -> None:
    from include.kreislauf.errors import PreparationError

    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        if as_of < date(2015, 6, 1):
            raise PreparationError("too short")
        return with_features(visible(rows, as_of), extra=0.0)

    assert found(build)["rows"].value == 1.0


def test_code_that_changes_its_input_does_not_disturb_the_comparison() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        table = honest(rows, as_of).assign(extra=0.0)
        rows["x"] = 0.0
        return table

    given = raw()
    assert found(build, given) == {}
    pd.testing.assert_frame_equal(given, raw())


def test_cuts_lie_in_the_later_half_and_never_at_its_end() -> None:
    assert cuts(raw(), AS_OF, PROBLEM, 3) == (date(2013, 4, 1), date(2014, 7, 1), date(2015, 10, 1))
    assert cuts(raw(), AS_OF, PROBLEM, 1) == (date(2013, 4, 1),)
    assert len(cuts(raw(), AS_OF, PROBLEM, 20)) == 11
    assert cuts(raw(), AS_OF, PROBLEM, 0) == ()
    assert cuts(raw(quarters=1), AS_OF, PROBLEM, 3) == ()


def test_without_checks_nothing_is_built() -> None:
    def build(rows: pd.DataFrame, as_of: date) -> pd.DataFrame:
        raise AssertionError

    assert found(build, checks=0) == {}


# Correlation


def rows(count: int, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"level": rng.normal(size=count), "change": 1.0, "target": rng.normal(size=count)})
    return frame.assign(**columns)


def test_a_copy_of_the_target_is_found() -> None:
    frame = rows(60)
    copies = frame.assign(change=-np.exp(frame["target"]))
    assert correlated_leaks(copies, module(honest), PROBLEM, 0.98) == (
        Leak("change", "correlation", -1.0, "rank correlation"),
    )
    assert correlated_leaks(copies, module(honest), PROBLEM, 1.0)[0].unit == "rank correlation"


def test_honest_constant_and_excluded_features_are_none() -> None:
    assert correlated_leaks(rows(60), module(honest), PROBLEM, 0.98) == ()
    assert correlated_leaks(rows(60).drop(columns="change"), module(honest), PROBLEM, 0.98) == ()


@pytest.mark.parametrize(("known", "leaks"), [(29, 0), (30, 1)])
def test_few_rows_say_nothing(known: int, leaks: int) -> None:
    frame = rows(60)
    frame["change"] = frame["target"]
    frame.loc[known:, "target"] = np.nan
    assert len(correlated_leaks(frame, module(honest), PROBLEM, 0.98)) == leaks


@given(noise=st.floats(0, 3), limit=st.sampled_from([0.6, 0.9, 0.98]), seed=st.integers(0, 99))
def test_the_limit_decides_as_spearmans_correlation(noise: float, limit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = rows(50).assign(target=lambda one: one["level"] + noise * rng.normal(size=50))
    expected = abs(frame["level"].corr(frame["target"], method="spearman")) >= limit
    assert bool(correlated_leaks(frame, module(honest), PROBLEM, limit)) == expected


# The practice example


@pytest.fixture(scope="module")
def simulated(simulated_panel: Path) -> pd.DataFrame:
    return pd.read_csv(simulated_panel, parse_dates=["quarter_start"])


def radar_leaks(panel: pd.DataFrame, as_of: date, checks: int) -> tuple[Leak, ...]:
    features = load_features(EXAMPLE.parent, EXAMPLE.name)
    frame = features.build(panel.copy(), as_of)
    future = future_leaks(features, panel, as_of, PROBLEM, checks)
    return (*future, *correlated_leaks(frame, features, PROBLEM, RADAR.preparation.leak_correlation))


@pytest.mark.parametrize("as_of", [AS_OF, date(2018, 1, 1)])
def test_the_radar_has_no_leak_in_the_simulated_world(simulated: pd.DataFrame, as_of: date) -> None:
    assert radar_leaks(simulated, as_of, 5) == ()


@settings(max_examples=5, deadline=None)
@given(entities=st.sets(st.integers(0, 9), min_size=3), checks=st.integers(1, 4))
def test_the_radar_has_no_leak_in_parts_of_the_simulated_world(
    simulated: pd.DataFrame, entities: set[int], checks: int
) -> None:
    chosen = [
        name for number, name in enumerate(sorted(simulated["tech"].unique())) if number % 10 in entities
    ]
    assert radar_leaks(simulated[simulated["tech"].isin(chosen)], AS_OF, checks) == ()


@pytest.mark.parametrize("as_of", [AS_OF, date(2019, 4, 1)])
def test_the_radar_has_no_leak_in_the_real_panel(as_of: date) -> None:
    if not REAL_PANEL.exists():
        pytest.skip("the real panel is not beside the repository; the simulated one covers the same laws")
    assert radar_leaks(pd.read_csv(REAL_PANEL, parse_dates=["quarter_start"]), as_of, 5) == ()


@pytest.mark.parametrize("leak", ["change_1", "kind", "target", "season"])
def test_a_leak_planted_in_the_radar_is_found(simulated: pd.DataFrame, leak: str) -> None:
    features = load_features(EXAMPLE.parent, EXAMPLE.name)
    honestly = features.build

    def build(panel: pd.DataFrame, as_of: date) -> pd.DataFrame:
        table = honestly(panel, as_of)
        last = table.groupby("entity")["level"].transform("last")
        return table.assign(**{leak: last if leak in ("change_1", "target") else last.astype("str")})

    features.build = build  # type: ignore[method-assign]
    assert [one.feature for one in future_leaks(features, simulated, AS_OF, PROBLEM, 2)] == [leak]
