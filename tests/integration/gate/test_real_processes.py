"""Real processes at one gate, some of them killed: no limit is ever broken, no place leaks, each run ends once.

What ran when is read from a journal that the processes write, and judged from outside.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db import pools
from db.pools import Pool
from model.ids import PoolName

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "contenders.py"


@dataclass(frozen=True)
class Span:
    """When a run ran, by the clock of the machine, and what it counted against."""

    user: str
    team: str
    pool: str
    node: str
    start: int
    end: int


def contend(house: Any, folder: Path, **plan: Any) -> dict[str, int]:
    """Let processes contend until all runs have ended; return how many were killed and severed, and failed."""
    given = {"journal": str(folder / "journal"), "definition": house.definition.hex, "kill_every": 0.3} | plan
    command = [sys.executable, str(PROGRAM), house.db.url, json.dumps(given)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=150, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    summary: dict[str, int] = json.loads((folder / "journal.summary").read_text())
    assert summary["failed"] == 0, done.stderr.decode()[-3000:]
    return summary


def spans(folder: Path) -> dict[str, Span]:
    """Return the span of each run: from its first start to its last end, since a killed holder's place is kept."""
    starts: dict[str, list[str]] = {}
    ends: dict[str, int] = {}
    for line in (folder / "journal").read_text().splitlines():
        event, run, *facts = line.split()
        if event == "start":
            starts.setdefault(run, facts)
        if event == "end":
            ends[run] = int(facts[-1])
    return {run: Span(*facts[:4], start=int(facts[4]), end=ends[run]) for run, facts in starts.items()}


def most_at_once(found: Iterator[Span], by: Callable[[Span], str]) -> dict[str, int]:
    """Return for each group the greatest number of its runs that ran at the same time."""
    changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for span in found:
        changes[by(span)] += [(span.start, 1), (span.end, -1)]
    most = {}
    for group, steps in changes.items():
        now = top = 0
        for _, step in sorted(steps):
            now += step
            top = max(top, now)
        most[group] = top
    return most


def done_once(folder: Path) -> Counter[str]:
    lines = (line.split() for line in (folder / "journal").read_text().splitlines())
    return Counter(line[1] for line in lines if line[0] == "done")


def judge(house: Any, folder: Path) -> None:
    """Nothing is left, and every run ended exactly once."""
    assert house.sql("SELECT execution_id, state, epoch FROM queue") == []
    assert house.sql("SELECT 1 FROM leases") == []
    assert house.sql("SELECT DISTINCT status FROM test_executions") == [("completed",)]
    assert max(done_once(folder).values()) == 1
    [(total,)] = house.sql("SELECT count(*) FROM test_executions")
    assert total == len(spans(folder)) > 50


@pytest.fixture
def people(bare: Any) -> list[list[str]]:
    """Two teams with limits of 5 and 4, two users each with limits of 3."""
    found = []
    for team_name, most in (("red", 5), ("blue", 4)):
        team = bare.team(team_name, most=most)
        found += [[bare.person(f"{team_name}{n}", most=3, team=team).user_id.hex, team.hex] for n in range(2)]
    return found


def test_sixteen_processes_and_kills_break_no_limit(bare: Any, people: list[list[str]], tmp_path: Path) -> None:
    bare.pool(max_concurrent_tests=7)
    bare.node("n0", cpu=2500)
    bare.node("n1", cpu=2500, pods=3)

    plan = {"processes": 16, "seconds": 4.0, "kills": 15, "sever": True, "pools": ["default"], "runs": 10}
    summary = contend(bare, tmp_path, people=people, **plan)
    found = spans(tmp_path)

    assert summary["killed"] == 15
    assert summary["severed"] == 5
    assert most_at_once(found.values(), lambda _: "all")["all"] <= 7
    assert max(most_at_once(found.values(), lambda s: s.user).values()) <= 3
    assert max(most_at_once(found.values(), lambda s: s.team).values()) <= 5
    assert most_at_once(found.values(), lambda s: s.node)["n1"] <= 3
    judge(bare, tmp_path)


def test_a_teams_limit_holds_over_two_pools(bare: Any, tmp_path: Path) -> None:
    """Each pool has room for all; only the owners' locks keep the sum below the limit."""
    bare.do(lambda conn: pools.create(conn, Pool(name=PoolName("second"))))
    bare.node("n0", cpu=100_000)
    bare.sql(
        "INSERT INTO nodes (pool, name, cpu_milli, memory_bytes, ephemeral_bytes) VALUES ('second', 'm0', 100000, 1, 0)"
    )
    team = bare.team("red", most=4)
    people = [[bare.person(f"red{n}", most=3, team=team).user_id.hex, team.hex] for n in range(2)]

    plan = {"processes": 12, "seconds": 4.0, "kills": 10, "sever": False, "pools": ["default", "second"], "runs": 10}
    contend(bare, tmp_path, people=people, **plan)
    found = spans(tmp_path)

    assert {span.pool for span in found.values()} == {"default", "second"}
    assert most_at_once(found.values(), lambda _: "all")["all"] <= 4
    assert max(most_at_once(found.values(), lambda s: s.user).values()) <= 3
    judge(bare, tmp_path)
