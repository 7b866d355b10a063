"""Which of bandit's findings nobody has answered: ``bandit -f json … | python3 bandit_findings.py``.

ruff's rules S are bandit's rules B with the same numbers, and each exception stands in the code as ``noqa: S…`` with its
reason. A second mark beside it would say the same twice; bandit finds what ruff does not have yet.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_NO_PASSWORD = "Possible hardcoded password: ''"  # noqa: S105 - bandit takes an empty text for one, ruff does not
_ANSWER = re.compile(r"#\s*noqa:(?P<rules>[A-Z0-9, ]+)")


def is_answered(finding: Mapping[str, Any], lines: list[str]) -> bool:
    """Whether one of the lines that a finding is about names the same rule to ruff, or there is nothing to answer."""
    if finding["issue_text"] == _NO_PASSWORD:
        return True
    rule = "S" + str(finding["test_id"])[1:]
    about = (lines[number - 1] for number in finding["line_range"])
    return any(
        rule in re.findall(r"[A-Z]+\d+", found["rules"]) for found in map(_ANSWER.search, about) if found
    )


def open_findings(report: Mapping[str, Any]) -> list[str]:
    """Place, rule and text of each finding without an answer, and of each file that bandit could not read."""
    found = [f"{one['filename']}: {one['reason']}" for one in report["errors"]]
    for finding in report["results"]:
        if not is_answered(finding, Path(finding["filename"]).read_text().splitlines()):
            place = f"{finding['filename']}:{finding['line_number']}"
            found.append(f"{place}: {finding['test_id']} {finding['issue_text']}")
    return found


if __name__ == "__main__":
    found = open_findings(json.load(sys.stdin))
    print("\n".join(found))
    sys.exit(bool(found))
