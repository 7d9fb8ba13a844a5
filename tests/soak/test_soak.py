"""1,000 runs through one worker: nothing may grow. `make soak`."""

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness.stack import Stack, shell, until

pytestmark = pytest.mark.soak

RUNS = int(os.environ.get("ASSAY_SOAK_RUNS", "1000"))
WARM_UP = max(50, RUNS // 5)
"""Caches, pools and arenas are filled by then; growth after it is a leak."""
AT_ONCE = 40
SETTLE = 20.0
"""Seconds until idle connections to Prefect are gone: its server ends them after 5, the client drops them when it asks
again."""


def figures(pid: int) -> dict[str, int]:
    """Read what a process holds, from outside."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {
        "rss_kib": int(status["VmRSS"].split()[0]),
        "threads": int(status["Threads"]),
        "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
    }


def open_files(pid: int) -> list[str]:
    """Tell what the open files of a process are; sockets by the port at their other end."""
    ends = {}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ends[f"socket:[{fields[9]}]"] = f"tcp to port {int(fields[2].rpartition(':')[2], 16)}, state {fields[3]}"
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            name = str(entry.readlink())
            names.append(ends.get(name, name))
    return sorted(names)


def connections(stack: Stack) -> int:
    return int(stack.sql("SELECT count(*) AS n FROM pg_stat_activity WHERE datname = 'assay'")[0]["n"])


def push(stack: Stack, count: int) -> None:
    """Submit `count` runs, never more than `AT_ONCE` open at a time, and wait for all."""
    for start in range(0, count, AT_ONCE):
        for _ in range(min(AT_ONCE, count - start)):
            stack.submit(shell("true", name="soak"))
        until("batch ended", _idle(stack), 300, 0.5)
    until("all in Prefect", lambda: not stack.sql("SELECT 1 FROM test_executions WHERE NOT prefect_settled"), 300, 1)


def fill_pools(stack: Stack) -> None:
    """Ask the API so much at once that each of its pools is at its size: a pool that fills later is no leak."""
    with ThreadPoolExecutor(64) as askers:
        for answer in askers.map(lambda _: stack.rest("GET", "/tests?limit=200"), range(640)):
            assert answer.status_code == 200


def _idle(stack: Stack) -> Callable[[], bool]:
    return lambda: not stack.sql("SELECT 1 FROM test_executions WHERE completed_at IS NULL LIMIT 1")


def test_nothing_grows_over_many_runs(stack: Stack) -> None:
    stack.sql("UPDATE users SET quota = quota || '{\"max_daily_tests\": 100000}'")
    stack.sql("UPDATE teams SET quota = quota || '{\"max_daily_tests\": 100000}'")
    worker = stack.processes["worker-1"].pid
    push(stack, WARM_UP)
    fill_pools(stack)
    time.sleep(SETTLE)
    before, connected = figures(worker), connections(stack)
    push(stack, RUNS - WARM_UP)
    time.sleep(SETTLE)

    after = figures(worker)

    print("\n".join(open_files(worker)))  # noqa: T201
    print(f"before {before} after {after} over {RUNS - WARM_UP} runs")  # noqa: T201  the figures, for `make soak`
    assert stack.sql("SELECT count(*) AS n FROM test_executions WHERE status = 'completed'")[0]["n"] >= RUNS
    assert after["threads"] <= before["threads"]
    assert after["files"] <= before["files"] + 2, "the listening socket of a retry may be open"
    assert connections(stack) <= connected
    assert after["rss_kib"] <= before["rss_kib"] * 1.1 + 4096
