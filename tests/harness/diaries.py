"""Diaries: each attempt of a test writes its start and its end into a file that only the harness reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.stack import shell

DIARY = """
echo "start $ASSAY_ATTEMPT $(date +%s.%N)" >> '{diary}'
{meanwhile}
echo "end $ASSAY_ATTEMPT $(date +%s.%N)" >> '{diary}'
"""
COUNTED = """
SELECT e.execution_id, e.status, e.retry_count,
    (SELECT count(*) FROM test_attempts a WHERE a.execution_id = e.execution_id) AS attempts,
    (SELECT count(*) FROM test_results r WHERE r.execution_id = e.execution_id) AS results,
    (SELECT count(DISTINCT r.attempt) FROM test_results r WHERE r.execution_id = e.execution_id) AS sets
FROM test_executions e WHERE e.execution_id = ANY(CAST(%s AS uuid[]))
"""
ONCE = {"status": "completed", "retry_count": 0, "attempts": 1, "results": 1, "sets": 1}
"""What a custom test without a report counts when it ran once: its one result carries its name."""


def diary_request(diary: Path, *, seconds: float = 0.5, gate: Path | None = None, **more: Any) -> dict[str, Any]:
    """Write a test with a diary. It runs for some seconds, or until the file `gate` is there."""
    meanwhile = f"sleep {seconds}" if gate is None else f"until [ -e '{gate}' ]; do sleep 0.1; done"
    return shell(DIARY.format(diary=diary, meanwhile=meanwhile), name=diary.name, **more)


def read(diary: Path) -> list[tuple[str, int, float]]:
    lines = diary.read_text().splitlines() if diary.exists() else []
    return [(kind, int(number), float(at)) for kind, number, at in (line.split() for line in lines)]


def entries(diary: Path) -> list[tuple[str, int]]:
    return [(kind, number) for kind, number, _ in read(diary)]


def never_two_at_once(diary: Path) -> bool:
    """Every start comes after the end of the one before, where that one ended."""
    alive = 0
    for kind, _, _ in sorted(read(diary), key=lambda entry: entry[2]):
        alive += 1 if kind == "start" else -1
        if alive > 1:
            return False
    return True


def counted(sql: Callable[..., list[dict[str, Any]]], runs: list[str]) -> dict[str, dict[str, Any]]:
    """Count what the database holds of each run, from outside: no code of ours is asked."""
    return {str(row.pop("execution_id")): row for row in sql(COUNTED, runs)}
