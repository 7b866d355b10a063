"""What the processes of `make test` take in turn."""

from __future__ import annotations

from tests.support.sharing import next_unit, place, unit_of

SHARED, STACK, FILE = "tests/ring/shared/", "tests/ring/test_run.py", "tests/test_errors.py"


def test_the_tests_of_one_stack_stay_together() -> None:
    assert unit_of("tests/ring/shared/test_ring.py::test_a[1]") == SHARED
    assert unit_of("tests/ring/shared/test_alerts.py::test_b") == SHARED
    assert unit_of("tests/ring/test_run.py::test_c[a::b]") == STACK


def test_stacks_come_first() -> None:
    assert sorted([f"{FILE}::a", f"{STACK}::b", "tests/ring/shared/test_ring.py::c"], key=place) == [
        "tests/ring/shared/test_ring.py::c",
        f"{STACK}::b",
        f"{FILE}::a",
    ]


def test_one_stack_at_a_time_while_there_is_anything_else() -> None:
    assert next_unit([SHARED, STACK, FILE], elsewhere=[]) == SHARED
    assert next_unit([STACK, FILE], elsewhere=[SHARED]) == FILE
    assert next_unit([STACK, FILE], elsewhere=[FILE]) == STACK
    assert next_unit([STACK], elsewhere=[SHARED]) == STACK
    assert next_unit([FILE], elsewhere=[]) == FILE
