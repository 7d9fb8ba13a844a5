"""Suites with an experiment on the shop: tests that buy and notice how long it takes, and a slow payments."""

from typing import Any

from harness.experiments import LocalShop

ORDERS = """
import sys, time, urllib.request
ORDER = b'{"item": "lamp", "quantity": 1, "card": "1234"}'
until, most = time.monotonic() + float(sys.argv[2]), float(sys.argv[3])
while time.monotonic() < until:
    began = time.monotonic()
    wanted = urllib.request.Request(sys.argv[1], ORDER, {"Content-Type": "application/json"})
    urllib.request.urlopen(wanted, timeout=30).read()
    took = time.monotonic() - began
    if took > most:
        sys.exit(f"an order took {took:.2f} s")
    time.sleep(0.1)
"""


def buys(shop: LocalShop, name: str, during: str, seconds: float, most: float) -> dict[str, Any]:
    """Return a test that buys for so many seconds, and fails at an order that takes longer than `most` seconds."""
    words = ["python3", "buys.py", f"{shop.orders}/orders", f"{seconds}", f"{most}"]
    test = {"name": name, "type": "custom", "command": words, "during": during}
    return test | {
        "content": {"type": "inline", "files": {"buys.py": ORDERS}},
        "resources": {"cpuRequest": "10m", "memoryRequest": "16Mi"},
        "config": {"timeout": 60, "uses": [f"local/{shop.name}"]},
    }


def slow(shop: LocalShop, **changes: Any) -> dict[str, Any]:
    """Return an experiment in which payments answers 900 ms later, and orders has to stay well."""
    alive = {"name": "orders is well", "type": "http", "url": f"{shop.orders}/health", "intervalSeconds": 0.5}
    fault = [{"type": "network-latency", "parameters": {"latencyMs": 900}}]
    own = {"faults": fault, "hypothesis": {"healthChecks": [alive]}, "load": None}
    return shop.example("payments-slow", **own, haltConditions=[{"healthCheck": "orders is well"}], **changes)
