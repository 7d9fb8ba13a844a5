"""How soon a run begins on one node whose Prefect flow waits in the worker of another (010.5).

Both nodes are full. A flow is started by Prefect and waits in the first worker; then the second node gets room. Printed
are the seconds from the decision of the gate until the test process has begun: for flows that had to move, and, beside
them, for flows that waited in the right worker.

    PYTHONPATH=.:tests .venv/bin/python benchmarks/bench_two_nodes.py [--runs 10]
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import goals
from harness.stack import Stack, shell, until

MOST_SECONDS = 2.0
SECONDS = """
SELECT extract(epoch FROM a.started_at - max(d.at)) AS seconds
FROM test_attempts a JOIN decisions d USING (execution_id)
WHERE a.execution_id = %s AND d.at <= a.started_at AND d.record ->> 'kind' = 'admitted'
GROUP BY a.number, a.started_at ORDER BY a.number DESC LIMIT 1
"""


def blocked(stack: Stack, whole: dict[str, Any]) -> str:
    """Start a run that fills a node; return its id once it runs."""
    run = stack.submit(shell("sleep 3000", name="blocker", resources=whole, priority=0))
    stack.in_phase(run, "running")
    return run


def measure(stack: Stack, second: str, whole: dict[str, Any], runs: int) -> dict[bool, list[float]]:
    """Return the seconds of each run, by whether its flow had to move."""
    found: dict[bool, list[float]] = {True: [], False: []}
    blockers = [blocked(stack, whole) for _ in range(2)]
    there = next(run for run in blockers if stack.attempts(run)[0]["node"] == second)
    while min(len(found[True]), len(found[False])) < runs and sum(map(len, found.values())) < 6 * runs:
        flow = stack.prefect_start({"test": shell("true", name="moves", priority=1)})
        until("it waits", lambda flow=flow: stack.row_of_flow(flow).get("phase") == "waiting")
        run = str(stack.row_of_flow(flow)["execution_id"])
        moves = stack.sql("SELECT host FROM queue WHERE execution_id = %s", run)[0]["host"] != "worker-of-second"
        stack.rest("POST", f"/tests/{there}/cancel")
        stack.ended(run)
        found[moves].append(float(stack.sql(SECONDS, run)[0]["seconds"]))
        there = blocked(stack, whole)
    return found


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=10)
    wanted = arguments.parse_args()
    stack = Stack(Path(tempfile.mkdtemp(prefix="assay-bench-")))
    try:
        stack.start()
        state = stack.another_node("second")
        stack.start_worker("worker-of-second", ASSAY_STATE=str(state))
        second = stack.node_name(state)
        cpu = until("the node is known", lambda: stack.sql("SELECT cpu_milli FROM nodes WHERE name = %s", second))
        found = measure(stack, second, {"cpuRequest": f"{cpu[0]['cpu_milli']}m"}, wanted.runs)
    finally:
        stack.stop()
    for moves, seconds in found.items():
        words = "had to move" if moves else "waited there"
        print(f"admitted to begun, {words}: p50 {statistics.median(seconds):.2f} s, most {max(seconds):.2f} s")
    print(goals.at_most("admitted to begun on another node, slowest run", max(found[True]), MOST_SECONDS, " s"))


if __name__ == "__main__":
    main()
