"""The observed panel: its columns, its magnitudes, its file, and what it hides."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.kreislauf.simulation import WorldParameters
from include.kreislauf.simulation.panel import COLUMNS, observed_panel, write_panel
from include.kreislauf.simulation.technologies import simulate

SHARES = ["gh_pull_requests_share", "so_share_first", "jobs_share"]
# Median of the absolute change of the log from quarter to quarter, from the real panel, 2012Q2 to 2021Q4.
REAL_NOISE = {
    "gh_pull_requests_share": 0.049, "gh_repo_new_stars": 0.111, "so_share_first": 0.065, "jobs_share": 0.155,
}  # fmt: skip


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return observed_panel(simulate(0))


def test_the_same_seed_gives_the_same_panel_and_another_one_does_not(panel: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(panel, observed_panel(simulate(0)))
    assert not panel.equals(observed_panel(simulate(1)))


def test_one_row_per_visible_technology_and_quarter_sorted(panel: pd.DataFrame) -> None:
    world = simulate(0)
    assert tuple(panel.columns) == COLUMNS
    assert len(panel) == (world.adoption > 0).sum()
    keys = list(zip(panel["tech"], panel["quarter_start"], strict=True))
    assert keys == sorted(set(keys))
    new = panel[panel["tech"].isin(world.emerging)]
    assert new["quarter_start"].min() == pd.Timestamp("2017-07-01")
    assert set(new["tech"]) == world.emerging


def test_what_a_new_technology_is_for_is_not_said_unless_it_is_a_language(panel: pd.DataFrame) -> None:
    world = simulate(0)
    kinds = panel.drop_duplicates("tech").set_index("tech")["kind"]
    for name, kind in zip(world.names, world.kinds, strict=True):
        new = name in world.emerging and kind != "language"
        assert kinds[name] == ("emerging" if new else kind)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), established=st.integers(1, 30), noise=st.floats(0, 0.3))
def test_shares_and_counts_agree_whatever_the_world(seed: int, established: int, noise: float) -> None:
    panel = observed_panel(simulate(seed, WorldParameters(established=established, source_noise=noise)))
    language = panel["kind"] == "language"
    assert panel["gh_pull_requests_share"].notna().equals(language)
    assert panel["gh_repo_new_stars"].isna().equals(language)
    assert panel[SHARES].min().min() >= 0
    assert panel[SHARES].max().max() < 1
    assert panel.groupby("quarter_start")["gh_pull_requests_share"].sum().max() <= 1
    assert np.allclose(panel["jobs_share"] * panel["jobs_ads"], panel["jobs_with_tech"])
    assert (panel["jobs_with_tech"] <= panel["jobs_ads"]).all()
    assert panel.groupby("quarter_start")["jobs_ads"].nunique().eq(1).all()


def test_magnitudes_and_noise_are_those_of_the_real_panel(panel: pd.DataFrame) -> None:
    per_quarter = panel.groupby("quarter_start")
    assert per_quarter["gh_pull_requests_share"].sum().between(0.85, 0.91).all()
    assert per_quarter["so_share_first"].sum().between(0.6, 1.2).all()
    assert per_quarter["jobs_share"].sum().between(1.5, 3.0).all()
    assert per_quarter["jobs_ads"].first().between(400, 3000).all()
    for column, typical in REAL_NOISE.items():
        values = panel[column].where(panel[column] > 0)
        change = pd.Series(np.log(values)).groupby(panel["tech"]).diff().abs().median()
        assert 0.7 * typical < change < 1.4 * typical, column


def test_a_written_panel_reads_back_as_it_was(panel: pd.DataFrame, tmp_path: Path) -> None:
    path = write_panel(simulate(0), tmp_path / "data")
    assert path == tmp_path / "data" / "panel" / "tech_quarter_panel.csv"
    read = pd.read_csv(path, parse_dates=["quarter_start"])
    pd.testing.assert_frame_equal(read, panel, check_dtype=False, check_exact=True)
    assert path.read_text("utf-8").splitlines()[1].split(",")[2] == f"{panel['quarter_start'][0]:%Y-%m-%d}"


def test_writing_again_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = write_panel(simulate(1), tmp_path)
    first = path.read_bytes()
    assert write_panel(simulate(2), tmp_path) == path
    assert path.read_bytes() != first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_panel(simulate(1), tmp_path)
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_panel(simulate(2), tmp_path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
