"""Real processes at one gate, some killed, some cut off: no limit is ever broken, no place leaks, each run ends once.

Judged from outside, twice: what ran when is read from a journal that the processes write, and how many hold places is
looked at all the time.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from harness.sweep import part

from db import nodes, pools
from db.errors import UnavailableError
from db.pools import Pool
from model.ids import NodeName, PoolName
from model.resources import Resources
from scheduler.values.node import Node

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "contenders.py"
NAMES = ["staging", "ledger"]
HELD = "SELECT pool, node, user_id, team_id, exclusive FROM queue WHERE state = 'admitted'"
STARTS = """
SELECT CAST(execution_id AS text), min(at) FROM decisions WHERE record ->> 'kind' = 'admitted' GROUP BY execution_id
"""


@dataclass(frozen=True)
class Span:
    """When a run ran, by the clock of the machine, and what it counted against."""

    user: str
    team: str
    pool: str
    node: str
    names: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Seen:
    """How the contention went: how many were killed and severed, and the most places that were held at one moment."""

    killed: int
    severed: int
    places: dict[str, int]


class Watch:
    """Looks all the time who holds places: each look is one snapshot, so that what it sees was so."""

    def __init__(self, gate_db: Any) -> None:
        self.most: Counter[str] = Counter()
        self._house = gate_db
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.01):
            with suppress(UnavailableError):  # our connection is cut off like all others
                self.most |= self._now()

    def _now(self) -> Counter[str]:
        now: Counter[str] = Counter()
        for row in self._house.sql(HELD):
            now.update([str(row.pool), str(row.node), str(row.user_id), str(row.team_id), *row.exclusive])
        return now


def contend(gate_db: Any, folder: Path, *, patience: float = 150, **plan: Any) -> Seen:
    """Let processes contend until all runs have ended; tell what was seen."""
    given = {
        "journal": str(folder / "journal"),
        "definition": gate_db.definition.hex,
        "kill_every": 0.3,
        "names": NAMES,
    }
    given |= plan
    command = [sys.executable, str(PROGRAM), gate_db.db.url, json.dumps(given)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with Watch(gate_db) as watch:
        done = subprocess.run(command, cwd=ROOT, env=env, timeout=patience, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    summary: dict[str, int] = json.loads((folder / "journal.summary").read_text())
    assert summary["failed"] == 0, done.stderr.decode()[-3000:]
    return Seen(killed=summary["killed"], severed=summary["severed"], places=dict(watch.most))


def spans(folder: Path) -> dict[str, Span]:
    """Return the span of each run, from its first start to the end under its last epoch.

    The place of a holder that was killed is kept. One that lost its lease, since it got no processor for a second, does
    not know it before its end; what it does in between is fenced, and counts no more.
    """
    starts: dict[str, list[str]] = {}
    ends: dict[str, tuple[int, int]] = {}
    for line in (folder / "journal").read_text().splitlines():
        event, run, *facts = line.split()
        if event == "start":
            starts.setdefault(run, facts)
        if event == "end":
            ends[run] = max(ends.get(run, (0, 0)), (int(facts[-2]), int(facts[-1])))
    return {run: _span(facts, ends[run][1]) for run, facts in starts.items()}


def _span(facts: list[str], end: int) -> Span:
    user, team, pool, node, names, _, start = facts
    wanted = () if names == "-" else tuple(names.split(","))
    return Span(user, team, pool, node, names=wanted, start=int(start), end=end)


def most_at_once(found: Iterable[Span], by: Callable[[Span], Iterable[str]]) -> dict[str, int]:
    """Return for each group the greatest number of its runs that ran at the same time."""
    changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for span in found:
        for group in by(span):
            changes[group] += [(span.start, 1), (span.end, -1)]
    most = {}
    for group, steps in changes.items():
        now = top = 0
        for _, step in sorted(steps):
            now += step
            top = max(top, now)
        most[group] = top
    return most


def ends_of(folder: Path) -> Counter[str]:
    lines = (line.split() for line in (folder / "journal").read_text().splitlines())
    return Counter(line[1] for line in lines if line[0] == "done")


def groups(folder: Path) -> list[set[str]]:
    """Return the groups that were about to be submitted."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "journal").read_text().splitlines():
        event, run, *facts = line.split()
        if event == "member":
            found[facts[0]].add(run)
    return list(found.values())


def judge(gate_db: Any, folder: Path) -> None:
    """Nothing is left, every run ended exactly once, and who belongs together started at once."""
    found = spans(folder)
    assert gate_db.sql("SELECT execution_id, state, epoch FROM queue") == []
    assert gate_db.sql("SELECT 1 FROM leases") == []
    assert gate_db.sql("SELECT DISTINCT status FROM test_executions") == [("completed",)]
    assert max(ends_of(folder).values()) == 1
    [(total,)] = gate_db.sql("SELECT count(*) FROM test_executions")
    assert total == len(found) > 20
    starts = dict(gate_db.sql(STARTS))
    together = [{starts[run] for run in group if run in starts} for group in groups(folder)]
    assert {len(moments) for moments in together} <= {0, 1}, "a group was torn"
    assert {len(members) for members in groups(folder)} == {2}


