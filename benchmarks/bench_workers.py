"""Trivial flow runs a minute, and CPU seconds a run: our worker against Prefect's process worker, in one run.

Both stand on the same PostgreSQL and the same Prefect server; first one works, then the other. CPU is that of the
server, the worker and all children of either, read from /proc.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_workers.py [--ours 200] [--peers 12]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from harness.stack import ROOT, Stack, until

TICKS = 100.0
"""Clock ticks a second in /proc, on every Linux we know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one worker did."""

    runs: int
    seconds: float
    cpu_seconds: float
    peak_mib: float

    @property
    def a_minute(self) -> float:
        """Runs a minute."""
        return 60 * self.runs / self.seconds

    @property
    def cpu_a_run(self) -> float:
        """CPU seconds of all processes for one run."""
        return self.cpu_seconds / self.runs


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process, its ended children included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def rss_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def deploy(stack: Stack, pool: str, entrypoint: str, pull: list[dict[str, object]]) -> str:
    """Deploy the trivial flow to a pool. Returns: the deployment's id."""
    flow = stack.prefect("POST", "/flows/", json={"name": "trivial"})
    made = stack.prefect(
        "POST",
        "/deployments/",
        json={
            "name": pool,
            "flow_id": flow["id"],
            "entrypoint": entrypoint,
            "work_pool_name": pool,
            "pull_steps": pull,
            "parameter_openapi_schema": {"type": "object", "properties": {}},
        },
    )
    return str(made["id"])


def measure(stack: Stack, deployment: str, runs: int, worker: str) -> Figure:
    """Start `runs` flow runs at once and wait until Prefect calls all of them completed."""
    pids = [stack.processes[worker].pid, stack.processes["prefect"].pid]
    cpu, begun, peak = sum(map(cpu_of, pids)), time.monotonic(), 0.0
    for _ in range(runs):
        stack.prefect("POST", f"/deployments/{deployment}/create_flow_run", json={})
    wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}

    def done() -> bool:
        nonlocal peak
        peak = max(peak, rss_mib(pids[0]))
        return bool(stack.prefect("POST", "/flow_runs/count", json=wanted) >= runs)

    until(f"{runs} runs of {worker}", done, 1200, 0.5)
    seconds = time.monotonic() - begun
    return Figure(runs=runs, seconds=seconds, cpu_seconds=sum(map(cpu_of, pids)) - cpu, peak_mib=peak)


def start_process_worker(stack: Stack) -> None:
    """Start the peer, as its documentation does."""
    stack.prefect("POST", "/work_pools/", json={"name": "peer", "type": "process"})
    command = [str(Path(sys.executable).parent / "prefect"), "worker", "start", "--pool", "peer", "--type", "process"]
    log = (stack.folder / "peer.log").open("ab")
    stack.processes["peer"] = subprocess.Popen(
        command, cwd=ROOT, env=stack.environment(), stdout=log, stderr=log, start_new_session=True
    )


def main() -> None:
    """Print both figures and their ratios."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--ours", type=int, default=200)
    arguments.add_argument("--peers", type=int, default=12)
    wanted = arguments.parse_args()
    stack = Stack(Path(tempfile.mkdtemp(prefix="assay-bench-")))
    try:
        stack.start()
        ours_deployment = deploy(stack, "assay", "benchmarks.trivial.trivial", [])
        measure(stack, ours_deployment, 5, "worker-1")
        ours = measure(stack, deploy(stack, "assay", "benchmarks.trivial.trivial", []), wanted.ours + 5, "worker-1")
        start_process_worker(stack)
        pull: list[dict[str, object]] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
        peer = measure(stack, deploy(stack, "peer", "benchmarks/trivial.py:trivial", pull), wanted.peers, "peer")
    finally:
        stack.stop()
    for name, figure in (("assay worker", ours), ("process worker", peer)):
        print(
            f"{name:15} {figure.runs:4} runs {figure.a_minute:7.1f} a minute {figure.cpu_a_run:6.2f} CPU s a run "
            f"{figure.peak_mib:6.0f} MiB"
        )
    print(
        f"ratio           {ours.a_minute / peer.a_minute:.1f}x runs a minute, "
        f"{peer.cpu_a_run / ours.cpu_a_run:.1f}x less CPU a run"
    )


if __name__ == "__main__":
    main()
