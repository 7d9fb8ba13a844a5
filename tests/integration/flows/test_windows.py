"""What people see of a run in Prefect and by REST while it runs and afterwards."""

from typing import Any

from harness.stack import Stack, pytest_request, shell, until

SLOW = """
import time, pytest
@pytest.mark.parametrize("number", range(4))
def test_slow(number):
    time.sleep(2.5)
    assert number != 3, "three is wrong"
"""
BUSY = "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done"


def artifacts(stack: Stack, flow_run: str) -> dict[str, dict[str, Any]]:
    """Return the artifacts of a flow run by type, without that of its node."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run]}}}
    found = stack.prefect("POST", "/artifacts/filter", json=wanted)
    return {each["type"]: each for each in found if not str(each["key"]).startswith("place-")}


def test_a_run_leaves_its_table_its_summary_and_its_progress_in_prefect(stack: Stack) -> None:
    run = stack.submit(pytest_request(SLOW, name="four"))
    stack.ended(run)
    stack.settled(run)

    found = artifacts(stack, str(stack.row(run)["flow_run_id"]))

    table, summary, progress = found["table"], found["markdown"]["data"], found["progress"]
    short = run.replace("-", "")[-8:]
    assert table["key"] == f"results-four-{short}"
    assert table["description"] == "Results of four, attempt 1"
    assert "three is wrong" in table["data"]
    assert found["markdown"]["key"] == f"summary-four-{short}"
    assert found["markdown"]["description"] == "Verdict of four, attempt 1: failed (tests_failed)"
    assert "four" in summary
    assert f"`assay logs {short}`" in summary
    assert f"`assay results {short}`" in summary
    assert stack.api_url not in summary, "a link to the API needs the key, which a browser does not send"
    assert progress["key"] == f"progress-four-{short}"
    assert 0 < float(progress["data"]) <= 100


def test_what_a_run_uses_is_told_while_it_runs(stack: Stack) -> None:
    run = stack.submit(shell(BUSY, config={"timeout": 60}))

    used = until("figures", lambda: figures(stack, run))
    shown = stack.rest("GET", f"/tests/{run}").json()["resources"]
    stack.rest("POST", f"/tests/{run}/cancel")
    stack.ended(run)
    after = stack.rest("GET", f"/tests/{run}/metrics").json()

    assert used["peakCpuMilli"] >= used["cpuMilli"] > 0
    assert used["peakMemoryBytes"] >= used["memoryBytes"] > 0
    assert used["cpuSeconds"] > 0
    assert shown["peakCpuUsage"].endswith("m")
    assert shown["peakMemoryUsage"].endswith("Mi")
    assert after["peakCpuMilli"] >= used["peakCpuMilli"]
    assert after["peakMemoryBytes"] >= used["peakMemoryBytes"]
    assert (after["cpuMilli"], after["memoryBytes"]) == (None, None)


def figures(stack: Stack, run: str) -> dict[str, Any] | None:
    answer = stack.rest("GET", f"/tests/{run}/metrics").json()
    return answer if answer["cpuMilli"] else None


def test_a_log_ends_at_its_limit_over_all_attempts_and_says_so(stack: Stack) -> None:
    script = "yes 0123456789012345678901234567890123456789 | head -c 60000000; exit 1"
    run = stack.submit(shell(script, config={"retryPolicy": {"maxRetries": 2, "backoffSeconds": 1}}))

    stack.ended(run)
    size = (stack.state / "logs" / f"{run}.log").stat().st_size

    assert len(stack.attempts(run)) == 3
    assert 99_000_000 < size < 100_100_000
    with (stack.state / "logs" / f"{run}.log").open("rb") as log:
        log.seek(-1_000, 2)
        assert log.read().count(b"[assay: output cut at ") == 2


def test_a_state_that_shows_another_verdict_is_put_right(stack: Stack) -> None:
    """As when a flow ended by itself while its row got its verdict by another way."""
    run = stack.submit(shell("sleep 60", config={"timeout": 1}))
    stack.settled(run)
    flow_run = stack.row(run)["flow_run_id"]
    body = {"state": {"type": "FAILED", "name": "Failed"}, "force": True}
    stack.prefect("POST", f"/flow_runs/{flow_run}/set_state", json=body)
    stack.sql("UPDATE runs SET settled = false WHERE id = %s", run)

    state = stack.settled(run)

    assert (state["type"], state["name"]) == ("FAILED", "TimedOut")
