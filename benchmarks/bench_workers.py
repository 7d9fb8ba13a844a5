"""Trivial flow runs a minute, and CPU seconds a run: our worker against Prefect's process worker, in one run.

Both stand on the same PostgreSQL and the same Prefect server; first one works, then it is stopped, then the other. CPU
is that of PostgreSQL, the server, the worker and all children of each, read from /proc.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_workers.py [--ours 200] [--peers 12]
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import goals
from ground import cpu_of
from harness.stack import ROOT, Stack, until

GOAL = 15
WARM_UP = {"worker-1": 5, "peer": 2}


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
    pids = [stack.processes[worker].pid, stack.processes["prefect"].pid, stack.cluster.pid or 0]
    wanted = {"deployments": {"id": {"any_": [deployment]}}, "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    before = stack.prefect("POST", "/flow_runs/count", json=wanted)
    cpu, begun, peak = sum(map(cpu_of, pids)), time.monotonic(), 0.0
    for _ in range(runs):
        stack.prefect("POST", f"/deployments/{deployment}/create_flow_run", json={})

    def done() -> bool:
        nonlocal peak
        peak = max(peak, rss_mib(pids[0]))
        return bool(stack.prefect("POST", "/flow_runs/count", json=wanted) - before >= runs)

    until(f"{runs} runs of {worker}", done, 1200, 0.5)
    seconds = time.monotonic() - begun
    return Figure(runs=runs, seconds=seconds, cpu_seconds=sum(map(cpu_of, pids)) - cpu, peak_mib=peak)


def warmed(stack: Stack, deployment: str, runs: int, worker: str) -> Figure:
    """Measure once everything has been loaded and compiled."""
    measure(stack, deployment, WARM_UP[worker], worker)
    return measure(stack, deployment, runs, worker)


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
        stack.start(workers=())
        stack.start_worker("worker-1", ASSAY_ALLOWED_ENTRYPOINTS="benchmarks.trivial.trivial")
        ours = warmed(stack, deploy(stack, "assay", "benchmarks.trivial.trivial", []), wanted.ours, "worker-1")
        stack.kill("worker-1", signal.SIGTERM)  # it would go on asking the server for runs
        start_process_worker(stack)
        pull: list[dict[str, object]] = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
        peer = warmed(stack, deploy(stack, "peer", "benchmarks/trivial.py:trivial", pull), wanted.peers, "peer")
    finally:
        stack.stop()
    for name, figure in (("assay worker", ours), ("process worker", peer)):
        print(
            f"{name:15} {figure.runs:4} runs {figure.a_minute:7.1f} a minute {figure.cpu_a_run:6.2f} CPU s a run "
            f"{figure.peak_mib:6.0f} MiB"
        )
    print(f"ratio           {peer.cpu_a_run / ours.cpu_a_run:.1f}x less CPU a run")
    print(goals.at_least("trivial flow runs a minute, against the peer", ours.a_minute / peer.a_minute, GOAL, "x"))


if __name__ == "__main__":
    main()
