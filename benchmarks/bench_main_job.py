"""The main job: `custom` tests of `true` through REST, gate, shim, results and Prefect.

Prints runs a minute, the time from the submit to the first instruction of the test on an idle stack (p50, p95), and
what 200 waiting flows cost the worker in memory, threads and connections.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_main_job.py [--runs 200] [--idle 20] [--waiting 200]
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import goals
from bench_workers import rss_mib
from harness.stack import Stack, shell, until

MOST_CONNECTIONS, MOST_THREADS = 5, 20


def throughput(stack: Stack, runs: int) -> tuple[float, float]:
    """Return runs a minute, from the first submit to the last verdict, and to the last end that Prefect shows."""
    begun = time.monotonic()
    for _ in range(runs):
        stack.submit(shell("true", name="bench"))
    until("all ended", lambda: not stack.sql("SELECT 1 FROM test_executions WHERE completed_at IS NULL"), 1200, 0.2)
    ended = time.monotonic() - begun
    until(
        "Prefect shows all ends", lambda: not stack.sql("SELECT 1 FROM test_executions WHERE NOT prefect_settled"), 1200
    )
    return 60 * runs / ended, 60 * runs / (time.monotonic() - begun)


def latencies(stack: Stack, runs: int, folder: Path) -> list[float]:
    """Return the seconds from before the submit to the first instruction of the test, one run after the other."""
    found = []
    for number in range(runs):
        mark = folder / f"mark-{number}"
        begun = time.time()  # noqa: TID251  compared with the test's own clock
        run = stack.submit(shell(f"date +%s.%N > {mark}", name="latency"))
        stack.ended(run)
        found.append(float(mark.read_text()) - begun)
        time.sleep(0.3)
    return found


def waiting(stack: Stack, count: int) -> None:
    """Print what the worker holds while `count` Prefect-started flows wait in the gate."""
    pid = stack.processes["worker-1"].pid
    cpu = stack.sql("SELECT max(cpu_milli) AS n FROM nodes")[0]["n"]
    blocker = stack.submit(shell("sleep 600", name="blocker", resources={"cpuRequest": f"{cpu}m"}))
    stack.in_phase(blocker, "running")
    before = rss_mib(pid)
    for _ in range(count):
        stack.prefect_start({"test": shell("true", name="waits", resources={"cpuRequest": f"{cpu}m"})})
    query = "SELECT count(*) AS n FROM queue WHERE state = 'waiting'"
    until(f"{count} waiting", lambda: stack.sql(query)[0]["n"] >= count, 600, 0.5)
    time.sleep(5)
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    connections = stack.sql(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'assay' AND application_name = 'assay worker-1'"
    )[0]["n"]
    print(
        f"waiting: {before:.0f} MiB before, {rss_mib(pid):.0f} MiB with {count} waiting flows "
        f"({(rss_mib(pid) - before) / count:.2f} MiB each)"
    )
    print(goals.at_most(f"connections of the worker with {count} waiting flows", connections, MOST_CONNECTIONS))
    print(goals.at_most(f"threads of the worker with {count} waiting flows", threads, MOST_THREADS))


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=200)
    arguments.add_argument("--idle", type=int, default=20)
    arguments.add_argument("--waiting", type=int, default=200)
    wanted = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    stack = Stack(folder)
    try:
        stack.start()
        stack.sql('UPDATE users SET quota = quota || \'{"max_daily_tests": 100000, "max_concurrent_tests": 500}\'')
        stack.sql('UPDATE teams SET quota = quota || \'{"max_daily_tests": 100000, "max_concurrent_tests": 500}\'')
        throughput(stack, 5)
        ended, shown = throughput(stack, wanted.runs)
        print(f"main job: {ended:.0f} runs a minute until all have a verdict, {shown:.0f} until Prefect shows them all")
        seconds = sorted(latencies(stack, wanted.idle, folder))
        p95 = statistics.quantiles(seconds, n=20)[-1]
        print(f"submit to first instruction, idle: p50 {statistics.median(seconds):.2f} s, p95 {p95:.2f} s")
        waiting(stack, wanted.waiting)
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
