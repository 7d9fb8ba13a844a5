"""A more important run stops a restartable one, with a real worker and real processes."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness.stack import Stack, shell, until


@pytest.fixture
def preempting(stack: Stack) -> Iterator[Stack]:
    """A pool whose runs may be stopped for others after a second."""
    stack.sql("UPDATE pools SET preemption = true, min_runtime_seconds = 1")
    yield stack
    stack.sql("UPDATE pools SET preemption = false, min_runtime_seconds = 60")


def test_a_stopped_run_waits_and_ends_later_and_never_are_two_alive(preempting: Stack) -> None:
    script = '[ "$ASSAY_ATTEMPT" = 1 ] && sleep 600; sleep 1'
    plain = preempting.submit(_large(preempting, script, name="plain", priority=9, restartable=True))
    until("its process", lambda: preempting.carriers(plain))
    urgent = preempting.submit(_large(preempting, "sleep 1", name="urgent", priority=0, restartable=False))
    alive: list[tuple[bool, bool]] = []

    def over() -> bool:
        alive.append((bool(preempting.carriers(plain)), bool(preempting.carriers(urgent))))
        return bool(preempting.row(urgent)["completed_at"])

    until("the urgent run ended", over, 90, 0.02)
    row = preempting.ended(plain)
    first, second = preempting.attempts(plain)
    [other] = preempting.attempts(urgent)

    assert (row["status"], row["retry_count"], row["infrastructure_count"]) == ("completed", 0, 0)
    assert (first["cause"], first["status"], second["cause"], second["status"]) == (
        "first",
        "cancelled",
        "preempted",
        "completed",
    )
    assert first["detail"] == f"stopped for the more important run {urgent[-8:]}"
    assert first["ended_at"] <= other["started_at"]
    assert other["ended_at"] <= second["started_at"]
    assert (True, True) not in alive
    assert (False, True) in alive
    assert preempting.row(urgent)["status"] == "completed"
    assert _kinds(preempting, plain).count("preempted") == 1


def test_a_cancel_wins_over_a_preemption(preempting: Stack) -> None:
    script = "trap 'sleep 2; exit 0' TERM; sleep 60 & wait"
    plain = preempting.submit(_large(preempting, script, name="plain", priority=9, restartable=True))
    until("its process", lambda: preempting.carriers(plain))
    preempting.submit(_large(preempting, "true", name="urgent", priority=0, restartable=False))
    until("it is asked to stop", lambda: "preempted" in _kinds(preempting, plain), 60, 0.02)

    assert preempting.rest("POST", f"/tests/{plain}/cancel").status_code in {200, 202}

    assert preempting.ended(plain)["status"] == "cancelled"
    assert len(preempting.attempts(plain)) == 1


def _large(stack: Stack, script: str, *, restartable: bool, **given: Any) -> dict[str, Any]:
    """A request that fills the machine."""
    cpu = stack.sql("SELECT max(cpu_milli) AS n FROM nodes")[0]["n"]
    return shell(script, resources={"cpuRequest": f"{cpu}m"}, config={"restartable": restartable}, **given)


def _kinds(stack: Stack, run: str) -> list[str]:
    rows = stack.sql("SELECT record ->> 'kind' AS kind FROM decisions WHERE execution_id = %s ORDER BY number", run)
    return [str(row["kind"]) for row in rows]
