"""Using a result that is there already, instead of making it again; and saying so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.kreislauf.handovers import Handover, StepResult, WorkOrder
from include.kreislauf.settings import Settings
from include.kreislauf.store import messages
from include.kreislauf.store.addresses import Address
from include.kreislauf.store.database import Store

MADE_ANEW = "made_anew"
"""In a handover's summary: why the work was done although a result of the same address was known, or could be."""
CHANGED = "what it depends on has changed"
LOOKED_AT = 200
"""So many handovers of a discipline are looked through, the newest first."""


@dataclass(frozen=True)
class Reuse:
    """The search of an earlier result for one order.

    Parameters
    ----------
    fault: what is wrong with the output of an earlier handover; empty: nothing.
    """

    order: WorkOrder
    address: Address
    settings: Settings
    fault: Callable[[Handover], str]

    def result(
        self, make: Callable[[], StepResult], again: Callable[[Handover], None] | None = None
    ) -> StepResult:
        """An earlier result that is still whole, or what is made now.

        Parameters
        ----------
        again: called with the earlier handover when its result is used.
        """
        known, why_not = self.earlier()
        if known is None:
            return self.named(make(), why_not)
        if again:
            again(known)
        return self.repeated(known)

    def earlier(self) -> tuple[Handover | None, str]:
        """The handover whose output can be used; or ``None``, and why not where the address alone would allow it."""
        if self.order.fresh:
            return None, f"{self.order.by} wanted it made anew"
        if self.address.untold:
            return None, self.address.untold
        with Store(self.settings.store).read() as db:
            newest = messages.newest_handovers(db, self.order.use_case, self.address.stage, LOOKED_AT)
        same = [one for one in newest if one.address == self.address.digest]
        faults = []
        for one in same:
            if not (fault := self.fault(one)):
                return one, ""
            faults.append(f"the result of {one.id} cannot be used: {fault}")
        return None, "; ".join(faults)

    def repeated(self, known: Handover) -> StepResult:
        """The earlier result as the result of this order; its document says where it comes from."""
        with Store(self.settings.store).read() as db:
            document = (messages.document_of(db, known.id) or "").removeprefix(f"{told(known)}\n\n")
        summary = {name: value for name, value in known.summary.items() if name != MADE_ANEW}
        handover = self.order.handover(
            known.stage, code_version=self.settings.code, output=known.output, summary=summary
        ).model_copy(update={**self._named, "reused_from": known.reused_from or known.id})
        return StepResult(handover, f"{told(handover)}\n\n{document}")

    def named(self, result: StepResult, why_not: str) -> StepResult:
        """A result that was made now, with its address. Where its content was known, it is the earlier version."""
        message = result.message
        if not isinstance(message, Handover) or message.address:
            return result
        with Store(self.settings.store).read() as db:
            first = messages.find_handover_of(db, message.use_case, message.stage, message.output)
        known = first.id if first and first.id != message.id else ""
        why = why_not or (CHANGED if known else "")
        summary = {**message.summary, **({MADE_ANEW: why} if why else {})}
        handover = message.model_copy(update={**self._named, "summary": summary, "reused_from": known})
        note = told(handover)
        return StepResult(handover, f"{note}\n\n{result.document}" if note else result.document)

    @property
    def _named(self) -> dict[str, object]:
        return {"address": self.address.digest, "basis": dict(self.address.basis)}


def told(handover: Handover) -> str:
    """In a sentence of Markdown whether a result was reused, or why it was made although one was known."""
    why = handover.summary.get(MADE_ANEW)
    if not handover.reused_from:
        return f"> Made anew: {why}." if why else ""
    if why:
        return (
            f"> Made anew ({why}), with the content of `{handover.reused_from}`: its version is named again."
        )
    return used_again(handover.reused_from)


def used_again(handover_id: str) -> str:
    """Where a result comes from that was not made again, as a line of Markdown."""
    return f"> Reused from `{handover_id}`: nothing that it depends on has changed."
