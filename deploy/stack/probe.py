"""What the volumes hold; run by the Python of a container that has them, read-only, below `/volumes`.

It comes in by standard input, so that it works in an image of any version: no import but the standard library's.
Argument: JSON object, name of the volume -> uid that everything in it must have, or null for any. Prints JSON.
"""

# a walk over very many files, where a Path for each takes most of the time
# ruff: noqa: PTH116, PTH118, PTH123
from __future__ import annotations

import json
import os
import sys
from typing import Any


def look(folder: str, uid: int | None) -> dict[str, Any]:
    """One volume: bytes, whether it is empty, the first thing of a wrong owner, the mark, PostgreSQL's version."""
    size, count, strange = 0, 0, None
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            if place == folder and name == "lost+found":
                folders.remove(name)
                continue
            try:
                about = os.lstat(path)
            except FileNotFoundError:
                continue
            size, count = size + about.st_size, count + 1
            if strange is None and uid is not None and about.st_uid != uid:
                strange = [os.path.relpath(path, folder), about.st_uid]
    top = os.stat(folder)
    # a volume that nothing was written to has the owner of whoever made it
    if count and uid is not None and top.st_uid != uid:
        strange = [".", top.st_uid]
    texts = {name: read(os.path.join(folder, name)) for name in ("deployment.json", "PG_VERSION")}
    return {"bytes": size, "empty": count == 0, "strange": strange, "mark": texts["deployment.json"],
            "postgres": (texts["PG_VERSION"] or "").strip() or None}  # fmt: skip


def read(path: str) -> str | None:
    """A small file's text, if it is there."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(10000)
    except OSError:
        return None


if __name__ == "__main__":
    wanted = json.loads(sys.argv[1])
    print(json.dumps({name: look("/volumes/" + name, uid) for name, uid in wanted.items()}))
