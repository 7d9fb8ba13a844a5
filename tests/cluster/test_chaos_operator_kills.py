"""Kill -9 of the worker in an experiment whose fault Litmus or Chaos Mesh carries out: one row, and nothing is left.

Stand-ins of the operators write what those would write, and do nothing to the target. The guards are real Jobs.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from harness.cluster_namespaces import NAME, SERVING, ServedCluster
from harness.fault_beds.chaos_mesh import CHAOS_MESH
from harness.fault_beds.litmus import LITMUS
from harness.faulty_points import EXPERIMENT_POINTS, GUARD_POINTS
from harness.operator_beds import operator_at_work
from harness.operators import StandIn
from harness.shop_in_cluster import PORT, ShopInCluster, shop_in_cluster
from harness.stack import Stack, until

from chaos.fault_types import Provider
from chaos.manifests.litmus_status import ENDED

pytestmark = pytest.mark.cluster

SWEEP = pytest.mark.skipif(os.environ.get("ASSAY_SWEEP") != "all", reason="takes most of an hour: `make sweep` runs it")
PROVIDERS = (Provider.LITMUS, Provider.CHAOS_MESH)
ANY_OBJECT = "fault"
"""A word in the names of all objects: one script is for all."""
POINTS = [*EXPERIMENT_POINTS, *GUARD_POINTS]

AGAIN = {"before-inject"} | {
    f"{when}-{step}" for when in ("before", "after") for step in ("resolve-targets", "admit", "baseline", "recheck")
}
"""Here a step without any fault stands in the database, so the experiment begins that step again."""
JUDGED = {"after-record", "before-found", "after-found"}
"""From here on the judgement stands in the database."""
NEVER = {"after-inject", "before-write_fault_down", "after-write_fault_down", "before-inject_fault", "before-start_job"}
"""Here no guard has begun: nothing was injected, and nothing is any more."""
PERHAPS = {"after-start_job"}
"""Here the guard may begin before the next worker takes its fault back."""
REVERTED_WITHIN = 25.0
"""Seconds from the death of the worker until no operator holds a fault: 15 s of patience, and the revert."""
ENDED_WITHIN = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A stack whose worker serves a cluster with payments and both operators."""

    stack: Stack
    shop: ShopInCluster
    stand_ins: Mapping[Provider, StandIn]

    def submitted(self, provider: Provider, name: str, seconds: int = 5) -> str:
        """Submit an experiment with a fault of this provider, and return its run."""
        spec = self._spec(provider, name) | {"durationSeconds": seconds}
        answer = self.stack.rest("POST", "/runs", json={"kind": "experiment", "spec": spec})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["runId"])

    def _spec(self, provider: Provider, name: str) -> dict[str, Any]:
        checks = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
        slo = {"name": "answers", "kind": "ratio", "source": "load", "objective": 80, "stepSeconds": 1}
        return {
            "name": f"{provider} {name}",
            "fault": {"type": "cpu-stress", "provider": provider.value},
            "target": {"cluster": NAME, "namespace": self.shop.namespace, "service": "payments"},
            "hypothesis": {"slo": slo},
            "load": {"url": f"http://{self.shop.addresses['payments']}:{PORT}/health", "perSecond": 10},
            "baselineSeconds": 5,
            "recoverySeconds": 5,
            "haltConditions": [{"slo": "answers", "above": 99, "failures": 20, "of": 20}],
            "safetyChecks": {check: {"none": "a test"} for check in checks},
        }

    def next_worker(self) -> None:
        """Start a worker. It need not be up when the fault must be over."""
        self.stack.start_worker("worker-1", wait=False, **SERVING)

    def ended(self, run: str) -> dict[str, Any]:
        """Wait until the run has ended and nothing of it is left. Return its row."""
        until("it has ended", lambda: self._row(run)["completed_at"], ENDED_WITHIN, 0.2)
        until("nothing is left", lambda: not self.left(run), 30, 0.2, seen=lambda: self.left(run))
        return self._row(run)

    def _row(self, run: str) -> dict[str, Any]:
        """Return the row of a run: its experiment has no other."""
        [row] = self.stack.sql(
            "SELECT * FROM chaos_executions WHERE experiment_id = "
            "(SELECT experiment_id FROM chaos_executions WHERE execution_id = %s)",
            run,
        )
        return row

    def injections(self, run: str) -> int:
        """Return how many objects the operators took up."""
        return sum(
            count for one in self.stand_ins.values() for name, count in one.taken_up.items() if _is_of(run, name)
        )

    def held(self, run: str) -> list[str]:
        """Return the objects that hold a fault. An engine that has ended stays as the record of Litmus."""
        paths = [path for one in self.stand_ins.values() for path in one.paths]
        return [
            found["metadata"]["name"]
            for path in paths
            for found in self._listed(path)
            if _is_of(run, found["metadata"]["name"])
            and (found.get("status", {}).get("engineStatus") not in ENDED or found["metadata"].get("finalizers"))
        ]

    def left(self, run: str) -> list[str]:
        """Return what is left of an experiment, in the cluster and in the database."""
        guards = self.shop.guards.namespace
        places = {"Job": f"/apis/batch/v1/namespaces/{guards}/jobs", "pod": f"/api/v1/namespaces/{guards}/pods"}
        objects = [
            f"{kind} {found['metadata']['name']}"
            for kind, path in places.items()
            for found in self._listed(path)
            if _is_of(run, found["metadata"]["name"])
        ]
        rows = self.stack.sql("SELECT status FROM chaos_faults WHERE execution_id = %s", run)
        objects += [f"fault is {row['status']}" for row in rows if row["status"] != "reverted"]
        claims = self.stack.sql("SELECT 1 FROM queue WHERE execution_id = %s", run)
        return [*self.held(run), *objects, *("it holds its claims" for _ in claims)]

    def _listed(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.shop.connection.get(path))["items"]
        return found


