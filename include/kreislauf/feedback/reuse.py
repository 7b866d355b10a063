"""Why the results of a cycle were used again, or made anew: which part of what they depend on was another one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from include.kreislauf.errors import KreislaufError
from include.kreislauf.handovers import Frozen, Handover, Stage
from include.kreislauf.requirements.contract import canonical_json
from include.kreislauf.store import contracts, messages
from include.kreislauf.store.addresses import CONTRACT, PARTS
from include.kreislauf.store.reuse import LOOKED_AT, MADE_ANEW
from include.kreislauf.store.schema import handovers

SHOWN = 120
"""Letters of a value that are shown."""
NOTHING = "(nothing)"


class Change(Frozen):
    """A part that was another one before."""

    part: str
    before: str
    after: str


class Explained(Frozen):
    """Why one discipline of a cycle was done, or not.

    Parameters
    ----------
    reused_from: id of the handover whose output is used; empty: the output is new.
    compared_with: id of the earlier handover that depends on most of the same; empty: there is none.
    changes: what was another one there.
    """

    stage: Stage
    attempt: int
    output: str
    address: str
    reused_from: str
    compared_with: str
    changes: tuple[Change, ...]
    text: str


def explain(
    db: Connection, use_case: str, cycle_id: str | None = None, stage: Stage | None = None
) -> tuple[str, list[Explained]]:
    """A cycle's id, and of each of its handovers why it is new or an earlier one's.

    Parameters
    ----------
    cycle_id: ``None``: the cycle that handed something over last.

    Raises
    ------
    KreislaufError: there is no such cycle, or nothing was handed over in it.
    """
    cycle_id = cycle_id or _last_cycle(db, use_case)
    recorded = messages.recorded_handovers(db, use_case, cycle_id) if cycle_id else []
    if not recorded:
        raise KreislaufError(
            f"nothing was handed over in cycle {cycle_id}" if cycle_id else "nothing was handed over yet",
            where=use_case, allowed=_cycles(db, use_case) or contracts.signed_use_cases(db),
            next_step="name a cycle with --cycle, as the workflow page shows them",
        )  # fmt: skip
    wanted = [(one, at) for one, at in recorded if stage in (None, one.stage)]
    return str(cycle_id), [_explained(db, one, at) for one, at in wanted]


def _explained(db: Connection, handover: Handover, at: datetime) -> Explained:
    closest = _closest(db, handover, at)
    changes = tuple(_changes(db, closest, handover)) if closest else ()
    return Explained(
        stage=handover.stage, attempt=handover.attempt, output=handover.output, address=handover.address,
        reused_from=handover.reused_from, compared_with=closest.id if closest else "", changes=changes,
        text=_text(handover, closest),
    )  # fmt: skip


def _text(handover: Handover, closest: Handover | None) -> str:
    why = handover.summary.get(MADE_ANEW)
    if handover.stage not in PARTS:
        return "always done anew: it depends on what is live, on people, or on the time"
    if not handover.address:
        return "made before addresses were kept"
    if handover.reused_from and not why:
        return "reused: nothing that it depends on has changed"
    if handover.reused_from:
        return f"made anew ({why}), with the content that was there already"
    if why:
        return f"made anew: {why}"
    return "made anew: something has changed" if closest else "made anew: nothing was there to compare with"


def _closest(db: Connection, handover: Handover, at: datetime) -> Handover | None:
    """The earlier handover of the same discipline that depends on most of the same; of several the newest."""
    earlier = messages.newest_handovers(db, handover.use_case, handover.stage, LOOKED_AT, before=at)
    known = [one for one in earlier if one.address and handover.address]
    return min(known, key=lambda one: len(_other_parts(one, handover)), default=None)


def _other_parts(before: Handover, after: Handover) -> list[str]:
    names = [*after.basis, *(name for name in before.basis if name not in after.basis)]
    return [name for name in names if before.basis.get(name) != after.basis.get(name)]


def _changes(db: Connection, before: Handover, after: Handover) -> Iterator[Change]:
    """What differs, in the words of the contract where it is the contract."""
    for name in _other_parts(before, after):
        fields = (
            list(_fields(db, before, after, name.removeprefix(CONTRACT))) if name.startswith(CONTRACT) else []
        )
        one = Change(part=name, before=before.basis.get(name, NOTHING), after=after.basis.get(name, NOTHING))
        yield from fields or [one]


def _fields(db: Connection, before: Handover, after: Handover, path: str) -> Iterator[Change]:
    """The single fields below a part of the contract that differ; none where a contract is no longer known."""
    found = [contracts.body_of(db, one.use_case, one.contract_hash) for one in (before, after)]
    if None in found:
        return
    old, new = (dict(_leaves(_part(one, path), path)) for one in found)
    for name in [*new, *(name for name in old if name not in new)]:
        if old.get(name, NOTHING) != new.get(name, NOTHING):
            yield Change(
                part=f"{CONTRACT}{name}", before=old.get(name, NOTHING), after=new.get(name, NOTHING)
            )


def _part(body: Any, path: str) -> Any:
    """The value of a field, of a contract in JSON's types."""
    for name in path.split("."):
        body = [one.get(name) for one in body] if isinstance(body, list) else (body or {}).get(name)
    return body


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every single value with its path; things that have a name are called by it."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}")
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        for number, one in enumerate(value):
            name = next(
                (one[key] for key in ("name", "family", "step") if isinstance(one, dict) and key in one),
                number,
            )
            yield from _leaves(one, f"{path}[{name}]")
    else:
        shown = value if isinstance(value, str) else canonical_json(value)
        yield path, shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"


def _last_cycle(db: Connection, use_case: str) -> str | None:
    return next(iter(_cycles(db, use_case)), None)


def _cycles(db: Connection, use_case: str) -> list[str]:
    """The cycles that handed something over lately, newest first."""
    query = select(handovers.c.cycle_id).where(handovers.c.use_case == use_case)
    newest = db.scalars(query.order_by(handovers.c.created_at.desc()).limit(LOOKED_AT))
    return list(dict.fromkeys(newest))
