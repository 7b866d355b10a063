"""The story of a use case, told through the store's own functions: two releases, loops, a refusal, a cycle at work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection

from include.kreislauf.handovers import Edge, Evidence, Handover, Loop, Reason, Stage
from include.kreislauf.requirements.contract import Contract
from include.kreislauf.store import contracts, cycles, live, messages, observations
from include.kreislauf.store.contracts import SignOff
from include.kreislauf.store.cycles import Cycle, State
from include.kreislauf.store.live import ReleaseRow
from include.kreislauf.store.observations import Verdict

NAME = "technology_radar"
SCRIPT = "<script>document.title = 'owned'</script>"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Story:
    """Writes the rows of a use case through the store's own functions; every call is a minute later."""

    def __init__(self, db: Connection, contract: Contract) -> None:
        self.db = db
        self.contract = contract
        self.metric = "mae"
        self._now = START

    @property
    def now(self) -> datetime:
        self._now += timedelta(minutes=1)
        return self._now

    def sign(self) -> None:
        contracts.record_contract(self.db, self.contract, self.now)
        sign_off = SignOff("signed", by="kreislauf", how="automatic")
        contracts.record_sign_off(self.db, NAME, self.contract.hash, sign_off, self.now)

    def cycle(
        self, day: str, started_by: str, reason: str, state: State = State.ACTIVE, note: str = ""
    ) -> Cycle:
        at = utc(day)
        fields: dict[str, Any] = {
            "origin": f"{started_by}/{day}",
            "started_by": started_by,
            "reason": reason,
            "as_of": at,
        }
        made = cycles.open_cycle(self.db, NAME, now=self.now, **fields)
        assert cycles.set_state(self.db, made, state, self.now, note or None)
        return cycles.get_cycle(self.db, NAME, made.cycle_id)

    def hand_over(self, cycle: Cycle, *stages: Stage, attempt: int = 1) -> None:
        for stage in stages:
            common: dict[str, Any] = {
                "use_case": NAME,
                "cycle_id": cycle.cycle_id,
                "contract_hash": self.contract.hash,
            }
            made = Handover(
                **common, as_of=cycle.as_of, attempt=attempt, stage=stage, code_version="1", output=str(stage)
            )
            messages.save_handover(self.db, made, "", self.now)

    def loop(
        self, cycle: Cycle, edge: Edge, reason: Reason, text: str, state: str = "accepted", *, attempt: int = 1,
        before: float | None = None, step: Stage | None = None,
    ) -> str:  # fmt: skip
        metric = "portfolio_uplift"
        found = None if before is None else Evidence(name=metric, value=before, unit="log points per period")
        made = Loop(
            use_case=NAME, cycle_id=cycle.cycle_id, contract_hash=self.contract.hash, as_of=cycle.as_of, edge=edge,
            reason=reason, text=text, attempt=attempt, step=step, metric=metric, metric_before=found,
        )  # fmt: skip
        messages.save_loop(self.db, made, self.now)
        messages.decide_loop(self.db, made.id, state, "decided by the story", "run")
        return made.id

    def release(self, cycle: Cycle, version: int, gain: float) -> None:
        metrics = {self.metric: 0.1, f"{self.metric}_gain": gain, "portfolio_uplift": 0.02}
        manifest = {"family": "hist_gradient_boosting", "metrics": metrics}
        row = ReleaseRow(NAME, version, cycle.cycle_id, 1, "path", "0" * 64, manifest, cycle.as_of, self.now)
        assert live.save_release(self.db, row)
        before = live.live(self.db, NAME)
        swap: dict[str, Any] = {
            "cycle_id": cycle.cycle_id,
            "reason": cycle.reason,
            "as_of": cycle.as_of,
            "now": self.now,
        }
        assert live.promote(self.db, NAME, version, expected=before, **swap)
        cycles.set_state(self.db, cycle, State.LIVE, self.now, f"release {version}")

    def verdicts(
        self, cycle: Cycle, release: int, uplifts: list[float | None], productivity: list[float]
    ) -> None:
        for quarter, (uplift, index) in enumerate(zip(uplifts, productivity, strict=True), start=1):
            as_of = cycle.as_of + timedelta(days=91 * quarter)
            rows = [
                self._verdict(cycle, release, "portfolio_uplift", as_of, uplift, 0.01, 0.012),
                self._verdict(cycle, release, "development_productivity", as_of, index, 95.0, 2.5),
            ]
            observations.save_verdicts(self.db, rows, self.now)

    def _verdict(
        self, cycle: Cycle, release: int, metric: str, as_of: datetime, value: float | None, threshold: float, half: float
    ) -> Verdict:  # fmt: skip
        judged: Literal["healthy", "breach", "inconclusive"] = "inconclusive"
        if value is not None:
            judged = "breach" if value < threshold else "healthy"
        low, high = (None, None) if value is None else (value - half, value + half)
        text = "1 matured period, 3 needed" if value is None else f"mean of 3 periods {value:.4g}"
        return Verdict(
            NAME, metric, release, as_of, cycle.cycle_id, judged, value, low, high, threshold, 3, text
        )