def _is_of(run: str, name: str) -> bool:
    return name.startswith(f"assay-fault-{run}-")


@pytest.fixture(scope="module")
async def ground(served: ServedCluster) -> AsyncIterator[Ground]:
    async with (
        shop_in_cluster(("payments",), served.access) as shop,
        operator_at_work(shop, LITMUS, [ANY_OBJECT]) as litmus,
        operator_at_work(shop, CHAOS_MESH, [ANY_OBJECT]) as mesh,
    ):
        both = {Provider.LITMUS: litmus, Provider.CHAOS_MESH: mesh}
        yield Ground(stack=served.stack, shop=shop, stand_ins=both)


@SWEEP
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_worker_killed_at_any_point_leaves_one_row_and_no_fault(
    ground: Ground, provider: Provider, point: str
) -> None:
    await asyncio.to_thread(_killed_at, ground, provider, point)  # the stand-ins act meanwhile


def _killed_at(ground: Ground, provider: Provider, point: str) -> None:
    ground.stack.fault(point, "kill")
    run = ground.submitted(provider, point)
    ground.stack.struck(point, ENDED_WITHIN)
    ground.stack.processes.pop("worker-1").wait(60)
    ground.next_worker()
    if point not in AGAIN:
        until("no operator holds it", lambda: not ground.held(run), REVERTED_WITHIN, 0.2)
    row = ground.ended(run)

    judged = point in AGAIN | JUDGED
    assert (row["status"], row["ending"]) == (("completed", "judged") if judged else ("failed", "infrastructure")), row
    assert row["hypothesis_validated"] is (True if judged else None), row
    wanted = {0} if point in NEVER else {0, 1} if point in PERHAPS else {1}
    assert ground.injections(run) in wanted


@SWEEP
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_without_any_worker_the_guard_has_the_operator_revert_in_time(ground: Ground, provider: Provider) -> None:
    await asyncio.to_thread(_without_worker, ground, provider)


def _without_worker(ground: Ground, provider: Provider) -> None:
    run = ground.submitted(provider, "alone", seconds=120)
    injected = "SELECT 1 FROM chaos_faults WHERE execution_id = %s AND status = 'injected'"
    until("it is injected", lambda: ground.stack.sql(injected, run), ENDED_WITHIN, 0.1)
    assert len(ground.held(run)) == 1
    ground.stack.kill("worker-1")
    until("no operator holds it", lambda: not ground.held(run), REVERTED_WITHIN, 0.2)
    ground.next_worker()
    row = ground.ended(run)

    assert (row["status"], row["ending"], row["hypothesis_validated"]) == ("failed", "infrastructure", None), row
    assert ground.injections(run) == 1
