"""What waiting costs: any number of flows that wait in the gate hold a worker's few connections and threads."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.stack import Stack, shell, until

pytestmark = pytest.mark.faults

FLOWS = 200
MOST_CONNECTIONS = 5
MOST_THREADS = 20


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own whose machine is full: what is started after it waits, and is forgotten with it."""
    stack = Stack(tmp_path)
    try:
        stack.start()
        everything = {"cpuRequest": f"{stack.sql('SELECT max(cpu_milli) AS n FROM nodes')[0]['n']}m"}
        blocker = stack.submit(shell("sleep 600", name="blocker", resources=everything))
        stack.in_phase(blocker, "running")
        yield stack
    finally:
        stack.remove()


def test_two_hundred_waiting_flows_hold_five_connections_and_twenty_threads(full: Stack) -> None:
    request = {"test": shell("true", name="waits")}
    with ThreadPoolExecutor(8) as callers:
        list(callers.map(lambda _: full.prefect_start(request), range(FLOWS)))
    until("all wait", lambda: waiting(full) >= FLOWS, 300, 0.5)

    connections = full.sql(
        "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'assay' AND application_name = 'assay worker-1'"
    )[0]["n"]
    threads = len(list(Path(f"/proc/{full.processes['worker-1'].pid}/task").iterdir()))

    print(f"{FLOWS} waiting flows: {connections} connections, {threads} threads")  # noqa: T201  shown by `-rP`
    assert 0 < connections <= MOST_CONNECTIONS
    assert threads <= MOST_THREADS


def waiting(stack: Stack) -> int:
    """Return how many flows have come to the gate, and are carried by the worker while they wait."""
    rows = "SELECT count(*) AS n FROM queue JOIN test_executions USING (execution_id) WHERE queue.state = 'waiting'"
    return int(stack.sql(f"{rows} AND door = 'prefect'")[0]["n"])
