"""Decisions by a matrix of costs: the action that costs least, and what it saves beside what is done without a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.kreislauf.statistics.decisions import Costs

EXAMPLE = Costs(
    {"inspect": {"sound": 60, "failure": 200}, "run_on": {"sound": 0, "failure": 2000}},
    without="run_on", classes=("sound", "failure"), per=8,
)  # fmt: skip
COST = st.integers(-1000, 1000).map(float)
PROBABILITY = st.floats(0, 1)


@st.composite
def matrices(draw: st.DrawFn, least: int = 2, most: int = 5) -> Costs:
    """Any matrix, with the actions in any order."""
    names = tuple(f"class {n}" for n in range(draw(st.integers(least, most))))
    actions = draw(st.permutations([f"action_{n}" for n in range(draw(st.integers(2, 4)))]))
    rows = {action: {name: draw(COST) for name in names} for action in actions}
    return Costs(
        rows, without=draw(st.sampled_from(actions)), classes=names, per=draw(st.sampled_from([1.0, 8.0]))
    )


TWO = matrices(most=2)


def test_the_example_by_hand() -> None:
    # inspecting pays from 60 / (60 + 1800) on
    assert [EXAMPLE.names[place] for place in EXAMPLE.chosen([0.0, 0.032, 0.033, 1.0])] == [
        "run_on", "run_on", "inspect", "inspect",
    ]  # fmt: skip
    assert EXAMPLE.values([0.0, 0.0, 0.9, 0.9], [0, 1, 0, 1]).tolist() == [0, 0, -7.5, 225]


@given(TWO, PROBABILITY)
def test_law_no_action_is_expected_to_cost_less_than_the_chosen_one(costs: Costs, probability: float) -> None:
    [place] = costs.chosen([probability])
    low, high = costs.classes
    expected = {
        name: (1 - probability) * row[low] + probability * row[high] for name, row in costs.actions.items()
    }
    assert expected[costs.names[place]] == pytest.approx(min(expected.values()), abs=1e-9)


@given(matrices(least=3), st.data())
def test_law_of_several_classes_the_action_is_best_if_the_predicted_one_is_true(
    costs: Costs, data: st.DataObject
) -> None:
    predicted = data.draw(st.integers(0, len(costs.classes) - 1))
    [place] = costs.chosen([predicted])
    column = {name: row[costs.classes[predicted]] for name, row in costs.actions.items()}
    assert column[costs.names[place]] == min(column.values())


@given(matrices(), st.data())
def test_law_a_value_is_what_was_saved_per_unit(costs: Costs, data: st.DataObject) -> None:
    predicted = data.draw(PROBABILITY if len(costs.classes) == 2 else st.integers(0, len(costs.classes) - 1))
    happened = data.draw(st.integers(0, len(costs.classes) - 1))
    action, cls = costs.names[costs.chosen([predicted])[0]], costs.classes[happened]
    saved = (costs.actions[costs.without][cls] - costs.actions[action][cls]) / costs.per
    assert costs.values([predicted], [happened]).tolist() == [pytest.approx(saved)]


@given(matrices(), st.data())
def test_law_what_is_done_anyway_saves_nothing(costs: Costs, data: st.DataObject) -> None:
    same = Costs(
        dict.fromkeys(costs.actions, costs.actions[costs.without]),
        costs.without,
        costs.classes,
        costs.per,
    )
    predicted = data.draw(PROBABILITY if len(costs.classes) == 2 else st.integers(0, len(costs.classes) - 1))
    assert same.names[same.chosen([predicted])[0]] == costs.without, "ties go to what is done anyway"
    assert same.values([predicted] * len(costs.classes), range(len(costs.classes))).tolist() == [0] * len(
        costs.classes
    )


@given(TWO, PROBABILITY)
def test_law_who_knows_the_probability_loses_nothing_in_the_mean(costs: Costs, probability: float) -> None:
    low, high = costs.values([probability, probability], [0, 1])
    assert (1 - probability) * low + probability * high >= -1e-9


@given(TWO)
def test_law_who_knows_what_happens_saves_most(costs: Costs) -> None:
    certain = costs.values([0.0, 1.0], [0, 1])
    other = costs.values([1.0, 0.0], [0, 1])
    assert (certain >= other).all()
    assert (certain >= 0).all()


@given(matrices())
def test_law_what_is_written_down_is_read_again(costs: Costs) -> None:
    read = Costs.from_dict(json.loads(json.dumps(costs.to_dict())))
    assert read.to_dict() == costs.to_dict()
    assert np.array_equal(read.matrix, costs.matrix)
    assert read.names == costs.names


@given(TWO, st.lists(PROBABILITY, max_size=20))
def test_law_rows_do_not_know_of_each_other(costs: Costs, predicted: list[float]) -> None:
    together = costs.chosen(predicted).tolist()
    assert together == [costs.chosen([one])[0] for one in predicted]


@given(matrices(2, 2), PROBABILITY)
def test_law_from_its_threshold_on_an_action_costs_less_than_nothing_done(
    costs: Costs, probability: float
) -> None:
    for action in costs.names[1:]:
        saved = costs.matrix[0] - costs.matrix[costs.names.index(action)]
        expected = (1 - probability) * saved[0] + probability * saved[1]
        limit = costs.threshold(action)
        if limit is None:
            assert not saved[0] < 0 < saved[1]
        elif abs(probability - limit) > 1e-9:
            assert (expected > 0) == (probability > limit)


def test_more_than_two_classes_have_no_threshold() -> None:
    three = Costs({"a": dict.fromkeys("xyz", 1.0), "b": dict.fromkeys("xyz", 0.0)}, "a", ("x", "y", "z"))
    assert three.threshold("b") is None
    assert EXAMPLE.threshold("inspect") == pytest.approx(60 / 1860)
