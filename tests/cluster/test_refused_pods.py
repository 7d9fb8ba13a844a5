"""Namespaces that take no pod: their quota is used up, their limits forbid it, or they are missing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from harness.backends import ended, order
from harness.beds.kubernetes import Bed

from cluster.backend import Backend, Fault, LaunchError, PlacementError
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.check import check
from cluster.kubernetes.connection import Connection
from model.ending import How
from model.resources import ResourceRequirements

pytestmark = pytest.mark.cluster

HIDDEN = "a-hidden-value"


@pytest.fixture
def hasty(bed: Bed, tmp_path: Path) -> Iterator[Backend]:
    """A backend that does not wait for room."""
    made = KubernetesBackend(bed.access, Disk(runs=tmp_path / "hasty", contents=bed.contents), timedelta())
    yield made
    made.close()


def put(bed: Bed, kind: str, spec: dict[str, object]) -> None:
    connection = Connection(bed.access)
    connection.create(f"/api/v1/namespaces/{bed.access.namespace}/{kind}", {"metadata": {"name": "n"}, "spec": spec})
    connection.close()


async def test_a_quota_that_is_used_up_is_waited_for_and_leaves_no_secret(bed: Bed, hasty: Backend) -> None:
    put(bed, "resourcequotas", {"hard": {"pods": "0"}})
    wanted = order(bed, "true", env={"A": "${secrets.a}"}, secrets={"a": HIDDEN})

    with pytest.raises(PlacementError, match=r"the quota of the namespace has no room: .*exceeded quota") as refused:
        await hasty.launch(wanted)
    await hasty.end(wanted.attempt)

    assert refused.value.nodes == frozenset()
    assert not bed.holds(HIDDEN)
    [found] = [finding for finding in check(bed.access) if finding.what == "image"]
    assert not found.fine
    assert "exceeded quota" in found.words


async def test_a_name_that_is_kept_from_an_attempt_counts_in_no_quota(bed: Bed) -> None:
    put(bed, "resourcequotas", {"hard": {"pods": "1"}})
    backend = bed.open()
    for _ in range(2):
        await backend.end(order(bed, "true").attempt)
    wanted = order(bed, "true")

    await backend.launch(wanted)

    assert (await ended(backend, wanted.attempt)).how is How.EXITED


async def test_what_the_limits_of_a_namespace_forbid_is_for_who_asked(bed: Bed, hasty: Backend) -> None:
    put(bed, "limitranges", {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]})
    large = ResourceRequirements(memory_request="2Gi", memory_limit="2Gi")

    with pytest.raises(LaunchError, match="maximum memory usage per Container") as refused:
        await hasty.launch(replace(order(bed, "true"), resources=large))

    assert refused.value.fault is Fault.CONFIG


async def test_an_attempt_in_a_namespace_that_is_missing_can_be_ended(bed: Bed) -> None:
    """No pod of it can be there, nor come. Otherwise the run could neither fail nor be cancelled."""
    bed.access = replace(bed.access, namespace="assay-tests-none")
    wanted = order(bed, "true")
    backend = bed.open()

    with pytest.raises(LaunchError, match="not found"):
        await backend.launch(wanted)
    await backend.end(wanted.attempt)
    await backend.forget(wanted.attempt)
