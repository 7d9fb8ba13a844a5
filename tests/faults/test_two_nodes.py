"""Two nodes under kills, takeovers and a worker that stands still for 90 s: what runs where is counted from outside.

Each test writes its own journal: its attempt, the state folder in which it runs, and when it began and ended. The rules
(docs/decisions/010-a-place-binds.md): an attempt runs where its record says; two attempts of a run never overlap unless
the node of the earlier one was declared lost; each run has one verdict, and nothing of a lost attempt is recorded.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness.stack import Stack, shell, until
from harness.suites import places
from harness.sweep import part

pytestmark = pytest.mark.faults

RUNS = 200
BY_PREFECT = 20
LONG = 16
KILLS = 4
PLACES = 40
FROZEN_SECONDS = 90.0
LOST_AFTER = "20"
LINE = """echo "{kind} $ASSAY_ATTEMPT $(date +%s.%N) $ASSAY_RESULTS_DIR" >> '{journal}'"""
ATTEMPTS = """
SELECT execution_id, number, node, status, failure_reason FROM test_attempts
WHERE execution_id = ANY(CAST(%s AS uuid[])) ORDER BY execution_id, number
"""
VERDICTS = "SELECT execution_id, status FROM test_executions WHERE execution_id = ANY(CAST(%s AS uuid[]))"
RESULTS = "SELECT execution_id, attempt FROM test_results WHERE execution_id = ANY(CAST(%s AS uuid[]))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a journal."""

    kind: str
    attempt: int
    at: float
    state: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An attempt as the database keeps it, and as its own journal tells."""

    number: int
    node: str
    status: str
    reason: str | None
    entries: tuple[Entry, ...]

    @property
    def lost(self) -> bool:
        return self.reason == "node_lost"


class Nodes:
    """A stack with two nodes, each with a worker that can be killed and replaced."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.state = {"a": stack.state, "b": stack.another_node("state-b")}
        self.lives: Counter[str] = Counter()
        self.worker: dict[str, str] = {}
        for node in self.state:
            self.start(node)
        self.name = {node: stack.node_name(state) for node, state in self.state.items()}

    def start(self, node: str, *, anew: bool = False) -> None:
        """Start the worker of a node; `anew` under another name, so that it has to take over by the lease."""
        self.lives[node] += anew
        self.worker[node] = f"worker-{node}-{self.lives[node]}"
        state = str(self.state[node])
        self.stack.start_worker(self.worker[node], ASSAY_STATE=state, ASSAY_LOST_AFTER_SECONDS=LOST_AFTER)

    def kill(self, node: str) -> None:
        self.stack.kill(self.worker[node])

    def node_in(self, state: Path) -> str:
        return next(name for node, name in self.name.items() if self.state[node] == state)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    stack = Stack(tmp_path)
    try:
        yield Nodes(stack.start(workers=()))
    finally:
        stack.remove()


def request(journal: Path, meanwhile: str, **more: Any) -> dict[str, Any]:
    begin, end = (LINE.format(kind=kind, journal=journal) for kind in ("start", "end"))
    return shell(f"{begin}\n{meanwhile}\n{end}", name=journal.name, **more)


def read(journal: Path) -> list[Entry]:
    lines = journal.read_text().splitlines() if journal.exists() else []
    return [
        Entry(kind=kind, attempt=int(number), at=float(at), state=Path(results).parents[3])
        for kind, number, at, results in (line.split(" ", 3) for line in lines)
    ]


def submit_short(stack: Stack, folder: Path) -> dict[str, Path]:
    """Submit runs of a second or two, some of them as flow runs of Prefect; return the journal of each."""
    journals = [folder / f"short-{number}" for number in range(RUNS - LONG)]
    requests = [request(journal, f"sleep {0.5 + (n % 4) / 2}") for n, journal in enumerate(journals)]
    with ThreadPoolExecutor(4) as callers:
        rest = list(callers.map(stack.submit, requests[BY_PREFECT:]))
        flows = list(callers.map(lambda one: stack.prefect_start({"test": one}), requests[:BY_PREFECT]))
    by_prefect = [str(until("its row", lambda f=flow: stack.row_of_flow(f).get("execution_id"), 120)) for flow in flows]
    return dict(zip([*by_prefect, *rest], journals, strict=True))


def submit_long(stack: Stack, folder: Path, gate: Path) -> dict[str, Path]:
    """Submit runs that end only once the gate is open, some of them with a name that they have alone."""
    journals = [folder / f"long-{number}" for number in range(LONG)]
    waits = f"until [ -e '{gate}' ]; do sleep 0.2; done"
    return {
        stack.submit(request(journal, waits, config={"exclusive": [f"name-{n}"] if n % 4 == 0 else []})): journal
        for n, journal in enumerate(journals)
    }


