"""``docs/images/ring.svg``: roles, handovers and loops, drawn from the roles and edges themselves.

It brings its own background, so that it can be read on light and on dark pages.
"""

from __future__ import annotations

from html import escape

from include.kreislauf.handovers import GIVES, PEOPLE, Edge, Role, Stage

WORK = {
    Role.REQUIREMENTS: (Stage.REQUIREMENTS,), Role.DATA_ENGINEERING: (Stage.COLLECTION,),
    Role.DATA_SCIENCE: (Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION), Role.MLOPS: (Stage.DEPLOYMENT,),
    Role.MONITORING: (Stage.MONITORING,),
}  # fmt: skip
HANDED_OVER = {
    Stage.REQUIREMENTS: "signed contract", Stage.COLLECTION: "raw data", Stage.EVALUATION: "candidate model",
    Stage.DEPLOYMENT: "live release",
}  # fmt: skip
LOOPS = {
    Edge.DATA_SCIENCE_TO_DATA_SCIENCE: "not good enough: again",
    Edge.DATA_ENGINEERING_TO_REQUIREMENTS: "sources cannot give it",
    Edge.DATA_SCIENCE_TO_DATA_ENGINEERING: "data too few or too old",
    Edge.MLOPS_TO_DATA_SCIENCE: "release failed",
    Edge.MONITORING_TO_MLOPS: "worse than before: roll back",
    Edge.DATA_SCIENCE_TO_REQUIREMENTS: "metric and model disagree",
    Edge.MONITORING_TO_DATA_SCIENCE: "features shifted, challenger better",
    Edge.MONITORING_TO_DATA_ENGINEERING: "the business metric fell: new data, new entities",
    Edge.MONITORING_TO_REQUIREMENTS: "loops did not help: a person decides",
}
"""Shallow ones first; those of one depth do not overlap."""
DEPTHS = (0, 1, 1, 1, 1, 2, 3, 4, 5)
MAIN = Edge.MONITORING_TO_DATA_ENGINEERING
WIDTH, BOX, STEP, TOP, HEIGHT = 1100, 184, 211, 78, 84
BOTTOM = TOP + HEIGHT
STYLE = """
 text { font-family: system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2937 }
 .name { font-size: 15px; font-weight: 600 } .person { font-size: 12px; fill: #4b5563 } .work { font-size: 11px; fill: #6b7280 }
 .given { font-size: 12px; fill: #1d4ed8 } .why { font-size: 12px; fill: #4b5563; paint-order: stroke; stroke: #fff; stroke-width: 4px } .why.main { fill: #c2410c; font-weight: 600 }
 .box { fill: #f8fafc; stroke: #94a3b8; stroke-width: 1.5 } .hand { stroke: #1d4ed8; stroke-width: 2.5; fill: none }
 .loop { stroke: #9ca3af; stroke-width: 1.5; fill: none } .loop.main { stroke: #ea580c; stroke-width: 2.5 }
"""


def ring_picture() -> str:
    """The picture as SVG."""
    height = BOTTOM + 40 + 34 * (max(DEPTHS) + 1)
    lines, words = _loops()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="The ring">',
        f"<style>{STYLE}</style>", "<defs>", _head("blue", "#1d4ed8"), _head("grey", "#9ca3af"), _head("orange", "#ea580c"),
        "</defs>", f'<rect width="{WIDTH}" height="{height}" rx="14" fill="#ffffff"/>',
        _text(WIDTH / 2, 30, "given", "handovers: results, with what they were made from"),
        *lines, *words,
        *(_role(role) for role in Role), *(_handover(role) for role in Role if GIVES[role] in HANDED_OVER),
        _text(WIDTH / 2, height - 14, "why", "loops: the way back, with evidence; a governor stands at each receipt"),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _left(role: Role) -> float:
    return 36 + list(Role).index(role) * STEP


def _role(role: Role) -> str:
    left, middle = _left(role), _left(role) + BOX / 2
    work = ", ".join(stage.value for stage in WORK[role])
    return "\n".join([
        f'<rect class="box" x="{left}" y="{TOP}" width="{BOX}" height="{HEIGHT}" rx="9"/>',
        _text(middle, TOP + 30, "name", role.value), _text(middle, TOP + 50, "person", PEOPLE[role]),
        _text(middle, TOP + 69, "work", work),
    ])  # fmt: skip


def _handover(role: Role) -> str:
    start, middle = _left(role) + BOX, TOP + HEIGHT / 2
    end = _left(role) + STEP
    line = f'<path class="hand" d="M{start} {middle}H{end - 9}" marker-end="url(#blue)"/>'
    return line + _text((start + end) / 2, TOP - 14, "given", HANDED_OVER[GIVES[role]])


def _loops() -> tuple[list[str], list[str]]:
    """Lines and words; the words are drawn after all lines, so that no line goes through one."""
    lines, words = [], []
    for edge, depth in zip(LOOPS, DEPTHS, strict=True):
        start, end = _port(edge, edge.raised_by), _port(edge, edge.received_by, receiving=True)
        level, main = BOTTOM + 34 + 34 * depth, " main" if edge is MAIN else ""
        head = "orange" if main else "grey"
        way = f"M{start:g} {BOTTOM}V{level}H{end:g}V{BOTTOM + 9}"
        lines.append(f'<path class="loop{main}" d="{way}" marker-end="url(#{head})"/>')
        words.append(_text((start + end) / 2, level - 6, f"why{main}", LOOPS[edge]))
    return lines, words


def _port(edge: Edge, role: Role, *, receiving: bool = False) -> float:
    """Where a loop leaves a box (left half) or reaches it (right half), so that those of one box do not cross."""
    same = [one for one in LOOPS if (one.received_by if receiving else one.raised_by) is role]
    own = [one for one in same if one is not Edge.DATA_SCIENCE_TO_DATA_SCIENCE]
    place = (len(own) - 1 - own.index(edge) if receiving else own.index(edge)) if edge in own else -1
    room, half = BOX / 2 / (len(same) + 1), BOX / 2
    if place < 0:  # a loop to the same role stands in the middle, where it meets no other
        return _left(role) + half + (room / 2 if receiving else -room / 2)
    return _left(role) + (half if receiving else 0) + room * (place + 1)


def _head(name: str, colour: str) -> str:
    shape = f'<path d="M0 0L8 4L0 8z" fill="{colour}"/>'
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
        f'markerUnits="userSpaceOnUse">{shape}</marker>'
    )


def _text(x: float, y: float, kind: str, words: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(words)}</text>'
