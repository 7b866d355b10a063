"""What is allowed in a contract, and is likely not meant: told by ``contract check``, refused by nothing."""

from __future__ import annotations

from include.kreislauf.requirements.business import PerPrediction
from include.kreislauf.requirements.contract import Contract


def cautions(contract: Contract, log_days: int) -> list[str]:
    """A line for each.

    Parameters
    ----------
    log_days: days that predictions stay in the store of this installation.
    """
    return [*_never_starved(contract), *_archived_before_mature(contract, log_days)]


def _never_starved(contract: Contract) -> list[str]:
    names = [one.name for one in contract.business_metrics if one.test is not None]
    if not names or contract.monitoring.starved_days is not None:
        return []
    return [
        f"monitoring.starved_days is not set: if nothing more comes for {', '.join(names)}, "
        "the last verdict is told on and nobody is warned"
    ]


def _archived_before_mature(contract: Contract, log_days: int) -> list[str]:
    return [
        f"{one.name}: maturity_days {one.maturity_days:g} is not less than the {log_days} days that the log is kept "
        "(KREISLAUF_LOG_DAYS): archived outcomes never count"
        for one in contract.business_metrics
        if isinstance(one, PerPrediction) and one.maturity_days >= log_days
    ]
