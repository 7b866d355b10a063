"""Whether the parts of a contract fit together: sources, cleaning and metrics, each against the problem."""

from __future__ import annotations

from include.kreislauf.periods import LENGTHS, MONTHS
from include.kreislauf.requirements.business import BusinessMetric, DecisionValue, PortfolioUplift
from include.kreislauf.requirements.monitoring import MEASURES_OF, Outcomes
from include.kreislauf.requirements.problem import Problem
from include.kreislauf.requirements.science import CleaningStep, FillPrevious, KeepLatest
from include.kreislauf.requirements.section import inconsistent
from include.kreislauf.requirements.sources import Counted, Rows, Source


def check_columns(sources: tuple[Source, ...], problem: Problem) -> None:
    """Whether each source has what rows are told apart by, and one of them the target.

    Raises
    ------
    PydanticCustomError: a column of the problem is in no source that needs it, or sources cannot be joined.
    """
    rows = [source for source in sources if isinstance(source, Rows)]
    for source in rows:
        if lacking := sorted(set(problem.keys) - set(source.columns)):
            raise inconsistent(
                f"the columns of source {source.name} lack {', '.join(lacking)} of the problem",
                allowed="columns of the source in problem.entity and problem.time",
            )
    counted = [source.name for source in sources if isinstance(source, Counted)]
    if counted and len(problem.keys) < 2:
        raise inconsistent(
            f"source {counted[0]} counts by technology and period, but the problem lacks entity or time",
            allowed="problem.entity, problem.time and problem.period",
        )
    if counted and problem.period in LENGTHS:
        raise inconsistent(
            f"source {counted[0]} counts by the calendar, but the problem's period is {problem.period}",
            allowed=f"problem.period {', '.join(MONTHS)}",
        )
    if len(sources) > 1 and not problem.unique:
        raise inconsistent(
            f"{len(sources)} sources cannot be joined without an entity whose rows are there once",
            allowed="one source, or problem.entity (other than problem.group)",
        )
    columns = [name for source in sources for name in source.columns if name not in problem.keys]
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise inconsistent(
            f"column {', '.join(twice)} is in more than one source",
            allowed="each column in one source, but for entity and time",
        )
    there = {name for source in sources for name in source.columns}
    wanted = {name for name in (problem.target, problem.group) if name is not None}
    if lacking := sorted(wanted - there):
        raise inconsistent(
            f"no source has the column {', '.join(lacking)} of the problem",
            allowed="columns of a source in problem.target and problem.group",
        )


def check_types(sources: tuple[Source, ...], problem: Problem) -> None:
    """Whether the columns of the problem are of a type that fits their role.

    Raises
    ------
    PydanticCustomError: one is not.
    """
    outcome = ("number",) if problem.task == "regression" else ("text", "number")
    roles = {
        "entity": (problem.entity, ("text",)), "time": (problem.time, ("date",)),
        "group": (problem.group, ("text", "number")), "target": (problem.target, outcome),
    }  # fmt: skip
    for source in (one for one in sources if isinstance(one, Rows)):
        for role, (name, allowed) in roles.items():
            if name in source.columns and source.columns[name].type not in allowed:
                raise inconsistent(
                    f"column {name} of source {source.name} is of type {source.columns[name].type}, but it is the "
                    f"{role} of a problem of kind {problem.kind}",
                    allowed=f"type {' or '.join(allowed)}",
                )


def check_step(step: CleaningStep, problem: Problem) -> None:
    """Whether the rows of a problem have what a cleaning step goes by.

    Raises
    ------
    PydanticCustomError: they have not.
    """
    if isinstance(step, KeepLatest) and not problem.unique:
        raise inconsistent(
            "keep_latest goes by what a row is about, but rows of the problem may repeat",
            allowed="problem.entity (other than problem.group), or no such step",
        )
    if isinstance(step, FillPrevious) and len(problem.keys) < 2:
        raise inconsistent(
            "fill_previous goes by entity and time, but the problem lacks one of them",
            allowed="problem.entity and problem.time, or fill_value",
        )


def check_metric(metric: BusinessMetric, problem: Problem) -> None:
    """Whether a business metric can be computed for a kind of problem.

    Raises
    ------
    PydanticCustomError: it cannot.
    """
    if isinstance(metric, PortfolioUplift) and (problem.kind != "regression" or len(problem.keys) < 2):
        raise inconsistent(
            f"{metric.name}: a portfolio uplift is of numbers by entity and period",
            allowed="kind regression with entity and time; else decision_value or outcomes",
        )
    if isinstance(metric, DecisionValue) and metric.classes != set(problem.classes):
        raise inconsistent(
            f"{metric.name}: costs for {', '.join(sorted(metric.classes))}",
            allowed=f"the classes of the problem: {', '.join(problem.classes) or 'none: kind binary or multiclass'}",
        )
    if isinstance(metric, Outcomes) and (kinds := MEASURES_OF[metric.measure]) and problem.kind not in kinds:
        raise inconsistent(
            f"{metric.name}: measure {metric.measure} with kind {problem.kind}",
            allowed=f"kind {', '.join(kinds)}",
        )
    if isinstance(metric, Outcomes) and metric.measure == "hit" and (metric.tolerance is None) != (problem.task == "classification"):  # fmt: skip
        raise inconsistent(
            f"{metric.name}: a hit {'of a class has no' if metric.tolerance else 'of a number needs a'} tolerance",
            allowed="tolerance with kind regression, and only there",
        )
