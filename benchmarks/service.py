"""``make bench-service``: the prediction service beside MLflow, BentoML and LitServe, and releases that change under load.

All servers serve the same pipeline on the same machine in one run: each is started, checked for right answers, warmed
up, loaded by ``wrk`` and stopped, and so in turn for several rounds; medians are told. Peers run in environments of
their own, in the plain way that their documentation shows, with one worker; ours has its API keys, its prediction log
and its metrics switched on. BentoML and LitServe are measured once more with our compiled predictor in them, which
leaves what the servers themselves cost.

Writes ``benchmarks/results/service.json``. Needs ``wrk`` (Debian: ``apt-get install wrk``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks import service_model, service_peers, service_releases
from benchmarks.parts import WORK, Benchmark
from benchmarks.service_load import CONNECTIONS, Load, load, need_wrk, write_bodies
from benchmarks.service_servers import Running, running
from benchmarks.service_swap import swap
from benchmarks.service_world import USE_CASE, World
from tests.support.kills import kill_under_load

FOLDER = WORK / "service"
OURS, NOOP, BATCH = "kreislauf", "noop", 100
COMPILED = ("bentoml+compiled", "litserve+compiled")
TARGETS = {
    "c16_vs": {"mlflow": ">= 80", "bentoml": ">= 35", "litserve": ">= 28"}, "batch100_vs": {"mlflow": ">= 8"},
    "c16_vs_compiled": {"bentoml": ">= 1.3", "litserve": ">= 1.3"}, "p99_over_p50": "<= 3", "cpu_vs_noop": "<= 4.5",
    "swap": {"requests": ">= 100000", "failed": "0", "mismatched": "0", "bad_served": "0", "p99_ratio": "<= 1.5"},
    "ready_seconds": "<= 2", "mib_per_worker": "<= 250", "tampered_refused": "1000 of 1000",
    "kills": {"kills": "200", "lost": "0"}, "race": "one champion, linear history",
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Parameters
    ----------
    seconds: of load for each server, size of a request and round, after so many to ``warm`` up.
    starts: cold ones.
    swaps: of them so many ``bad``, under so many ``requests`` or more, after ``steady`` seconds without any.
    racers: processes that promote and roll back in so many ``races``.
    """

    rounds: int
    seconds: int
    warm: int
    starts: int
    swaps: int
    bad: int
    requests: int
    steady: float
    tampered: int
    kills: int
    racers: int
    races: int


QUICK = Size(1, 2, 1, 2, 10, 3, 10_000, 3.0, 60, 5, 10, 10)
WHOLE = Size(3, 5, 2, 5, 50, 10, 100_000, 12.0, 1000, 200, 100, 100)


def against_peers(size: Size) -> dict[str, Any]:
    """Requests per second of all servers, in turn."""
    model = service_model.save(FOLDER / "model")
    world = World.new(FOLDER / "home")
    world.promote(world.release(service_model.version(0)).version)
    peers = FOLDER / "peers"
    servers = [
        world.server(), service_peers.noop(), service_peers.mlflow(peers, model), service_peers.bentoml(peers, model),
        service_peers.litserve(peers, model), service_peers.bentoml(peers, model, "compiled"),
        service_peers.litserve(peers, model, "compiled"),
    ]  # fmt: skip
    rounds: dict[str, list[Measured]] = {server.name: [] for server in servers}
    for number in range(size.rounds):
        for server in servers:
            with running(server, FOLDER / "logs") as found:
                rounds[server.name].append(Measured(found, size))
            print(f"round {number + 1}: {server.name}: {rounds[server.name][-1]}", flush=True)
    answered = sum(one.single.requests + BATCH * one.batch.requests for one in rounds[OURS])
    if (logged := world.logged()) < answered:
        raise RuntimeError(f"{answered:,} rows were answered, and only {logged:,} are in the prediction log")
    return {"answered": answered, **_compared({name: Medians(found) for name, found in rounds.items()})}


class Measured:
    """One round of one server: single rows, batches, and its memory afterwards."""

    def __init__(self, server: Running, size: Size) -> None:
        rows = service_model.asked()
        if server.server.name != NOOP:
            _check(server, rows)
        self.single = _loaded(server, rows, 1, size)
        self.batch = _loaded(server, rows, BATCH, size)
        self.mib = server.mib()

    def __str__(self) -> str:
        one = self.single
        return (
            f"{one.per_second:,.0f} rows/s one by one (p50 {one.p50 * 1e3:.2f} ms, p99 {one.p99 * 1e3:.2f} ms, "
            f"{one.cpu * 1e6:.0f} us CPU), {self.batch.per_second:,.1f} batches/s, {self.mib:.0f} MiB"
        )


