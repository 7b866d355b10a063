"""Docker and Compose as far as the host tool asks them, in their real formats; notes every call.

A test copies it onto the PATH. `world` beside it says what there is, as Python's literal with the answers already in JSON;
`calls` is what was asked. It is started hundreds of times, and imports are what a start costs: so there are none.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = __file__.rpartition("/")[0]
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
)
AWAY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


def answer(words: list[str], world: dict[str, Any]) -> tuple[int, str, str]:
    """(exit code, output, errors) of a command."""
    if words[0] == "compose":
        return compose(words[1:], world)
    if world["engine"] != "up":
        return 1, "", {"denied": DENIED, "away": AWAY}[world["engine"]]
    match words:
        case ["version", *_]:
            return 0, "28.2.2\n", ""
        case ["info", *_]:
            return 0, world["info"], ""
        case ["image", "inspect", *_, name]:
            return (
                (0, world["images"][name], "")
                if name in world["images"]
                else (1, "[]", f"No such image: {name}")
            )
        case ["volume", "ls", *_]:
            return 0, "\n".join(world["volumes"]), ""
        case ["ps", *rest] if "-q" in rest:
            return 0, world["ids"], ""
        case ["ps", "--filter", chosen, *_]:
            return 0, world["names"] if chosen.startswith("publish=") else world["ports"], ""
        case ["inspect", *_]:
            return 0, world["containers"], ""
        case ["logs", *_]:
            return 0, world["logs"], ""
        case ["run", *rest]:
            names = [one.split("/")[-1].removesuffix(":ro") for one in rest if one.endswith(":ro")]
            parts = (f'"{name}": {world["volumes"][world["project"] + "_" + name]}' for name in names)
            return 0, f"{{{', '.join(parts)}}}", ""
    return 0, "", ""


def compose(words: list[str], world: dict[str, Any]) -> tuple[int, str, str]:
    """Compose's answer; which command it is stands behind its options."""
    if not world["compose"]:
        return 1, "", "docker: unknown command: docker compose"
    if words == ["version"]:
        return 0, "Docker Compose version v2.26.1", ""
    for command, result in world["results"].items():
        if command in words:
            return result, "", "it says why" if result else ""
    return 0, "", ""


if __name__ == "__main__":
    given = sys.argv[1:]
    with open(f"{HERE}/calls", "a") as calls, open(f"{HERE}/world") as world:
        calls.write(f"{given!r}\n")
        code, output, errors = answer(given, eval(world.read()))
    sys.stdout.write(output)
    sys.stderr.write(errors)
    sys.exit(code)
