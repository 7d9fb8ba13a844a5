"""Network policies on a real cluster: that of an attempt, and the pods that find out whether any has an effect."""

import json
from dataclasses import replace
from typing import Any

import pytest
from harness.backends import ended, order, run
from harness.beds.kubernetes import Bed

from cluster.backend import Fault, LaunchError
from cluster.kubernetes import canary, names
from cluster.kubernetes.canary import Enforcement
from cluster.kubernetes.check import check
from cluster.kubernetes.connection import Connection
from model.config import ExecutionConfig
from model.network import Network, NetworkTarget

pytestmark = pytest.mark.cluster

TO_SHOP = ExecutionConfig(network=Network(targets=(NetworkTarget(pod_labels={"app": "shop"}, ports=(80,)),)))


async def test_a_test_with_targets_has_a_policy_that_goes_with_it(bed: Bed) -> None:
    backend = bed.open()
    wanted = order(bed, "sleep 1", config=TO_SHOP)

    await backend.launch(wanted)
    [during] = policies(bed)
    await ended(backend, wanted.attempt)
    await backend.end(wanted.attempt)
    await backend.forget(wanted.attempt)

    assert during["metadata"]["name"] == names.pod_name(wanted.attempt)
    assert during["metadata"]["ownerReferences"][0]["kind"] == "Pod"
    assert len(during["spec"]["egress"]) == 2
    assert policies(bed) == []


async def test_where_policies_are_required_nothing_starts_before_they_are_seen_to_be_enforced(bed: Bed) -> None:
    connection = Connection(bed.access)
    found = canary.look(connection)
    connection.close()
    bed.access = replace(bed.access, network_required=True)
    wanted = order(bed, "true")

    if found.enforcement is Enforcement.ENFORCED:
        assert (await run(bed.open(), wanted)).exit_code == 0
    else:
        with pytest.raises(LaunchError, match="must enforce network policies") as refused:
            await bed.open().launch(wanted)
        assert refused.value.fault is Fault.INFRASTRUCTURE
        assert [f.fine for f in check(bed.access) if f.what == "network"] == [False]
    assert policies(bed) == []


def policies(bed: Bed) -> list[dict[str, Any]]:
    connection = Connection(bed.access)
    place = f"/apis/networking.k8s.io/v1/namespaces/{bed.access.namespace}/networkpolicies"
    found: list[dict[str, Any]] = json.loads(connection.get(place))["items"]
    connection.close()
    return found
