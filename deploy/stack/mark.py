"""`python -m deploy.stack.mark FOLDER`: write which versions the data in a volume were last used with.

The service `migrate` calls it twice: at its beginning with ``--check``, which stops old code before it touches newer
data and marks an empty volume, and at its end without, when everything is migrated.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from deploy.stack.errors import Failed
from deploy.stack.versions import MARK, compare, of_code, parse_mark, shown

ROOT = Path(__file__).resolve().parents[2]


def mark(folder: Path, code: dict[str, str], *, check: bool = False) -> bool:
    """Write the file, if data and code allow it; whether it was written.

    Raises
    ------
    Failed: the data are newer than the code.
    """
    path = folder / MARK
    found = parse_mark(path.read_text("utf-8")) if path.is_file() else None
    if found and compare(found, code) == "newer":
        raise Failed(f"the data are of {shown(found)}, and this code is older: {shown(code)}", where=str(path),
                     next_step="use the images of that version, or restore a backup of this one")  # fmt: skip
    if check and any(folder.iterdir()):
        return False
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(code, indent=1) + "\n", "utf-8")
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    return True


def main(arguments: list[str]) -> int:
    """Mark a folder; exit code 1 when its data are newer."""
    parser = argparse.ArgumentParser(prog="deploy.stack.mark", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="mark an empty folder only")
    given = parser.parse_args(arguments)
    try:
        mark(given.folder, of_code(ROOT), check=given.check)
    except Failed as error:
        print(error.text, file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