def utc(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def tell(story: Story) -> None:
    """First model, its decline, a loop that helped, a refused one, and a second loop at work."""
    stages = (Stage.COLLECTION, Stage.PREPARATION, Stage.TRAINING, Stage.EVALUATION, Stage.DEPLOYMENT)
    main, fell = Edge.MONITORING_TO_DATA_ENGINEERING, Reason.BUSINESS_METRIC_FELL
    story.sign()
    first = story.cycle("2014-01-01", "manual/requirements", f"the first model {SCRIPT}")
    story.hand_over(first, Stage.REQUIREMENTS, *stages)
    story.release(first, 1, 0.0613)
    first_uplifts = [None, None, 0.031, 0.027, 0.019, 0.014, -0.006]
    story.verdicts(first, 1, first_uplifts, [101.2, 100.4, 99.8, 99.1, 97.9, 96.2, 94.1])
    text = "portfolio_uplift: mean of 3 periods -0.006 is below the threshold 0.01 (log points per period)"
    second = story.cycle("2015-10-01", f"loop/{main}", text)
    helped = story.loop(second, main, fell, text, before=-0.006)
    story.hand_over(second, *stages[:4])
    short = "the best candidate's MAE is 1 % below persistence, 2 % needed"
    again = Edge.DATA_SCIENCE_TO_DATA_SCIENCE
    story.loop(second, again, Reason.PERFORMANCE_SHORT, short, attempt=2, step=Stage.TRAINING)
    story.release(second, 2, 0.0842)
    measured = messages.Measured(
        before_low=None, before_high=None, value_after=0.024, after_low=0.011, after_high=0.037,
        gain_low=None, gain_high=None, helped=True,
    )  # fmt: skip
    messages.close_loop(story.db, helped, measured)
    uplifts = [None, None, 0.037, 0.034, 0.029, 0.025, 0.018, -0.003]
    story.verdicts(second, 2, uplifts, [98.3, 101.5, 103.2, 103.0, 101.7, 100.9, 99.6, 97.0])
    refused = story.cycle(
        "2016-01-01", f"loop/{main}", "too soon", State.REFUSED, "cool-down until 2016-03-01"
    )
    story.loop(refused, main, fell, "too soon", "refused", before=0.01)
    third = story.cycle("2017-10-01", f"loop/{main}", text.replace("-0.006", "-0.003"))
    story.loop(third, main, fell, text.replace("-0.006", "-0.003"), before=-0.003)
    story.hand_over(third, Stage.COLLECTION)
    missing = "11 requested technologies are not in the panel"
    story.loop(third, Edge.DATA_SCIENCE_TO_DATA_ENGINEERING, Reason.COVERAGE_TOO_LOW, missing, attempt=2)
    story.hand_over(third, Stage.COLLECTION, Stage.PREPARATION, attempt=2)
