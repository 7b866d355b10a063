"""The radar's features: what they contain, and that they never know the future."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.errors import PreparationError
from include.use_cases.technology_radar import features

REAL_PANEL = Path(__file__).resolve().parents[3].parent / "shared/data/panel/tech_quarter_panel.csv"
AS_OF = date(2016, 1, 1)
LAST = date(2018, 1, 1)


def panel(seed: int = 0, quarters: int = 24, techs: int = 8) -> pd.DataFrame:
    """A small raw panel from 2012Q1: half languages, half others; the last technology appears later."""
    rng = np.random.default_rng(seed)
    starts = pd.date_range("2012-01-01", periods=quarters, freq="QS")
    rows = []
    for tech in range(techs):
        language = tech % 2 == 0
        first = quarters // 2 if tech == techs - 1 else 0
        size = np.exp(np.cumsum(rng.normal(0, 0.1, quarters)))[first:]
        frame = pd.DataFrame({"quarter_start": starts[first:].strftime("%Y-%m-%d")})
        frame["tech"], frame["kind"] = f"tech{tech}", "language" if language else "web"
        frame["gh_pull_requests_share"] = 0.05 * size if language else np.nan
        frame["gh_repo_new_stars"] = np.nan if language else 500 * size
        frame["so_share_first"] = 0.02 * size * rng.lognormal(0, 0.05, len(size))
        frame["jobs_with_tech"] = rng.poisson(40 * size)
        frame["jobs_share"] = frame["jobs_with_tech"] / 1000
        rows.append(frame)
    return pd.concat(rows, ignore_index=True)


def real_panel() -> pd.DataFrame:
    if not REAL_PANEL.exists():
        pytest.skip(f"the real panel is not at {REAL_PANEL}; generated panels cover the same laws")
    return pd.read_csv(REAL_PANEL)


def without_unknown_targets(frame: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """A later frame as it must have looked at ``as_of``."""
    seen = frame[frame["period"] + pd.DateOffset(months=3) <= pd.Timestamp(as_of)].copy()
    seen.loc[seen["period"] + pd.DateOffset(months=6) > pd.Timestamp(as_of), "target"] = np.nan
    return seen.reset_index(drop=True)


def test_columns_keys_and_values() -> None:
    frame = features.build(panel(), LAST)
    assert list(frame.columns) == list(features.COLUMNS)
    assert not frame.duplicated(["entity", "period"]).any()
    assert np.isfinite(frame[list(features.NUMERIC)].to_numpy()).all()
    assert frame[["entity", "kind", "season"]].notna().all(axis=None)
    assert frame[["entity", "period"]].equals(frame[["entity", "period"]].sort_values(["entity", "period"]))


def test_target_is_the_change_of_the_level_over_the_next_quarter() -> None:
    frame = features.build(panel(), LAST)
    of_one = frame[frame["entity"] == "tech1"]
    expected = of_one["level"].diff().shift(-1)
    np.testing.assert_allclose(of_one["target"], expected)
    np.testing.assert_allclose(of_one["change_1"].iloc[1:], of_one["target"].iloc[:-1])


def test_level_is_the_mean_of_the_logs_of_three_shares() -> None:
    raw = panel(quarters=6, techs=2).query("tech == 'tech0'").copy()
    raw[["gh_pull_requests_share", "so_share_first", "jobs_share"]] = 0.1
    frame = features.build(raw, LAST)
    assert len(frame) == 2
    # alone in the panel: each share is 1, but for the floor under that of advertisements
    np.testing.assert_allclose(frame["level"], np.log(1 + features.JOBS_FLOOR / 0.1) / 3, atol=1e-12)


@pytest.mark.parametrize(
    ("as_of", "newest"),
    [("2016-01-01", "2015-10-01"), ("2015-12-31", "2015-07-01"), ("2016-03-31", "2015-10-01")],
)
def test_a_quarter_is_visible_from_its_end(as_of: str, newest: str) -> None:
    frame = features.build(panel(), date.fromisoformat(as_of))
    assert frame["period"].max() == pd.Timestamp(newest)
    known = frame[frame["target"].notna()]
    assert known["period"].max() == pd.Timestamp(newest) - pd.DateOffset(months=3)


@pytest.mark.parametrize("as_of", [date(2014, 4, 1), AS_OF, date(2017, 10, 1)])
def test_a_later_as_of_changes_no_feature_and_no_known_target(as_of: date) -> None:
    for raw in (panel(), panel(seed=5, techs=3)):
        later = without_unknown_targets(features.build(raw, LAST), as_of)
        pd.testing.assert_frame_equal(features.build(raw, as_of), later, check_exact=True)


@pytest.mark.parametrize("as_of", [date(2014, 1, 1), AS_OF, date(2019, 7, 1)])
def test_a_later_as_of_changes_nothing_on_the_real_panel(as_of: date) -> None:
    raw = real_panel()
    later = without_unknown_targets(features.build(raw, date(2022, 1, 1)), as_of)
    pd.testing.assert_frame_equal(features.build(raw, as_of), later, check_exact=True)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(0.0, 50.0), seed=st.integers(0, 5))
def test_future_values_change_nothing(factor: float, seed: int) -> None:
    raw = panel(seed)
    changed = raw.copy()
    numbers = list(features.REQUIRED[3:])
    future = pd.to_datetime(raw["quarter_start"]) >= pd.Timestamp(AS_OF)
    changed[numbers] = changed[numbers].astype(float)
    changed.loc[future, numbers] *= factor
    expected = features.build(raw, AS_OF)
    pd.testing.assert_frame_equal(features.build(changed, AS_OF), expected, check_exact=True)
    pd.testing.assert_frame_equal(features.build(raw[~future], AS_OF), expected, check_exact=True)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_order_and_repetition_of_rows_do_not_matter(seed: int) -> None:
    raw = panel()
    repeated = pd.concat([raw, raw.sample(frac=0.3, random_state=seed)]).sample(frac=1, random_state=seed)
    expected = features.build(raw, LAST)
    pd.testing.assert_frame_equal(features.build(repeated, LAST), expected)


def test_of_rows_that_repeat_a_key_the_fuller_one_is_taken() -> None:
    raw = panel()
    partial = raw.copy()
    partial[["jobs_with_tech", "jobs_share"]] *= 0.5
    expected = features.build(raw, LAST)
    for both in (pd.concat([raw, partial]), pd.concat([partial, raw])):
        pd.testing.assert_frame_equal(features.build(both, LAST), expected)


def test_a_technology_qualifies_once_all_sources_have_seen_it_long_enough() -> None:
    raw = panel(quarters=24, techs=8)
    assert "tech7" not in set(features.build(raw, date(2016, 1, 1))["entity"])
    newest = features.build(raw, LAST)
    assert newest[newest["entity"] == "tech7"]["period"].min() == pd.Timestamp("2016-01-01")


def test_few_job_mentions_do_not_qualify_but_have_outcomes() -> None:
    raw = panel()
    raw.loc[raw["tech"] == "tech1", "jobs_with_tech"] = 2
    assert "tech1" not in set(features.build(raw, LAST)["entity"])
    assert "tech1" in set(features.outcomes(raw, LAST)["entity"])


def test_a_missing_quarter_is_a_gap_and_not_bridged() -> None:
    raw = panel()
    hole = (raw["tech"] == "tech2") & (raw["quarter_start"] == "2015-01-01")
    frame = features.build(raw[~hole], LAST)
    of_one = frame[frame["entity"] == "tech2"].set_index("period")
    assert of_one["target"].isna()["2014-10-01"]
    assert not {pd.Timestamp("2015-01-01"), pd.Timestamp("2015-04-01")} & set(of_one.index)
    assert pd.Timestamp("2016-04-01") in of_one.index


def test_outcomes_agree_with_targets() -> None:
    raw = panel()
    targets = features.build(raw, LAST).dropna(subset="target")
    outcomes = features.outcomes(raw, LAST)
    both = targets.merge(outcomes, on=["entity", "period"], validate="one_to_one")
    assert len(both) == len(targets) < len(outcomes)
    np.testing.assert_array_equal(both["target"], both["outcome"])


def test_nothing_visible_gives_an_empty_frame() -> None:
    frame = features.build(panel(), date(2010, 1, 1))
    assert frame.empty
    assert list(frame.columns) == list(features.COLUMNS)
    assert features.outcomes(panel(), date(2010, 1, 1)).empty


def test_a_missing_column_is_named() -> None:
    with pytest.raises(PreparationError, match="lack jobs_share"):
        features.build(panel().drop(columns="jobs_share"), LAST)


def test_an_unreadable_quarter_is_named() -> None:
    raw = panel().assign(quarter_start="last spring")
    with pytest.raises(PreparationError, match="quarter_start"):
        features.build(raw, LAST)


def test_on_the_real_panel_later_models_know_more_technologies() -> None:
    raw = real_panel()
    early, late = (set(features.build(raw, as_of)["entity"]) for as_of in (AS_OF, date(2022, 1, 1)))
    assert early < late
    assert {"tensorflow", "rust", "nextjs", "svelte"} <= late - early
    assert len(early) >= 30
