"""Whole experiments on the shop in a cluster: command, gate, flow, guard Job, verdict, and a worker that dies."""

import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.cluster_namespaces import NAME, SERVING, ServedCluster
from harness.shop_in_cluster import PORT, ShopInCluster, shop_in_cluster
from harness.stack import Stack, until

pytestmark = pytest.mark.cluster

SWEEP = pytest.mark.skipif(os.environ.get("ASSAY_SWEEP") != "all", reason="takes its time: `make sweep` runs it")
CHECKS = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
WINDOW = 8
ENDED_SECONDS = 120.0


@pytest.fixture(scope="module")
async def shop(served: ServedCluster) -> AsyncIterator[ShopInCluster]:
    async with shop_in_cluster(("payments", "inventory", "orders"), served.access) as running:
        yield running


def experiment(shop: ShopInCluster, name: str, kind: str, **parameters: Any) -> dict[str, Any]:
    url = f"http://{shop.addresses['orders']}:{PORT}/orders"
    body = '{"item": "lamp", "quantity": 1, "card": "1234"}'
    return {
        "name": name,
        "fault": {"type": kind, "parameters": parameters},
        "target": {"cluster": NAME, "namespace": shop.namespace, "service": "payments"},
        "hypothesis": {"slo": {"name": "orders placed", "kind": "ratio", "source": "load", "objective": 95}},
        "load": {"url": url, "method": "POST", "body": body, "perSecond": 10},
        "durationSeconds": WINDOW,
        "haltConditions": [{"slo": "orders placed", "above": 100, "failures": 20, "of": 20}],
        "safetyChecks": {check: {"none": "a test"} for check in CHECKS},
    }


def file_of(tmp_path: Path, raw: dict[str, Any]) -> str:
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(raw))
    return str(file)


def run(stack: Stack, tmp_path: Path, raw: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = stack.assay("chaos", "run", file_of(tmp_path, raw), "--json", timeout=ENDED_SECONDS)
    assert answer.stdout, answer.stderr
    return answer.returncode, json.loads(answer.stdout)


def nothing_is_left(stack: Stack, shop: ShopInCluster) -> None:
    """No fault is open, no guard runs, no pod is labelled, and no name is claimed."""
    assert stack.sql("SELECT fault_id FROM chaos_faults WHERE status <> 'reverted'") == []
    labelled = [pod for pod in shop.pods(shop.namespace) if "assay.dev/fault-target" in pod.metadata.labels]
    assert labelled == []
    until("no guard is left", lambda: not _guards(shop), 20, 0.5)  # the cluster deletes the pods of a Job after it
    assert stack.sql("SELECT 1 FROM queue") == []


def _guards(shop: ShopInCluster) -> list[str]:
    return [pod.metadata.name for pod in shop.pods(shop.guards.namespace) if "assay.dev/fault" in pod.metadata.labels]


async def test_retries_bridge_a_container_that_dies_once(
    served: ServedCluster, shop: ShopInCluster, tmp_path: Path
) -> None:
    await shop.until_ready("payments")
    code, found = run(served.stack, tmp_path, experiment(shop, "dies once", "container-kill", once=True))

    assert (code, found["status"], found["hypothesisValidated"]) == (0, "completed", True), found["reason"]
    [fault] = served.stack.sql("SELECT * FROM chaos_faults WHERE execution_id = %s", found["executionId"])
    assert fault["effect"] == "restarts: 1"
    nothing_is_left(served.stack, shop)


@SWEEP
async def test_a_pod_that_stays_down_breaks_the_hypothesis(
    served: ServedCluster, shop: ShopInCluster, tmp_path: Path
) -> None:
    await shop.until_ready("payments")
    await shop.until_ready("orders")
    raw = experiment(shop, "stays down", "pod-kill") | {"durationSeconds": 14, "baselineSeconds": WINDOW}
    code, found = run(served.stack, tmp_path, raw)

    assert (code, found["status"], found["hypothesisValidated"]) == (1, "completed", False), found["reason"]
    nothing_is_left(served.stack, shop)
    await shop.until_ready("payments")


async def test_an_abort_in_the_middle_leaves_no_stress(
    served: ServedCluster, shop: ShopInCluster, tmp_path: Path
) -> None:
    await shop.until_ready("payments")
    stack = served.stack
    raw = experiment(shop, "stressed", "cpu-stress") | {"durationSeconds": 60, "baselineSeconds": 5}
    started = stack.assay("chaos", "run", file_of(tmp_path, raw), "--no-watch")
    execution = started.stdout.strip()
    until("it is observed", lambda: _step(stack, execution) == "observe", ENDED_SECONDS, 0.2)
    began = time.monotonic()
    assert stack.assay("chaos", "abort", execution).returncode == 0
    found = until("it has ended", lambda: _ended(stack, execution), 60, 0.2)
    seconds = time.monotonic() - began

    assert (found["status"], found["hypothesisValidated"]) == ("aborted", None), found
    assert seconds < 25
    nothing_is_left(stack, shop)


@SWEEP
async def test_a_worker_that_dies_loses_no_fault(served: ServedCluster, shop: ShopInCluster, tmp_path: Path) -> None:
    """The guard reverts although no worker lives. The next worker ends the run, and injects nothing again."""
    await shop.until_ready("payments")
    stack = served.stack
    raw = experiment(shop, "worker dies", "pod-kill") | {"durationSeconds": 60, "baselineSeconds": 5}
    execution = stack.assay("chaos", "run", file_of(tmp_path, raw), "--no-watch").stdout.strip()
    until("it is observed", lambda: _step(stack, execution) == "observe", ENDED_SECONDS, 0.2)
    stack.kill("worker-1")
    began = time.monotonic()
    await shop.until_ready("payments")
    seconds = time.monotonic() - began
    stack.start_worker("worker-1", **SERVING)
    found = until("it has ended", lambda: _ended(stack, execution), ENDED_SECONDS, 0.2)

    assert 10 < seconds < 15 + 25
    assert (found["status"], found["hypothesisValidated"]) == ("failed", None), found
    nothing_is_left(stack, shop)


def _shown(stack: Stack, execution: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.rest("GET", f"/chaos/executions/{execution}").json()
    return found


def _step(stack: Stack, execution: str) -> str:
    return str((_shown(stack, execution).get("progress") or {}).get("step"))


def _ended(stack: Stack, execution: str) -> dict[str, Any] | None:
    found = _shown(stack, execution)
    return found if found["completedAt"] else None