PEOPLE = """
SELECT CAST(user_id AS text), username FROM users UNION ALL SELECT CAST(team_id AS text), team_name FROM teams
"""
LIMITS = {"red": 5, "blue": 4, "red0": 3, "red1": 3, "blue0": 3, "blue1": 3, "default": 7, "n1": 3}
LIMITS |= dict.fromkeys(NAMES, 1)


@pytest.fixture
def people(bare: Any) -> list[list[str]]:
    """Two teams with limits of 5 and 4, two users each with limits of 3."""
    found = []
    for team_name, most in (("red", 5), ("blue", 4)):
        team = bare.team(team_name, most=most)
        found += [[bare.person(f"{team_name}{n}", most=3, team=team).user_id.hex, team.hex] for n in range(2)]
    return found


def within_limits(gate_db: Any, folder: Path, seen: Seen, limits: dict[str, int]) -> None:
    """Pools, nodes, users, teams and names never had more than they may: neither places nor runs."""
    owners = dict(gate_db.sql(PEOPLE))
    ran = most_at_once(spans(folder).values(), lambda s: [s.pool, s.node, s.user, s.team, *s.names])
    for found in (ran, seen.places):
        named = {owners.get(key, key): most for key, most in found.items()}
        over = {name: most for name, most in named.items() if most > limits.get(name, 1000)}
        assert not over, f"more than {limits}"
    assert limits.keys() <= {owners.get(key, key) for key in ran}


def second_pool(gate_db: Any) -> None:
    """Make another pool, with room for all."""
    gate_db.do(lambda conn: pools.create(conn, Pool(name=PoolName("second"))))
    large = Node(name=NodeName("m0"), capacity=Resources(cpu_milli=100_000, memory_bytes=2**34))
    gate_db.do(lambda conn: nodes.record(conn, PoolName("second"), [large]))


def test_sixteen_processes_and_kills_break_no_limit(bare: Any, people: list[list[str]], tmp_path: Path) -> None:
    bare.pool(max_concurrent_tests=7)
    bare.node("n0", cpu=2500)
    bare.node("n1", cpu=2500, pods=3)

    plan = {"processes": 16, "seconds": 6.0, "kills": 15, "sever": True, "pools": ["default"], "runs": 10}
    seen = contend(bare, tmp_path, people=people, **plan)

    assert (seen.killed, seen.severed) == (15, 5)
    within_limits(bare, tmp_path, seen, LIMITS)
    judge(bare, tmp_path)


@part(0)
def test_limits_and_names_hold_over_two_pools(bare: Any, tmp_path: Path) -> None:
    """Each pool has room for all; only the owners' and the names' locks keep the sums below the limits.

    Nearly all waits count as too long, so what aged runs keep in the other pool is in the way of many, and of none for
    ever: all end.
    """
    second_pool(bare)
    bare.sql("UPDATE pools SET ageing_limit_seconds = 0.2")
    bare.node("n0", cpu=100_000)
    team = bare.team("red", most=4)
    people = [[bare.person(f"red{n}", most=3, team=team).user_id.hex, team.hex] for n in range(2)]

    plan = {"processes": 12, "seconds": 6.0, "kills": 10, "sever": False, "pools": ["default", "second"], "runs": 10}
    seen = contend(bare, tmp_path, people=people, **plan)

    limits = {"red": 4, "red0": 3, "red1": 3, "default": 4, "second": 4} | dict.fromkeys(NAMES, 1)
    within_limits(bare, tmp_path, seen, limits)
    judge(bare, tmp_path)
    kept = "SELECT 1 FROM decisions WHERE record ->> 'text' LIKE '% of pool %, which waited too long' LIMIT 1"
    assert bare.sql(kept), "no pool ever kept anything from the other"


@part(2)
@pytest.mark.faults
def test_sixty_four_processes_killed_and_severed_for_two_minutes(
    bare: Any, people: list[list[str]], tmp_path: Path
) -> None:
    second_pool(bare)
    bare.pool(max_concurrent_tests=7)
    bare.node("n0", cpu=2500)
    bare.node("n1", cpu=2500, pods=3)

    plan = {"processes": 64, "seconds": 105.0, "kills": 300, "kill_every": 0.4, "sever": True, "runs": 1000}
    pace = {"ttl": 3.0, "pause": 1.0, "hold": 0.4, "eager": 0.08}
    seen = contend(bare, tmp_path, patience=400, people=people, pools=["default", "second"], **plan, **pace)

    assert (seen.killed, seen.severed) == (300, 100)
    within_limits(bare, tmp_path, seen, LIMITS | {"second": 9})
    judge(bare, tmp_path)
