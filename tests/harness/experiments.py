"""Experiments of tests: the shop as a local environment of a state folder, and the examples with short windows."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.fault_providers import ENVIRONMENTS
from cluster.faults.marks import MARK
from cluster.services.client import EnvironmentFacts, look
from cluster.services.file import check_services
from cluster.services.starting import start, stop
from harness.environments import SHOP, free_ports

EXAMPLES = SHOP.parent / "chaos"
SHOP_PORTS = {"services.yaml": 8100, "services-without-retries.yaml": 8110}


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalShop:
    """A running shop. `name` is that of its environment, `ports` leads from those of the examples to its own."""

    name: str
    folder: Path
    ports: dict[int, int]

    @property
    def orders(self) -> str:
        return f"http://127.0.0.1:{self.ports[8100]}"

    def facts(self) -> EnvironmentFacts:
        return asyncio.run(look(self.folder))

    def example(self, name: str, /, **changes: Any) -> dict[str, Any]:
        """Return an example that aims at this shop, with other values for some of its keys."""
        text = (EXAMPLES / f"{name}.yaml").read_text()
        for old, new in self.ports.items():
            text = text.replace(str(old), str(new))
        raw: dict[str, Any] = yaml.safe_load(text)
        raw["target"]["environment"] = self.name
        hypothesis = raw["hypothesis"]
        for slo in [*hypothesis.get("slos", []), *([hypothesis["slo"]] if "slo" in hypothesis else [])]:
            slo["stepSeconds"] = 1
        return raw | {"durationSeconds": 5, "baselineSeconds": 5, "recoverySeconds": 8} | changes


@contextmanager
def local_shop(state: Path, file: str = "services.yaml", name: str = "shop") -> Iterator[LocalShop]:
    """Run the shop of an example file in a state folder, on ports of its own."""
    raw = yaml.safe_load((SHOP / file).read_text())
    raw["name"] = name
    new = dict(zip((service["port"] for service in raw["services"]), free_ports(3), strict=True))
    text = yaml.safe_dump(raw)
    for old, port in new.items():
        text = text.replace(str(old), str(port))
    raw = yaml.safe_load(text)
    for service in raw["services"]:
        service["env"] = {"PYTHONPATH": str(SHOP)}
    own, folder = state / f"{name}.yaml", state / ENVIRONMENTS / name
    own.write_text(yaml.safe_dump(raw))
    ports = {old - SHOP_PORTS[file] + 8100: port for old, port in new.items()}
    try:
        asyncio.run(start(check_services(raw, own.parent), own, folder))
        yield LocalShop(name=name, folder=folder, ports=ports)
    finally:
        asyncio.run(stop(folder))


def guards(run: str) -> list[int]:
    """Return the processes that carry the mark of a fault of a run, found in /proc without our own code."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if stat[0] != "Z" and f"{MARK}={run}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