def tried(stack: Stack, runs: dict[str, Path]) -> dict[str, list[Tried]]:
    """Return the attempts of each run: their records, each with what its own journal says."""
    found: dict[str, list[Tried]] = {run: [] for run in runs}
    entries = {run: read(journal) for run, journal in runs.items()}
    for row in stack.sql(ATTEMPTS, list(runs)):
        run, number = str(row["execution_id"]), row["number"]
        found[run].append(
            Tried(
                number=number,
                node=row["node"],
                status=row["status"],
                reason=row["failure_reason"],
                entries=tuple(entry for entry in entries[run] if entry.attempt == number),
            )
        )
    return found


def kill_and_take_over(nodes: Nodes, dice: random.Random) -> None:
    """Kill workers one after the other; the same worker comes back, or another one takes over by the lease."""
    for number in range(KILLS):
        node = "ab"[number % 2]
        time.sleep(dice.uniform(0.5, 2.0))
        nodes.kill(node)
        nodes.start(node, anew=number % 3 == 2)


def left_alive(nodes: Nodes, runs: dict[str, Path], node: str) -> set[str]:
    """Return the runs of which a process is alive in the state folder of a node."""
    state = f"ASSAY_RESULTS_DIR={nodes.state[node]}/".encode()
    alive = {run: nodes.stack.carriers(run) for run in runs}
    return {run for run, pids in alive.items() if any(state in environment(pid) for pid in pids)}


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def judge(nodes: Nodes, runs: dict[str, Path]) -> None:
    """Hold what is recorded against the journals, and both against the rules."""
    stack, found = nodes.stack, tried(nodes.stack, runs)
    verdicts = {str(row["execution_id"]): row["status"] for row in stack.sql(VERDICTS, list(runs))}
    results = sorted((str(row["execution_id"]), row["attempt"]) for row in stack.sql(RESULTS, list(runs)))

    assert verdicts == dict.fromkeys(runs, "completed")
    assert results == sorted((run, attempts[-1].number) for run, attempts in found.items())
    for run, attempts in found.items():
        assert [one.number for one in attempts] == list(range(1, len(attempts) + 1)), run
        assert attempts[-1].status == "completed", run
        assert all(one.lost for one in attempts[:-1]), (run, attempts)
        for one in attempts:
            ran_where_its_record_says(nodes, one)
        for earlier, later in pairwise(attempts):
            assert earlier.lost or earlier.entries[-1].at <= later.entries[0].at, (run, earlier, later)


def ran_where_its_record_says(nodes: Nodes, one: Tried) -> None:
    """It began once at most, in the state folder of its node, and ended there unless it was lost."""
    kinds = [entry.kind for entry in one.entries]

    assert kinds == ["start", "end"] or (one.lost and kinds in ([], ["start"])), one
    assert {nodes.node_in(entry.state) for entry in one.entries} <= {one.node}, one


@part(2)
def test_each_attempt_ran_where_its_record_says_and_no_two_at_once(nodes: Nodes, tmp_path: Path) -> None:
    stack, gate = nodes.stack, tmp_path / "gate"
    places(stack, PLACES)
    long = submit_long(stack, tmp_path, gate)
    short = submit_short(stack, tmp_path)
    kill_and_take_over(nodes, random.Random(20))
    until("the long ones run", lambda: all(read(journal) for journal in long.values()), 120, 0.2)
    stack.signal(nodes.worker["a"], signal.SIGSTOP)
    frozen_at = time.monotonic()
    on_a = left_alive(nodes, long, "a")
    alone = {run for run, journal in long.items() if int(journal.name.removeprefix("long-")) % 4 == 0}
    until(
        "what ran on the node of the frozen worker runs elsewhere too",
        lambda: on_a - alone <= left_alive(nodes, long, "b"),
        FROZEN_SECONDS,
        0.5,
    )
    on_both = left_alive(nodes, long, "a") & left_alive(nodes, long, "b")
    time.sleep(max(0.0, FROZEN_SECONDS - (time.monotonic() - frozen_at)))
    stack.signal(nodes.worker["a"], signal.SIGCONT)
    until("the late worker has ended what it left", lambda: not on_both & left_alive(nodes, long, "a"), 60, 0.5)
    kept = left_alive(nodes, long, "a")
    gate.touch()
    for run in (*short, *long):
        stack.ended(run, 180)

    attempts = tried(stack, long)
    print(f"{len(on_both)} ran on both nodes, {len(kept)} were kept")  # noqa: T201  shown by `-rP`
    assert on_both == on_a - alone != set()
    assert kept == on_a & alone
    assert all(len(attempts[run]) == 1 for run in alone)
    judge(nodes, short | long)
