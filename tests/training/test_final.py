"""From the search to the hand-over: held-out predictions of earlier models only, and models of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.linear_model import Ridge

from include.kreislauf.preparation.splits import Splits
from include.kreislauf.requirements.science import Training
from include.kreislauf.training import families
from include.kreislauf.training.design import Rows
from include.kreislauf.training.families import Candidate, Family
from include.kreislauf.training.final import Trained, finish
from include.kreislauf.training.search import Searched, search
from include.kreislauf.training.trials import fit, predict
from tests.training.worlds import (
    DESIGN,
    SEED,
    TIMELESS,
    asked,
    broken,
    class_rows,
    frame,
    hanging,
    light,
    metric_of,
    raising,
    timeless,
)

pytestmark = pytest.mark.usefixtures("single_threaded")
THREE = ("ridge", "nearest_neighbours", "random_forest")


def searches(rows: Rows, splits: Splits, training: Training) -> list[Searched]:
    tried = {one.family: light(one.family, 1, rows.design.task) for one in training.candidates}
    return list(search(rows, tried, splits.search, metric_of(rows), seed=training.seed).values())


def trained(rows: Rows, *names: str, n_jobs: int = 1, **fields: Any) -> Trained:
    training = asked(*(names or THREE), **{"ensembles": ("mean", "stack"), "folds": 4, **fields})
    splits = rows.splits(training)
    with parallel_config(backend="loky" if n_jobs > 1 else "sequential"):
        return finish(rows, splits, searches(rows, splits, training), training, n_jobs=n_jobs)


def stand_in(name: str) -> Searched:
    """A search that has kept its default untried."""
    return untried(light(name)[0])


def untried(candidate: Candidate) -> Searched:
    return Searched(candidate.family, candidate, {}, {}, {}, 0.0, 0, 1, 4)


WORLDS: dict[str, Callable[[], Rows]] = {
    "numbers in time": lambda: Rows.of(frame(), DESIGN),
    "two classes in time": class_rows,
    "three classes in time": lambda: class_rows(3),
    "numbers": lambda: Rows.of(timeless(), TIMELESS),
    "two classes in groups": lambda: class_rows(time=False, data=timeless(entities=50)),
    "three classes": lambda: class_rows(3, time=False),
}  # fmt: skip


@pytest.mark.parametrize("world", WORLDS)
def test_every_kind_of_rows_runs_through(world: str) -> None:
    rows = WORLDS[world]()
    made = trained(rows)
    assert made.failed == {}
    stacked = ["stack"] if any(one.family == "stack" for one in made.candidates) else []
    assert [one.family for one in made.candidates] == [*THREE, "mean", *stacked]  # no stack of one
    assert set(made.models) == {one.name for one in made.candidates}
    named = ["prediction"] if not rows.classes else [f"p{place}" for place in range(len(rows.classes))]
    assert made.predictions[named].notna().all().all()
    if rows.classes:
        np.testing.assert_allclose(made.predictions[named].sum(axis=1), 1.0)
    assert set(made.predictions["model"]) - set(made.models) == (
        {"persistence", "momentum", "drift", "prior"} if world == "numbers in time" else {"prior"}
    )
    assert ("period" in made.predictions) == ("time" in world)
    features = rows.features(np.arange(20))
    for model in made.models.values():
        found = model.predict_proba(features) if rows.classes else model.predict(features)
        assert np.isfinite(found).all()
    metric = metric_of(rows)

    def loss(name: str) -> float:
        own = made.predictions[(made.predictions["model"] == name) & (made.predictions["part"] == "held_out")]
        values = own[named].to_numpy()
        return float(metric.losses(own["target"].to_numpy(), values if rows.classes else values[:, 0]).mean())

    baseline = "persistence" if world == "numbers in time" else "prior"
    assert all(loss(name) < 0.9 * loss(baseline) for name in made.models)


@pytest.mark.parametrize("world", WORLDS)
def test_all_models_predict_the_same_rows(world: str) -> None:
    rows = WORLDS[world]()
    made = trained(rows, "ridge", "random_forest")
    splits = rows.splits(asked("ridge", folds=4))
    for part, folds in (("search", splits.search), ("held_out", splits.held_out)):
        expected = [
            (fold.label, fold.time, rows.blocks[place], rows.frame["entity"][place], rows.outcomes[place])
            for fold in folds for place in fold.predict.tolist()
        ]  # fmt: skip
        for _, own in made.predictions[made.predictions["part"] == part].groupby("model"):
            found = own[["fold", "time", "block", "entity", "target"]].itertuples(index=False, name=None)
            assert list(found) == expected


def test_held_out_predictions_are_of_earlier_models_and_final_models_of_everything() -> None:
    rows = WORLDS["numbers in time"]()
    made = trained(rows)
    for fold in rows.splits(asked(*THREE)).held_out:
        for name in THREE:
            earlier = fit(rows, light(name)[0], fold.learn, SEED)
            own = made.predictions[
                (made.predictions["model"] == f"{name}:default") & (made.predictions["fold"] == fold.label)
            ]
            np.testing.assert_array_equal(own["prediction"], predict(earlier, rows, fold.predict))
    everything = np.arange(len(rows.frame))
    final = fit(rows, light("ridge")[0], everything, SEED)
    np.testing.assert_array_equal(
        made.models["ridge:default"].predict(rows.features(everything)), predict(final, rows, everything)
    )


def test_an_ensembles_held_out_predictions_are_the_weighted_mean_of_its_members() -> None:
    made = trained(WORLDS["three classes"]())
    table = made.predictions.set_index(["part", "model"])
    for part in ("search", "held_out"):
        for one in made.candidates[-2:]:
            weights = one.params["weights"]
            expected = sum(
                weight * table.loc[(part, name), ["p0", "p1", "p2"]].to_numpy()
                for name, weight in weights.items()
            )
            found = table.loc[(part, one.name), ["p0", "p1", "p2"]].to_numpy()
            np.testing.assert_allclose(found, expected / sum(weights.values()), atol=1e-12)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_repeated_training_is_equal_to_the_last_bit(n_jobs: int) -> None:
    rows = WORLDS["numbers in time"]()
    shuffled = Rows.of(frame().sample(frac=1, random_state=3), DESIGN)
    first, again = trained(rows), trained(shuffled, n_jobs=n_jobs)
    assert first.candidates == again.candidates
    pd.testing.assert_frame_equal(first.predictions, again.predictions, check_exact=True)
    for name, model in first.models.items():
        features = rows.features(np.arange(30))
        np.testing.assert_array_equal(model.predict(features), again.models[name].predict(features))


def test_without_a_search_the_defaults_are_handed_over() -> None:
    rows = WORLDS["three classes"]()
    made = trained(rows, folds=2)
    assert [one.name.split(":")[0] for one in made.candidates] == [*THREE, "mean"], (
        "nothing to weigh a stack by"
    )
    assert set(made.predictions["part"]) == {"held_out"}


# What fails


@pytest.mark.parametrize(
    ("weights", "seconds", "why"),
    [(raising, 60.0, "ZeroDivisionError: a bug in the family"), (hanging, 2.0, "took more than 2 s")],
)
def test_what_fails_on_a_held_out_fold_is_left_behind_with_the_fold_and_the_reason(
    weights: Any, seconds: float, why: str
) -> None:
    rows = WORLDS["numbers in time"]()
    training = asked(*THREE, candidate_seconds=seconds)
    splits = rows.splits(training)
    splits = Splits(splits.search, splits.held_out[-1:])
    bad = broken(weights)
    made = finish(rows, splits, [stand_in("ridge"), untried(bad)], training)
    assert made.failed == {bad.name: f"2016-07-01: {why}"}
    assert [one.name for one in made.candidates] == list(made.models) == ["ridge:default"]
    assert bad.name not in set(made.predictions["model"])


class OnlyFew(Ridge):  # type: ignore[misc]
    """Fails on as many rows as a held-out fold never learns from."""

    def fit(self, X: Any, y: Any) -> OnlyFew:
        if len(X) >= 19 * 12:
            raise MemoryError("too many rows")
        super().fit(X, y)
        return self


def test_what_fails_on_all_rows_is_left_behind_also_by_the_ensembles(monkeypatch: pytest.MonkeyPatch) -> None:
    few = Family("few", 1, {"regression": lambda params, _seed: OnlyFew(**params)}, {"alpha": (1.0,)})
    monkeypatch.setattr(families, "FAMILIES", {**families.FAMILIES, "few": few})
    rows = WORLDS["numbers in time"]()
    bad = Candidate("few:default", "few", {"alpha": 1.0})
    found = [untried(bad), stand_in("ridge"), stand_in("random_forest")]
    made = finish(rows, rows.splits(asked("ridge")), found, asked("ridge"))
    assert made.failed == {"few:default": "on all rows: MemoryError: too many rows"}
    assert [one.name for one in made.candidates] == [
        "ridge:default",
        "random_forest:default",
        "mean:random_forest+ridge",
    ]
    assert set(made.models) == {one.name for one in made.candidates}
    assert "few:default" not in set(made.predictions["model"])


def test_when_all_fail_there_are_only_baselines() -> None:
    rows = WORLDS["numbers in time"]()
    training = asked("ridge")
    nothing = Searched("ridge", None, {}, {"ridge:default": "why"}, {}, 0.0, 0, 1, 4)
    bad = broken(raising)
    made = finish(rows, rows.splits(training), [nothing, untried(bad)], training)
    assert (made.candidates, made.models) == ((), {})
    assert set(made.failed) == {"ridge:default", bad.name}
    assert set(made.predictions["model"]) == {"persistence", "momentum", "drift", "prior"}
