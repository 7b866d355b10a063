"""Evaluate: score candidates, baselines and champion on the same held-out rows, and let the gates decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from include.kreislauf.evaluation.card import Card, write_card
from include.kreislauf.evaluation.champion import find_champion
from include.kreislauf.evaluation.gates import Thresholds, decide, form_of
from include.kreislauf.evaluation.importance import importances
from include.kreislauf.evaluation.intervals import with_intervals
from include.kreislauf.evaluation.models import Decision, GateReason, Importance, Report, Scores
from include.kreislauf.evaluation.report import KEY, Question, build_report, losses
from include.kreislauf.evaluation.segments import segments_of, unknown_entities
from include.kreislauf.evaluation.ways_back import loop_back, turned_down
from include.kreislauf.evaluation.winner import winner_version
from include.kreislauf.handovers import Handover, PersonAnswer, PersonNeeded, Stage, StepResult, WorkOrder
from include.kreislauf.requirements.contract import Contract, PortfolioUplift
from include.kreislauf.requirements.loading import folder_of
from include.kreislauf.settings import Settings
from include.kreislauf.statistics.verdicts import Verdict
from include.kreislauf.training.design import purge_of
from include.kreislauf.training.files import CandidateSet, load_candidates
from include.kreislauf.training.step import Training
from include.kreislauf.training.tracking import annotate


def evaluate(
    order: WorkOrder, contract: Contract, settings: Settings, *, answer: PersonAnswer | None = None
) -> StepResult:
    """Discipline 5. The winner with its model card, or a loop with the numbers that speak against all candidates.

    Parameters
    ----------
    answer: what the data scientist said of a result that is too good to be true.

    Raises
    ------
    PersonNeeded: a gain is above the contract's ``too_good_to_be_true``, and nobody has been asked yet.
    EvaluationError: predictions cannot be compared; the contract names a segment that does not exist; or the use case's
        own metric cannot be had.
    """
    return _Evaluation(order, contract, settings, answer).result()


@dataclass(frozen=True)
class _Evaluation:
    """One evaluation."""

    order: WorkOrder
    contract: Contract
    settings: Settings
    answer: PersonAnswer | None

    def result(self) -> StepResult:
        document = self._write_card()
        decision = self.decision
        if decision.reason is GateReason.TOO_GOOD_TO_BE_TRUE:
            if self.answer is None:
                raise PersonNeeded(_question(self.order, decision, self.importance))
            return StepResult(turned_down(self.order, decision, self.importance, self.answer), document)
        if decision.verdict is not Verdict.PASS or decision.winner is None:
            exhausted = bool(self.saved.index["exhausted"])
            loop = loop_back(
                self.order, decision, self.report, self.importance, exhausted=exhausted,
                business=self.contract.gate_metric,
            )  # fmt: skip
            return StepResult(loop, document)
        return StepResult(self._handover(decision.winner), document)

    @cached_property
    def saved(self) -> CandidateSet:
        """What training handed over."""
        return load_candidates(
            self.settings.artefacts, self.order.use_case, self.order.inputs[Stage.TRAINING]
        )

    @cached_property
    def training(self) -> Training:
        """The training's rows and folds, made again from the same versions."""
        order = self.order.model_copy(update={"inputs": dict(self.saved.index["inputs"])})
        return Training(order, self.contract, self.settings)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """See :meth:`~include.kreislauf.training.files.CandidateSet.predictions`."""
        return self.saved.predictions()

    @cached_property
    def report(self) -> Report:
        """All models on the same rows."""
        rules = self.contract.performance.segments
        segments = segments_of(self.training.frame, self.training.design, rules) if rules else None
        folder = folder_of(self.settings.use_cases, self.contract.name)
        question = Question.of(self.contract, segments, folder=folder)
        champion = find_champion(self.training, self._held_out, self.settings)
        return build_report(
            self.predictions, self.saved.candidates, question, champion, failed=self.saved.index["failed"],
            unknown_entities=unknown_entities(self.training, self._held_out),
        )  # fmt: skip

    @cached_property
    def decision(self) -> Decision:
        """What the gates say, after the person where one was asked."""
        if self.genuine_by:
            return decide(self.report, Thresholds.of(self.contract, self.genuine_by))
        return self._unanswered

    @cached_property
    def genuine_by(self) -> str:
        """Who has called a result genuine that is too good to be true; empty where nobody had to be asked."""
        asked = self._unanswered.reason is GateReason.TOO_GOOD_TO_BE_TRUE
        return self.answer.by if asked and self.answer and self.answer.genuine else ""

    @cached_property
    def _unanswered(self) -> Decision:
        return decide(self.report, Thresholds.of(self.contract))

    @cached_property
    def importance(self) -> tuple[Importance, ...]:
        """Of the winner's features, or of the one's that came closest."""
        if not self.decision.closest:
            return ()
        by_name = {one.name: one for one in self.saved.candidates}
        training = self.training
        return importances(
            training.rows, training.splits, by_name[self.decision.closest], by_name, training.metric,
            self.contract.training.seed, self.saved.index["calibration"][0], training.known.once,
        )  # fmt: skip

    @property
    def _held_out(self) -> pd.DataFrame:
        rows = self.predictions
        base = self.contract.performance.baseline
        return rows[(rows["part"] == "held_out") & (rows["model"] == base)]

    def _handover(self, winner: str) -> Handover:
        scores = self.report.scores(winner)
        metrics = metrics_of(self.report, scores, self.contract)
        self._annotate(winner, metrics)
        form = form_of(isinstance(self.contract.gate_metric, PortfolioUplift), 4)
        summary: dict[str, Any] = {
            "winner": winner,
            "decision": self.decision.text,
            "metrics": metrics,
            "intervals": {"gain": scores.gain.text(), "business": scores.business.text(form)},
            "prediction_interval": {
                "level": self.contract.performance.interval, "half_width": scores.half_width, "coverage": scores.coverage,
            },
            "baselines": {one.name: metrics_of(self.report, one, self.contract) for one in self.report.baselines},
            "champion": self.report.champion_note,
        }  # fmt: skip
        if self.genuine_by:
            summary["genuine_by"] = self.genuine_by  # who must not also approve the release
        return self.order.handover(
            Stage.EVALUATION, code_version=self.settings.code, summary=summary,
            output=winner_version(self.saved.version, winner),
        )  # fmt: skip

    def _annotate(self, winner: str, metrics: dict[str, float | None]) -> None:
        """The verdict beside the candidate's run, for those who look there."""
        run_id = self._tracked().get(winner)
        if run_id:
            known = {f"gate_{name}": value for name, value in metrics.items() if value is not None}
            annotate(
                self.settings,
                run_id,
                known,
                {"verdict": "pass", "decision": self.decision.text},
                self._cards(),
            )

    def _tracked(self) -> dict[str, str]:
        """MLflow runs of the candidates, as training told them."""
        from include.kreislauf.store import messages
        from include.kreislauf.store.database import Store

        with Store(self.settings.store).read() as db:
            trained = messages.find_handover_of(db, self.order.use_case, Stage.TRAINING, self.saved.version)
        tracking: Any = trained.summary.get("tracking") if trained else None
        return dict(tracking["runs"]) if tracking else {}

    def _cards(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self._folder.iterdir()) if path.is_file()}

    @property
    def _folder(self) -> Path:
        return card_folder(self.order, self.settings)

    def _write_card(self) -> str:
        index = self.saved.index
        card = Card(
            contract=self.contract, order=self.order, code_version=self.settings.code, report=self.report,
            decision=self.decision, rows=self._card_rows(), importance=self.importance,
            training={**index, "candidates": self.saved.version},
            command=f"python -m include.kreislauf evaluate {self.order.use_case} --candidates {self.saved.version}",
        )  # fmt: skip
        paths = write_card(self._folder, card)
        return paths["model_card.md"].read_text("utf-8")

    def _card_rows(self) -> pd.DataFrame:
        """Held-out predictions of the model that the card is about, with intervals and losses, and the baseline's losses."""
        rows = self.predictions[self.predictions["model"] == self.decision.closest]
        if rows.empty:
            return pd.DataFrame()
        if "prediction" in rows:
            rows = with_intervals(rows, self.contract.performance.interval, purge_of(self.contract.problem))
        judged_by = self.training.metric
        rows, base = (
            one[one["part"] == "held_out"].sort_values(KEY, ignore_index=True)
            for one in (rows, self._held_out)
        )
        return rows.assign(loss=losses(rows, judged_by), baseline_loss=losses(base, judged_by))


def card_folder(order: WorkOrder, settings: Settings) -> Path:
    """Where the model card of an evaluation is."""
    return settings.artefacts / order.use_case / "model_cards" / f"{order.cycle_id}-{order.attempt}"


def metrics_of(report: Report, scores: Scores, contract: Contract) -> dict[str, float | None]:
    """The numbers that travel with a model: its error, the gain over the baseline, and the business metric."""
    return {
        report.metric: scores.error, f"{report.metric}_gain": scores.gain.value,
        contract.gate_metric.name: scores.business.value,
    }  # fmt: skip


def _question(order: WorkOrder, decision: Decision, importance: tuple[Importance, ...]) -> str:
    first = ", ".join(f"`{one.feature}` ({one.mean:+.4f})" for one in importance[:3])
    return (
        f"**Too good to be true?** {decision.text}\n\nMost important features: {first or 'unknown'}.\n\n"
        f"*Genuine* lets the other gates decide; *A leak* prepares again without the most important feature. The model "
        f"card of {order.cycle_id}, attempt {order.attempt}, shows the numbers."
    )
