"""The model card: what the MLOps engineer reads before a candidate is released."""

from __future__ import annotations

from include.kreislauf.evaluation.gate import Decision
from include.kreislauf.evaluation.report import Report, Scores
from include.kreislauf.handovers import WorkOrder
from include.kreislauf.requirements.contract import Contract


def model_card(contract: Contract, order: WorkOrder, report: Report, decision: Decision) -> str:
    """Markdown: the decision, and every model that was compared, on the same rows.

    After Mitchell et al., Model Cards for Model Reporting, FAT* 2019, as far as the numbers at hand go.
    """
    rows = "\n".join(_row(scores) for scores in [*report.candidates, *report.baselines])
    first, last = (report.held_out[0], report.held_out[-1]) if report.held_out else ("", "")
    return f"""# Model card: {contract.title}

**{decision.verdict}** ({decision.reason}): {decision.text}

Cycle `{order.cycle_id}`, attempt {order.attempt}, as of {order.as_of:%Y-%m-%d}; made from
{", ".join(f"{name} `{version}`" for name, version in order.inputs.items())}.

## Compared on the same held-out rows, {contract.problem.period}s {first} to {last}

| model | MAE | against persistence | portfolio uplift | {report.candidates[0].uplift_level:.0%} interval |
|---|---|---|---|---|
{rows}

Champion: {report.champion_note}.

## Intended use

{contract.purpose}
"""


def _row(scores: Scores) -> str:
    uplift = "-" if scores.uplift is None else f"{scores.uplift:+.4f}"
    known = scores.uplift_low is not None and scores.uplift_high is not None
    interval = f"{scores.uplift_low:+.4f} to {scores.uplift_high:+.4f}" if known else "-"
    return f"| {scores.name} | {scores.mae:.4f} | {scores.mae_gain:+.1%} | {uplift} | {interval} |"
