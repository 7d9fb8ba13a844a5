"""Measure how long a revert of a local fault takes, from the wish to the verified revert, timed from outside.

    python benchmarks/bench_reverts.py [--faults 20] [--at-once 50]

First one fault after the other, of all ten types in turn, then many at once on as many services. Everything runs on
this machine, so a loaded machine gives larger figures.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from goals import at_most

from chaos.experiment_reading import PARAMETER_READERS
from chaos.fault_types import Fault, FaultType
from chaos.provider import FaultId
from cluster.faults.local import LocalFaults
from cluster.faults.provider import Injection
from cluster.services.client import look
from cluster.services.file import read_services
from cluster.services.starting import start, stop

FIRST_PORT = 21_000
NEEDED: dict[FaultType, dict[str, Any]] = {
    FaultType.NETWORK_LATENCY: {"latencyMs": 200},
    FaultType.NETWORK_PACKET_LOSS: {"percent": 50},
    FaultType.MEMORY_STRESS: {"megabytes": 8},
    FaultType.DISK_IO_STRESS: {"megabytes": 1},
}
LIGHT = (FaultType.NETWORK_LATENCY, FaultType.NETWORK_PARTITION, FaultType.EXCEPTION_INJECTION, FaultType.POD_KILL)
"""The types of the faults that are active at once: fifty that burn CPU would measure the machine."""


def fault(kind: FaultType) -> Fault:
    """Return a fault of a type with parameters that fit this machine."""
    parameters = PARAMETER_READERS[kind].read(NEEDED.get(kind, {})).required()
    return Fault(type=kind, parameters=parameters, duration_seconds=60, name=kind.value)


def services_file(folder: Path, number: int) -> Path:
    """Write a file of so many small services."""
    serve = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
    services = [
        {
            "name": f"s{position}",
            "command": [sys.executable, "-c", serve, "${port}"],
            "port": FIRST_PORT + position,
            "health": {"startSeconds": 120},
            "chaos": "allowed",
        }
        for position in range(number)
    ]
    file = folder / "services.yaml"
    file.write_text(yaml.safe_dump({"name": "bench", "services": services}))
    return file


async def injected(provider: LocalFaults, name: str, service: str, kind: FaultType) -> FaultId:
    """Inject a fault as soon as its target runs, and return its id."""
    while True:
        seen = (await look(provider.environments / "bench")).candidates()
        targets = [one.target for one in seen if one.target.service == service and one.ready]
        if targets:
            break
        await asyncio.sleep(0.1)
    injection = Injection(id=FaultId(name), fault=fault(kind), target=targets[0], expires_after=timedelta(seconds=300))
    await provider.inject(injection)
    return injection.id


async def reverted(provider: LocalFaults, name: FaultId) -> float:
    """Revert a fault and verify it. Return the seconds. Raises: SystemExit if something is left."""
    began = time.monotonic()
    await provider.revert(name)
    left = await provider.verify(name)
    if left:
        raise SystemExit(f"{name}: {', '.join(left)}")
    return time.monotonic() - began


async def measure(folder: Path, faults: int, at_once: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each revert: one after the other, and at once."""
    provider = LocalFaults(folder=folder / "faults", environments=folder, heartbeat_seconds=600)
    file = services_file(folder, at_once)
    await start(read_services(file), file, folder / "bench")
    try:
        kinds = list(FaultType)
        alone = [
            await reverted(provider, await injected(provider, f"a{n}", "s0", kinds[n % len(kinds)]))
            for n in range(faults)
        ]
        names = await asyncio.gather(
            *(injected(provider, f"b{n}", f"s{n}", LIGHT[n % len(LIGHT)]) for n in range(at_once))
        )
        together = await asyncio.gather(*(reverted(provider, name) for name in names))
    finally:
        await stop(folder / "bench")
    return alone, list(together)


def tell(what: str, seconds: Sequence[float]) -> None:
    """Print the percentiles, and how the 95th stands to its goal."""
    p95 = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    print(f"{what}: {len(seconds)} reverts, median {statistics.median(seconds):.3f} s, p95 {p95:.3f} s")
    print(at_most(f"{what}, p95", p95, 1.0, " s"))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=20, help="faults one after the other")
    parser.add_argument("--at-once", type=int, default=50, help="faults at once, each on a service of its own")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        alone, together = asyncio.run(measure(Path(folder), options.faults, options.at_once))
    tell("one after the other", alone)
    tell("at once", together)


if __name__ == "__main__":
    main()
