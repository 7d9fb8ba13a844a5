"""Tests of the commands about the gate against a real server: quota, pool, queue, explain, warnings of run."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.rest import REQUEST, Api, submitted
from sqlalchemy import text

from cli import output
from db import forecasts, nodes, workers
from db.seeds import DEFAULT_POOL
from model.ids import NodeName, WorkerId
from model.resources import Resources
from orchestrator import admission
from scheduler.forecast.estimate import Basis, Estimate
from scheduler.values.node import DEFAULT_BACKEND, Node

Assay = Callable[..., tuple[int, str, str]]
SELECTS = REQUEST | {"config": {"nodeSelector": {"disk": "ssd"}}}


@pytest.fixture
def run_pass(api: Api) -> Callable[[], None]:
    node = Node(name=NodeName("n0"), capacity=Resources(cpu_milli=4000, memory_bytes=2**33))
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [node]))
    api.db.call(
        lambda conn: workers.register(conn, WorkerId("w"), DEFAULT_POOL, timedelta(minutes=5), [DEFAULT_BACKEND])
    )

    def passed() -> None:
        """Make a pass. Where another one does it, that may not be over yet: then make one more."""
        while api.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True)) is None:
            pass

    return passed


def test_quota_set_changes_every_limit_and_none_takes_them_away(assay: Assay) -> None:
    limits = ("--max-concurrent", "3", "--max-daily", "9", "--max-cpu", "4", "--max-memory", "8Gi")
    more = ("--max-ephemeral-storage", "1Gi", "--max-gpu", "2", "--weight", "2.5")

    code, shown, _ = assay("quota", "set", *limits, *more)
    lifted = json.loads(assay("quota", "set", "--max-concurrent", "none", "--max-cpu", "none", "--json")[1])

    mine = shown.splitlines()[0].split("\t")
    assert code == 0
    assert mine == ["user", "local", "0 of 3", "0 of 9", "9", "0 of 4", "0 of 8Gi", "0 of 1Gi", "0 of 2", "2.5"]
    assert (lifted["user"]["maxConcurrentTests"], lifted["user"]["maxCpu"], lifted["user"]["maxGpu"]) == (None, None, 2)
    assert assay("quota", "--team", "default")[1].startswith("team\tdefault\t")


def test_all_problems_of_a_quota_are_reported_at_once(assay: Assay) -> None:
    code, out, err = assay(
        "quota", "set", "--user", "nobody", "--max-concurrent=-1", "--max-gpu", "x", "--weight", "nan"
    )

    assert (code, out) == (4, "")
    assert err.splitlines() == [
        "refused: the request has 4 problems",
        "  maxConcurrentTests: must be 0 or more",
        "  maxGpu: must be a whole number",
        "  user: there is no user nobody",
        "  weight: must be a number",
    ]


def test_pool_set_changes_every_setting(assay: Assay) -> None:
    code, out, _ = assay(
        "pool", "set", "default", "--strategy", "FAIR_SHARE", "--max-concurrent", "8", "--max-cpu", "64",
        "--max-daily", "900", "--max-memory", "1Ti", "--max-ephemeral-storage", "2Ti", "--max-gpu", "4",
        "--profile", "best-fit", "--candidates", "3", "--ageing-limit", "600", "--backfill-after", "5",
        "--half-life", "90", "--preemption", "on", "--min-runtime", "30", "--spot", "on",
        "--target-utilisation", "0.9", "--max-experiments", "2",
        "--interval", "2", "--default-selector", "disk=ssd", "--default-selector", "zone=a", "--fixed-nodes", "on",
        "--json",
    )  # fmt: skip

    answer = json.loads(out)
    assert code == 0
    assert (answer["strategy"], answer["profile"], answer["candidates"]) == ("FAIR_SHARE", "best-fit", 3)
    assert (answer["maxConcurrentTests"], answer["maxCpu"], answer["maxMemory"], answer["maxGpu"]) == (
        8,
        "64",
        "1Ti",
        4,
    )
    assert (answer["ageingLimitSeconds"], answer["backfillAfterSeconds"], answer["halfLifeSeconds"]) == (600, 5, 90)
    assert (answer["preemption"], answer["minRuntimeSeconds"], answer["enableSpotInstances"]) == (True, 30, True)
    assert (answer["targetNodeUtilization"], answer["schedulingIntervalSeconds"]) == (0.9, 2)
    assert (answer["defaultNodeSelector"], answer["fixedNodes"]) == ({"disk": "ssd", "zone": "a"}, True)
    assert (answer["maxDailyTests"], answer["maxConcurrentExperiments"]) == (900, 2)
    assert json.loads(assay("pool", "set", "--max-daily", "none", "--json")[1])["maxDailyTests"] is None
    assert "node labels      disk=ssd, zone=a" in assay("pool")[1]
    assert json.loads(assay("pool", "set", "--default-selector", "none", "--json")[1])["defaultNodeSelector"] == {}


def test_nodes_show_held_amounts_and_utilisation(
    api: Api, client: httpx.Client, assay: Assay, run_pass: Callable[[], None]
) -> None:
    run_pass()
    capacity = Resources(cpu_milli=4000, memory_bytes=2**33, ephemeral_bytes=2**35, gpu=2)
    api.db.call(lambda conn: nodes.record(conn, DEFAULT_POOL, [Node(name=NodeName("n0"), capacity=capacity)]))
    asked = {"cpuRequest": "1", "memoryRequest": "1Gi", "ephemeralStorage": "8Gi", "gpuRequest": 1}
    submitted(client, resources=asked)
    api.db.call(lambda conn: admission.request(conn, DEFAULT_POOL, blocking=True))

    (shown,) = client.get("/nodes").json()["nodes"]

    held = ("cpuMilliHeld", "memoryBytesHeld", "ephemeralBytesHeld", "gpuHeld", "runs", "utilization")
    assert [shown[key] for key in held] == [1000, 2**30, 2**33, 1, 1, 0.5]
    assert assay("nodes")[1].split("\t") == [
        "n0", "yes", "1000m of 4000m", "1.0 GiB of 8.0 GiB", "1", "8.0 GiB of 32.0 GiB", "1 of 2", "50%",
        "yes", "default\n",
    ]  # fmt: skip


def test_all_problems_of_a_pool_are_reported_at_once_and_nothing_is_changed(assay: Assay) -> None:
    before = assay("pool", "--json")[1]

    code, _, err = assay(
        "pool",
        "set",
        "--strategy",
        "BEST",
        "--profile",
        "x",
        "--candidates",
        "none",
        "--max-cpu",
        "0",
        "--spot",
        "maybe",
    )

    assert code == 4
    assert err.splitlines() == [
        "refused: the request has 5 problems",
        "  candidates: must not be null: leave it out to keep it as it is",
        "  enableSpotInstances: must be true or false",
        "  maxCpu: must be between 1m and 10,000,000 cores",
        "  profile: must be one of default, original, best-fit, spread",
        "  strategy: must be one of FIFO, PRIORITY, FAIR_SHARE, RESOURCE_AWARE",
    ]
    assert assay("pool", "--json")[1] == before
    assert assay("pool", "set", "nowhere", "--candidates", "3") == (
        4,
        "",
        "refused: no pool nowhere: `assay pool list` names all\n",
    )
    assert assay("pool", "--name", "")[2].startswith("error: the pool's name must not be empty")


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        (("ssd",), "write key=value, or none alone, not ssd"),
        (("none", "disk=ssd"), "write key=value, or none alone, not none"),
        (("disk=ssd", "disk=hdd"), "disk is given twice"),
    ],
)
def test_a_malformed_label_is_reported_with_all_other_problems(
    assay: Assay, labels: tuple[str, ...], wrong: str
) -> None:
    given = [word for label in labels for word in ("--default-selector", label)]

    code, _, err = assay("pool", "set", "--strategy", "BEST", *given)

    assert code == 4
    assert err.splitlines() == [
        "refused: the request has 2 problems",
        f"  defaultNodeSelector: {wrong}",
        "  strategy: must be one of FIFO, PRIORITY, FAIR_SHARE, RESOURCE_AWARE",
    ]


@pytest.mark.parametrize("run", ["", "../quota", "checkout", "a?b"])
def test_text_that_cannot_be_part_of_an_id_is_refused_without_a_request(assay: Assay, run: str) -> None:
    code, _, err = assay("explain", run)

    assert code == 4
    assert (
        err
        == f"error: {run!r} is not part of a run's id, which has only 0-9, a-f and '-': `assay list` shows the ids\n"
    )
    assert assay("show", "ffffffff")[2] == "refused: no run ffffffff: `assay list` shows the latest\n"


def test_calibration_shows_how_often_runs_started_before_their_forecast(
    assay: Assay, client: httpx.Client, api: Api
) -> None:
    none = assay("queue", "--calibration")
    run, now = submitted(client), datetime.now(UTC)  # noqa: TID251  a test is its own wiring
    soon = Estimate(execution_id=run, p50=now, p90=now + timedelta(minutes=4), basis=Basis.HISTORY)
    api.db.call(lambda conn: forecasts.write(conn, [soon], now - timedelta(minutes=1)))
    began = (
        "INSERT INTO test_attempts (execution_id, number, epoch, cause, started_at) VALUES (:run, 1, 1, 'first', :at)"
    )
    api.db.call(lambda conn: conn.execute(text(began), {"run": run, "at": now + timedelta(minutes=2)}))
    api.db.call(forecasts.settle)

    code, out, _ = assay("queue", "--calibration")

    assert none[:2] == (0, "")
    assert "no run with an estimated start has started" in none[2]
    assert (code, out) == (0, "default\t1\t0.0%\t100.0%\t2m00s\n")
    assert json.loads(assay("queue", "--calibration", "--json")[1])["pools"][0]["number"] == 1


def test_a_new_pool_takes_runs(assay: Assay, tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(REQUEST))

    assert assay("pool", "create", "gpu")[0] == 0
    code, run, _ = assay("run", "test.yaml", "--pool", "gpu", "--no-watch")

    assert code == 0
    assert [line.split("\t")[0] for line in assay("pool", "list")[1].splitlines()] == ["default", "gpu"]
    assert assay("queue", "--pool", "gpu")[1].split("\t")[1] == run.strip()[-8:]
    assert assay("run", "test.yaml", "--pool", "nowhere", "--no-watch")[0] == 4


@pytest.mark.parametrize("document", [SELECTS, {"name": "s", "tests": [SELECTS]}], ids=["test", "suite"])
def test_warnings_of_a_submit_go_to_stderr(
    assay: Assay, run_pass: Callable[[], None], tmp_path: Path, document: dict[str, Any]
) -> None:
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(document))

    code, out, err = assay("run", "test.yaml", "--no-watch")

    assert (code, out.count("\n")) == (0, 1)
    assert re.search(r"^warning: .*no node matches: of 1, 1 without label disk=ssd$", err, re.MULTILINE)


def test_a_run_larger_than_any_fixed_node_is_refused_with_4(
    assay: Assay, api: Api, run_pass: Callable[[], None], tmp_path: Path
) -> None:
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(REQUEST | {"resources": {"cpuRequest": "5"}}))
    assay("pool", "set", "--fixed-nodes", "on")

    code, _, err = assay("run", "test.yaml", "--no-watch")

    assert code == 4
    assert "  resources.cpuRequest: needs 5000m CPU; the largest node has 4000m CPU" in err.splitlines()
    assert api.rows()["test_executions"] == 0


def test_queue_shows_owner_waiting_time_and_reason(
    assay: Assay, client: httpx.Client, run_pass: Callable[[], None]
) -> None:
    assay("quota", "set", "--max-concurrent", "0")
    run = str(submitted(client, priority=2))
    run_pass()

    row = assay("queue")[1].rstrip("\n").split("\t")
    submitted(client, priority=3)

    assert assay("queue")[2] == "waiting in the pool default: 2 runs\n"
    assert assay("queue", "--limit", "1")[2] == "waiting in the pool default: 2 runs; 1 more: --offset 1\n"
    assert row[:6] == ["1", run[-8:], "checkout", "local", "default", "2"]
    assert re.fullmatch(r"\d+\.\ds", row[6])
    assert row[7:] == ["-", "-", "user local runs 0 of 0"]


def test_explain_writes_facts_and_records_as_plain_lines_and_all_as_json(
    assay: Assay, client: httpx.Client, run_pass: Callable[[], None]
) -> None:
    assay("quota", "set", "--max-concurrent", "0")
    run = str(submitted(client))
    run_pass()
    waiting = assay("explain", run)[1]
    assay("quota", "set", "--max-concurrent", "none")
    run_pass()

    plain = assay("explain", run[-8:])[1].splitlines()
    answer: Any = json.loads(assay("explain", run, "--json")[1])

    said = [line for line in waiting.splitlines() if line.startswith("said\t")]
    assert re.search(r"^position +1 of 1$", waiting, re.MULTILINE)
    assert re.search(r"^waits +user local runs 0 of 0$", waiting, re.MULTILINE)
    assert [line for line in plain if line.startswith("said\t")][: len(said)] == said
    assert all(line.count("\t") == 3 for line in said), "at, text and who is ahead: no version of a table of the gate"
    assert [line.split("\t")[:2] for line in plain if line.startswith("chosen\t")] == [["chosen", "n0"]]
    assert [d["kind"] for d in answer["decisions"]] == ["waiting", "admitted"]
    assert assay("explain", "ffffffff")[0] == 4


def test_on_a_terminal_the_explanation_is_drawn_as_tables(
    assay: Assay, client: httpx.Client, run_pass: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    run = str(submitted(client))
    run_pass()
    monkeypatch.setattr(output.sys, "stdout", _Terminal(output.sys.stdout))

    drawn = re.sub(r"\x1b\[[0-9;]*m", "", assay("explain", run)[1])

    assert re.search(r"node +total +free +utilisation +affinity +spot +balance", drawn)
    assert re.search(r"chosen +n0 +0\.\d{3}", drawn)


def test_a_narrow_terminal_does_not_break_ids_and_states(
    assay: Assay, client: httpx.Client, run_pass: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assay("quota", "set", "--max-concurrent", "0")
    run = str(submitted(client))
    run_pass()
    monkeypatch.setattr(output.sys, "stdout", _Terminal(output.sys.stdout))

    drawn = re.sub(r"\x1b\[[0-9;]*m", "", assay("queue")[1]).splitlines()

    assert drawn[0].split() == ["position", "run", "name", "team", "priority", "starts", "reason"]
    assert f" {run[-8:]} " in drawn[1]


class _Terminal:
    """A stream that claims to be a terminal."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