class Medians:
    """Of the rounds of one server."""

    def __init__(self, rounds: list[Measured]) -> None:
        def of(read: Callable[[Measured], float]) -> float:
            return median(map(read, rounds))

        self.single, self.batch = of(lambda one: one.single.per_second), of(lambda one: one.batch.per_second)
        self.p50, self.p99 = of(lambda one: one.single.p50), of(lambda one: one.single.p99)
        self.tail = of(lambda one: one.single.p99 / one.single.p50)
        self.cpu, self.mib = of(lambda one: one.single.cpu), of(lambda one: one.mib)

    def told(self) -> dict[str, float]:
        return {
            "c16_per_second": round(self.single, 1), "batch100_per_second": round(self.batch, 1),
            "p50_ms": round(self.p50 * 1e3, 3), "p99_ms": round(self.p99 * 1e3, 3),
            "cpu_us_per_request": round(self.cpu * 1e6, 1), "mib": round(self.mib, 1),
        }  # fmt: skip


def _compared(servers: dict[str, Medians]) -> dict[str, Any]:
    ours = servers[OURS]
    plain = [name for name in servers if name in service_peers.PINNED]
    return {
        "connections": CONNECTIONS,
        "c16_vs": {name: round(ours.single / servers[name].single, 1) for name in plain},
        "batch100_vs": {name: round(ours.batch / servers[name].batch, 1) for name in plain},
        "c16_vs_compiled": {name.split("+")[0]: round(ours.single / servers[name].single, 2) for name in COMPILED},
        "p99_over_p50": round(ours.tail, 2), "cpu_vs_noop": round(ours.cpu / servers[NOOP].cpu, 2),
        "mib_per_worker": round(ours.mib, 1), "servers": {name: one.told() for name, one in servers.items()},
    }  # fmt: skip


def _check(server: Running, rows: list[dict[str, Any]]) -> None:
    """All rows at once and some alone: what does not answer right is not measured."""
    expected = service_model.expected()
    found = [*server.ask(rows), *(server.ask([row])[0] for row in rows[:10])]
    for value, right in zip(found, [*expected, *expected[:10]], strict=True):
        if abs(value - right) > 1e-9 * max(1.0, abs(right)):
            raise RuntimeError(f"{server.server.name} answers {value}, not {right}")


def _loaded(server: Running, rows: list[dict[str, Any]], rows_each: int, size: Size) -> Load:
    bodies = write_bodies(server, rows, rows_each, FOLDER)
    load(server, bodies, size.warm)
    return load(server, bodies, size.seconds)


def start(size: Size) -> dict[str, Any]:
    """Seconds from the start of the process until it is ready to predict."""
    world = World.new(FOLDER / "home-start")
    world.promote(world.release(service_model.version(0)).version)
    took = []
    for _ in range(size.starts):
        with running(world.server(), FOLDER / "logs") as found:
            took.append(found.ready_seconds)
    return {"ready_seconds": round(median(took), 3)}


def swaps(size: Size) -> dict[str, Any]:
    """Hot swaps under load."""
    return {"swap": swap(FOLDER / "home-swap", FOLDER / "logs", swaps=size.swaps, bad=size.bad, requests=size.requests, steady=size.steady)}  # fmt: skip


def attacked(size: Size) -> dict[str, Any]:
    """Tampered releases."""
    found = service_releases.tampered(size.tampered, FOLDER / "tampered")
    return {"tampered_refused": found["refused"], "tampered": found}


def raced(size: Size) -> dict[str, Any]:
    """Promotions and rollbacks at once."""
    return {"race": service_releases.race(size.racers, size.races, FOLDER / "race")}


def killed(size: Size) -> dict[str, Any]:
    """The service is killed under load; all that it acknowledged must be in the log."""
    world = World.new(FOLDER / "home-kills")
    world.promote(world.release(service_model.version(0)).version)
    rows = [{"features": row} for row in service_model.asked()[:3]]
    found = kill_under_load(
        world.store, world.settings.home, USE_CASE, rows, kills=size.kills, headers=world.headers
    )
    return {"kills": {
        "kills": found.kills, "while_spooling": found.spooled, "predictions": len(found.predictions),
        "outcomes": len(found.outcomes), "lost": len(found.lost_predictions) + len(found.lost_outcomes),
    }}  # fmt: skip


PARTS: dict[str, Callable[[Size], dict[str, Any]]] = {
    "peers": against_peers, "start": start, "swap": swaps, "tampered": attacked, "race": raced,
    "kills": killed,
}  # fmt: skip


BENCHMARK = Benchmark(
    "service", PARTS, TARGETS, QUICK, WHOLE,
    ("scikit-learn", "treelite", "fastapi", "starlette", "uvicorn", "uvloop", "httptools", "sqlalchemy"),
)  # fmt: skip


def main() -> int:
    """Measure, write the result, print it."""
    need_wrk()
    FOLDER.mkdir(parents=True, exist_ok=True)
    return BENCHMARK.main(peers=service_peers.PINNED)


if __name__ == "__main__":
    sys.exit(main())
