"""How several processes share the tests: each file goes to one of them, and real stacks run one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from xdist.scheduler import LoadFileScheduling

ONE_STACK = "tests/ring/shared/"
"""Its tests share a stack, so they stay together."""
STACKS = (ONE_STACK, "tests/ring/", "tests/plugins/test_workflow_page.py")
"""Tests that start real Airflow processes: the longest first."""


def place(nodeid: str) -> int:
    """Where a test comes in the order: stacks first, they mostly wait, and what is left fills the time meanwhile."""
    return next((place for place, start in enumerate(STACKS) if nodeid.startswith(start)), len(STACKS))


def unit_of(nodeid: str) -> str:
    """What a test is run together with: its file, or its stack."""
    return ONE_STACK if nodeid.startswith(ONE_STACK) else nodeid.partition("::")[0]


def next_unit(waiting: Collection[str], elsewhere: Iterable[str]) -> str:
    """What a process takes next: a stack when no other process has one, else what is no stack, as long as there is any.

    Parameters
    ----------
    waiting: units in their order.
    elsewhere: units at which other processes are.
    """
    stack_elsewhere = any(unit.startswith(STACKS) for unit in elsewhere)
    fitting = (unit for unit in waiting if unit.startswith(STACKS) != stack_elsewhere)
    return next(fitting, next(iter(waiting)))


class OneStackAtATime(LoadFileScheduling):
    """xdist's groups need node ids that pytest 9.2 does not let it change, and do not know what runs elsewhere."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        elsewhere = [
            unit
            for other, units in self.assigned_work.items()
            for unit, tests in units.items()
            if other is not node and not all(tests.values())
        ]
        self.workqueue.move_to_end(next_unit(self.workqueue, elsewhere), last=False)
        super()._assign_work_unit(node)
