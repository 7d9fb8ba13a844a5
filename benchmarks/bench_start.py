"""Warm start to ready: `assay up` in a folder where everything was set up before, and what each part takes in memory.

PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_start.py [--starts 3]
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_workers import rss_mib
from harness.stack import ROOT, until

COMMAND = [sys.executable, "-m", "cli.main"]


def start(environment: dict[str, str], log: Path) -> tuple[float, dict[str, float]]:
    """Start the stack, wait until it says that it is ready, end it. Returns: seconds, and MiB a part."""
    begun = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*COMMAND, "up", "--no-samples"], cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    until("ready", lambda: "ready: Prefect UI" in log.read_text(), 120, 0.02)
    seconds = time.monotonic() - begun
    status = subprocess.run(
        [*COMMAND, "status", "--json"], cwd=ROOT, env=environment, capture_output=True, check=True, text=True
    )
    parts = {part["name"]: rss_mib(part["pid"]) for part in json.loads(status.stdout)["parts"] if part.get("pid")}
    process.send_signal(signal.SIGINT)
    process.wait(60)
    return seconds, parts


def main() -> None:
    """Print the figures; the first, cold start is told apart."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--starts", type=int, default=3)
    wanted = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "ASSAY_"))}
    environment["ASSAY_STATE"] = str(folder / "state")
    cold, _ = start(environment, folder / "cold.log")
    warm, parts = [], {}
    for number in range(wanted.starts):
        seconds, parts = start(environment, folder / f"warm-{number}.log")
        warm.append(seconds)
    print(f"first start to ready {cold:.1f} s; warm start to ready {statistics.median(warm):.1f} s (median of {warm})")
    print("memory: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in parts.items()))


if __name__ == "__main__":
    main()
