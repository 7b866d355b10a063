"""The model card: what the MLOps engineer reads before a candidate is released.

After Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from include.kreislauf.evaluation import card_tables as tables
from include.kreislauf.evaluation.card_blocks import (
    Block,
    Bullets,
    Code,
    Command,
    Heading,
    Inline,
    Paragraph,
    Picture,
    Strong,
    Text,
    markdown,
)
from include.kreislauf.evaluation.card_facts import Card, metric_label, words
from include.kreislauf.evaluation.card_html import html
from include.kreislauf.evaluation.models import Scores
from include.kreislauf.evaluation.plots import Plot, plots, png
from include.kreislauf.statistics.verdicts import Verdict

__all__ = ["MARKDOWN", "PAGE", "Card", "model_card", "write_card"]

MARKDOWN = "model_card.md"
PAGE = "model_card.html"
MANY = 12
"""Features and parameters beyond so many are counted, not named, in a sentence."""


def model_card(card: Card) -> str:
    """The card in Markdown; its pictures are the files that :func:`write_card` puts beside it."""
    return markdown(_blocks(card, plots(card)))


def write_card(folder: Path, card: Card) -> dict[str, Path]:
    """The card in Markdown and HTML, and its pictures, which are inside the HTML as well.

    The same card gives the same bytes. Returns the files by name.
    """
    drawn = plots(card)
    blocks, pictures = _blocks(card, drawn), {plot.file: png(plot) for plot in drawn}
    title = f"Model card: {card.contract.title}, {card.order.cycle_id}"
    contents = {
        MARKDOWN: markdown(blocks).encode(), PAGE: html(blocks, title, pictures).encode(), **pictures,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def _blocks(card: Card, drawn: Sequence[Plot]) -> list[Block]:
    subject = card.subject
    found: list[Block] = [Heading(f"Model card: {card.contract.title}", 1), *_decision(card), *_purpose(card)]
    if subject:
        found += _model(card, subject)
    found += [Heading("Versions"), tables.lineage(card)]
    if subject:
        found += _numbers(card, subject)
    found += _candidates(card)
    if subject:
        found += _gates(card, subject)
    if drawn:
        found += [Heading("Pictures"), *(Picture(one.file, one.alt, one.caption) for one in drawn)]
    found += [Heading("Limits"), Bullets(tuple(_limits(card)))]
    return [*found, *_reproduce(card), *_source()]


def _decision(card: Card) -> list[Block]:
    verdict = card.decision.verdict
    line: Text = (verdict, f" ({words(card.decision.reason)}): {card.decision.text}")
    return [Paragraph(line, lead=True)]


def _purpose(card: Card) -> list[Block]:
    return [
        Heading("What it is for"),
        Paragraph(card.contract.purpose),
        Paragraph(_made(card)),
        Paragraph(f"Owner: {card.contract.owner}."),
    ]


def _made(card: Card) -> Text:
    """What is predicted, for what, and how far ahead."""
    problem = card.contract.problem
    kinds = {"regression": "A number", "binary": "One of two classes", "multiclass": "One of several classes"}
    of = (", of ", *_names(problem.classes)) if problem.classes else ()
    about: tuple[Inline, ...] = ("each ", Code(problem.entity)) if problem.entity else ("each row",)
    when = f" and {_stretch(card)}, {_ahead(card)}." if problem.time else "."
    return (kinds[problem.kind], *of, ": one prediction for ", *about, when)


def _stretch(card: Card) -> str:
    """What a row with time is about."""
    hours = card.contract.problem.row_hours
    return f"{hours:g} hours" if hours else str(card.contract.problem.period)


def _ahead(card: Card) -> str:
    problem = card.contract.problem
    return f"{problem.horizon} {problem.period}{'s' if problem.horizon > 1 else ''} ahead"


def _model(card: Card, subject: Scores) -> list[Block]:
    named: tuple[Inline, ...] = (
        Strong(subject.name), f", family {words(subject.family)}, complexity {subject.complexity}",
    )  # fmt: skip
    until = card.training.get("trained_until")
    items: list[Text] = [named, ("Parameters: ", *_parameters(subject))]
    features = {kind: list(card.training.get(kind) or []) for kind in ("numeric", "categorical")}
    items += [
        (f"{len(names)} {kind} feature{'s' if len(names) > 1 else ''}: ", *_names(names))
        for kind, names in features.items()
        if names
    ]
    if until:
        items.append(f"Trained on targets until {until}.")
    if card.contract.problem.classes and (corrected := card.training.get("calibration")):
        method, why = corrected
        items.append(f"Probabilities corrected: {method}{f' ({why})' if why else ''}.")
    found: list[Block] = [Heading("The model"), Bullets(tuple(items))]
    if searched := tables.search(card):
        found += [Paragraph("What was searched, by family:"), searched]
    return found


def _parameters(subject: Scores) -> tuple[Inline, ...]:
    if not subject.params:
        return ("the family's own.",)
    return _names([f"{name} = {value}" for name, value in sorted(subject.params.items())])


def _names(names: Sequence[object]) -> tuple[Inline, ...]:
    """Names in a row; the rest is counted."""
    found: list[Inline] = []
    for name in names[:MANY]:
        found += [", ", Code(str(name))]
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return (*found[1:], more) if more else tuple(found[1:])


def _numbers(card: Card, subject: Scores) -> list[Block]:
    report, held_out = card.report, tables.held_out(card)
    periods = f": {held_out}" if held_out else ""
    found: list[Block] = [
        Heading("Numbers"),
        Paragraph(f"On held-out rows, from which no model has learned{periods}."),
        tables.numbers(card, subject),
    ]
    if subject.further:
        others = ", ".join(
            f"{metric_label(name)} {value:.4g}" for name, value in sorted(subject.further.items())
        )
        found.append(Paragraph(f"Further metrics: {others}."))
    if report.champion_note:
        found.append(Paragraph(f"{report.champion_note[:1].upper()}{report.champion_note[1:]}."))
    if (comparison := report.comparison(subject.name)) and comparison.same_predictions:
        found.append(Paragraph("It predicts exactly what the champion predicts."))
    return found


def _candidates(card: Card) -> list[Block]:
    return [
        Heading("All candidates"),
        Paragraph("Compared on the same held-out rows."),
        tables.candidates(card),
    ]


def _gates(card: Card, subject: Scores) -> list[Block]:
    found: list[Block] = []
    if card.decision.results.get(subject.name):
        found += [Heading(f"What the gates said of {subject.name}"), tables.gates(card, subject.name)]
    if subject.segments:
        found += [Heading("Segments"), tables.segments(card, subject)]
    return found


def _limits(card: Card) -> Iterator[Text]:
    """What the numbers do not say, and when the model should not be used."""
    subject, problem = card.subject, card.contract.problem
    if subject:
        periods = f" in {tables.held_out(card)}" if card.report.held_out else ""
        later = f"later {problem.period}s" if problem.time else "rows from elsewhere, or from later"
        yield f"Judged on {subject.n_rows:,} rows{periods}. Nothing here is known of {later}."
    tried = len(card.report.candidates)
    if tried > 1:
        yield f"The best of {tried} candidates, chosen on these rows: expect somewhat less than its numbers."
    if card.report.unknown_entities > 0:
        yield (
            f"{card.report.unknown_entities:.1%} of held-out outcomes belong to a {problem.entity} without features: "
            "the model says nothing of them."
        )
    if subject:
        yield from _small_segments(card, subject)
    yield from _promise(card, subject)
    if card.decision.verdict is not Verdict.PASS:
        yield (Strong("Not to be released"), ": the gates have not let it pass.")
    unknown = (
        f"a {problem.entity} that the training data do not know" if problem.entity else "rows of another kind"
    )
    far = f", more than {_ahead(card)}" if problem.time else ""
    yield (
        f"Not to be used for {unknown}{far}, when features are missing or have shifted, or to explain causes: importance "
        "says what the model uses, not what makes the outcome."
    )


def _small_segments(card: Card, subject: Scores) -> Iterator[Text]:
    small = [f"{one.by} {one.value} ({one.n_rows})" for one in subject.segments if card.too_small(one)]
    if small:
        yield ("Segments with too few rows to judge: ", *_names(small), ".")


def _promise(card: Card, subject: Scores | None) -> Iterator[Text]:
    if subject is None or card.contract.problem.task == "classification":
        return
    if subject.coverage is None:
        yield "There are no prediction intervals: how far a single prediction may be off is not known."
        return
    level = card.contract.performance.interval
    one = card.contract.problem.entity or "row"
    yield (
        f"Prediction intervals come from the residuals of earlier predictions. They are made to hold {level:.0%} of "
        f"outcomes on average, and held {subject.coverage:.1%} here. They do not promise that for one {one}, "
        "for one segment, or after the world has changed."
    )


def _reproduce(card: Card) -> list[Block]:
    if not card.command:
        return []
    told = "Evaluates the same candidates on the same versions again:"
    return [Heading("How to reproduce"), Paragraph(told), Command(card.command)]


def _source() -> list[Block]:
    told = "The form follows Mitchell et al., Model Cards for Model Reporting, FAT* 2019."
    return [Heading("Source"), Paragraph(told)]
