"""kill -9 of the service under load, also while it spools: what was acknowledged is in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.service.conftest import AS_OF
from tests.support.kills import kill_under_load

if TYPE_CHECKING:
    from tests.service.conftest import World


def test_of_what_was_acknowledged_nothing_is_lost_by_six_kills(world: World) -> None:
    world.release(1)
    world.promote(1)
    rows = [{"entity": "python"}, {"entity": "zig"}]
    found = kill_under_load(world.store, world.folder, "radar", rows, kills=6, as_of=AS_OF.isoformat())
    assert (found.kills, found.spooled) == (6, 2)
    assert (found.lost_predictions, found.lost_outcomes) == (set(), set())
    assert len(found.predictions) > 200
    assert len(found.outcomes) > 100
