"""Measure how long an abort takes, from the request to the revert as seen from outside, with many experiments at once.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_aborts.py [--at-once 50] [--aborts 20]

A whole stack with one worker runs experiments on as many services of local environments. First some of them are
aborted, one after the other; then all others at once, by the stop switch. The clock runs from the request to the moment
at which the supervisor of the services says that the fault is gone. It is asked again and again, which costs time, too.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from goals import at_most
from harness.stack import Stack, until

from cluster.fault_providers import ENVIRONMENTS
from cluster.services.client import look
from cluster.services.file import read_services
from cluster.services.starting import start, stop

FIRST_PORT = 22_000
IN_ONE = 25
"""Services of one environment. One more depends on the first, since without any edge all would be one chain."""


def services_file(folder: Path, name: str, first_port: int, number: int) -> Path:
    """Write a file of so many small services, and one that calls the first."""
    serve = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
    services: list[dict[str, Any]] = [
        {
            "name": f"s{position}",
            "command": [sys.executable, "-c", serve, "${port}"],
            "port": first_port + position,
            "health": {"startSeconds": 120},
            "chaos": "allowed",
        }
        for position in range(number)
    ]
    services.append({"name": "caller", "command": ["sleep", "86400"], "dependsOn": ["s0"]})
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump({"name": name, "services": services}))
    return file


def experiment(environment: str, service: str, port: int) -> dict[str, Any]:
    """Return an experiment on one service that lasts until it is aborted."""
    return {
        "name": f"{environment} {service}",
        "fault": {"type": "network-latency", "parameters": {"latencyMs": 1}},
        "target": {"environment": environment, "service": service},
        "hypothesis": {
            "healthChecks": [
                {
                    "name": "accepts",
                    "type": "tcp",
                    "host": "127.0.0.1",
                    "port": port,
                    "intervalSeconds": 5,
                    "timeoutSeconds": 5,
                    "failures": 100,
                }
            ]
        },
        "durationSeconds": 1800,
        "baselineSeconds": 5,
        "recoverySeconds": 5,
        "haltConditions": [{"healthCheck": "accepts", "failures": 100}],
    }


@contextmanager
def environments(state: Path, number: int) -> Iterator[list[tuple[str, str, int]]]:
    """Run as many services as experiments; yield environment, service and port of each."""
    names = [f"e{place}" for place in range((number + IN_ONE - 1) // IN_ONE)]
    found = []
    try:
        for place, name in enumerate(names):
            first, mine = FIRST_PORT + 100 * place, min(IN_ONE, number - IN_ONE * place)
            file = services_file(state, name, first, mine)
            asyncio.run(start(read_services(file), file, state / ENVIRONMENTS / name))
            found += [(name, f"s{position}", first + position) for position in range(mine)]
        yield found
    finally:
        for name in names:
            asyncio.run(stop(state / ENVIRONMENTS / name))


def active(state: Path, environment: str, service: str) -> bool:
    """Say whether a service is under a fault, as its supervisor says."""
    facts = asyncio.run(look(state / ENVIRONMENTS / environment, service))
    return bool(facts.services[service].rules)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--aborts", type=int, default=20)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        stack = Stack(Path(folder) / "s")
        try:
            stack.start()
            stack.rest("PUT", "/quota", json={"maxConcurrentTests": 500}).raise_for_status()
            with environments(stack.state, options.at_once) as places:
                measure(stack, places, options.aborts)
        finally:
            stack.stop()
    return 0


def measure(stack: Stack, places: Sequence[tuple[str, str, int]], aborts: int) -> None:
    """Have all experiments under their faults, then abort them and time that."""
    runs = {}
    for environment, service, port in places:
        spec = experiment(environment, service, port)
        answer = stack.rest("POST", "/runs", json={"kind": "experiment", "spec": spec})
        answer.raise_for_status()
        runs[environment, service] = answer.json()["runId"]
    began = time.monotonic()
    until("all are under their faults", lambda: all(active(stack.state, *place) for place in runs), 300, 0.5)
    print(f"{len(runs)} experiments under their faults after {time.monotonic() - began:.1f} s, in one worker")
    took = []
    for place in list(runs)[:aborts]:
        began = time.monotonic()
        stack.rest("POST", f"/chaos/executions/{runs[place]}/abort").raise_for_status()
        until("it is reverted", lambda place=place: not active(stack.state, *place), 60, 0.01)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    p95 = sorted(took)[max(0, int(len(took) * 0.95 + 0.999) - 1)]
    print(f"one abort: median {statistics.median(took):.2f} s, p95 {p95:.2f} s, longest {max(took):.2f} s")
    print(at_most("abort to reverted, p95", p95, 1.0, " s"))
    rest = list(runs)[aborts:]
    began = time.monotonic()
    stack.rest("POST", "/chaos/stop", json={"reason": "the benchmark ends"}).raise_for_status()
    until("all are reverted", lambda: not any(active(stack.state, *place) for place in rest), 60, 0.01)
    print(f"stop: {len(rest)} experiments reverted after {time.monotonic() - began:.2f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
