"""The capability table, the rendered actions, and the plan."""

from typing import Any

import pytest
from harness.chaos_readings import NOON

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment
from chaos.fault_types import PARAMETERS, FaultType, Provider
from chaos.graph import from_depends_on
from chaos.manifests.kubernetes import ApplyPolicy, DeletePod, render_kubernetes
from chaos.plan import plan
from chaos.provider import (
    CAPABILITIES,
    FaultId,
    KeepDown,
    ProxyRule,
    refusal,
    render_local,
)
from chaos.safety import decide
from chaos.targets import Candidate, Target, resolve

NEEDED: dict[FaultType, dict[str, Any]] = {
    FaultType.NETWORK_LATENCY: {"latencyMs": 100},
    FaultType.NETWORK_PACKET_LOSS: {"percent": 20},
    FaultType.MEMORY_STRESS: {"megabytes": 64},
}
TARGET = Target(place="shop", service="payments", name="payments", identity="1")


def experiment(kind: FaultType, *, local: bool = True, **change: Any) -> Experiment:
    names = ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
    place = {"environment": "shop"} if local else {"cluster": "c", "namespace": "shop"}
    return check_experiment(
        {
            "name": "x",
            "fault": {"type": kind.value, "parameters": NEEDED.get(kind, {})},
            "target": {**place, "service": "payments"},
            "hypothesis": {"slo": {"name": "latency", "kind": "value", "query": "latency"}},
            "durationSeconds": 60,
            "haltConditions": [{"slo": "latency", "above": 5}],
            "safetyChecks": {name: {"connection": "somewhere"} for name in names},
            **change,
        }
    )


def test_the_table_knows_every_type_and_provider() -> None:
    assert set(CAPABILITIES) == {(provider, kind) for provider in Provider for kind in FaultType}
    assert all(bool(one.how) != bool(one.refused) for one in CAPABILITIES.values())


@pytest.mark.parametrize("kind", FaultType)
def test_all_ten_are_real_locally(kind: FaultType) -> None:
    fault = experiment(kind).faults[0]

    assert refusal(Provider.LOCAL, fault) is None
    assert render_local(fault) is not None
    assert set(PARAMETERS) == set(FaultType)


@pytest.mark.parametrize("kind", FaultType)
def test_kubernetes_renders_what_it_does_not_refuse(kind: FaultType) -> None:
    fault = experiment(kind, local=False).faults[0]

    if refusal(Provider.KUBERNETES, fault):
        with pytest.raises(ValueError, match="cannot inject"):
            render_kubernetes(fault, TARGET, FaultId("f"))
    else:
        assert render_kubernetes(fault, TARGET, FaultId("f"))


def test_a_delete_has_a_grace_period_and_a_kill_has_none() -> None:
    delete, kill = (experiment(kind).faults[0] for kind in (FaultType.POD_DELETE, FaultType.POD_KILL))

    assert render_local(delete) == KeepDown(grace_seconds=30, once=False)
    assert render_local(kill) == KeepDown(grace_seconds=0, once=False)
    assert render_kubernetes(kill, TARGET, FaultId("f")) == DeletePod(grace_seconds=0, once=False)


def test_a_partition_is_a_policy_that_carries_its_fault() -> None:
    policy = render_kubernetes(experiment(FaultType.NETWORK_PARTITION).faults[0], TARGET, FaultId("f1"))

    assert isinstance(policy, ApplyPolicy)
    assert policy.manifest["metadata"] == {
        "name": "assay-fault-f1",
        "namespace": "shop",
        "labels": {"assay.dev/fault": "f1"},
    }


def test_the_local_proxy_cuts_only_what_comes_in() -> None:
    both = experiment(
        FaultType.NETWORK_PARTITION, fault={"type": "network-partition", "parameters": {"direction": "both"}}
    ).faults[0]

    with pytest.raises(ValueError, match="only ingress"):
        render_local(both)


def test_a_rule_that_does_nothing_is_quiet() -> None:
    assert ProxyRule().quiet
    assert not ProxyRule(partition=True).quiet


def test_the_plan_shows_all_and_every_reason_against_it() -> None:
    cluster = experiment(FaultType.NETWORK_LATENCY, local=False)
    seen = [Candidate(target=TARGET)]
    graph = from_depends_on({"orders": ["payments"], "payments": []})

    shown = plan(cluster, resolve(cluster, seen, graph), decide(cluster.safety_checks, (), NOON))

    assert shown.claims == ("k8s/c/shop/orders", "k8s/c/shop/payments")
    assert shown.seconds == 180
    assert shown.slos[0].readings == (12, 12)
    assert shown.slos[0].noise_check
    assert [problem.split(":")[0] for problem in shown.problems] == [
        "shop/payments has not opted in",
        "1-network-latency",
        "safety check activeIncidents",
        "safety check onCall",
        "safety check recentDeployments",
        "safety check systemHealth",
    ]


def test_the_plan_of_a_sequence_says_when_each_fault_begins() -> None:
    faults = [{"type": "pod-kill", "durationSeconds": 20}, {"type": "pod-delete", "durationSeconds": 30}]
    shown_for = experiment(FaultType.POD_KILL, fault=None, faults=faults, order="sequence")
    allowed = [Candidate(target=TARGET, opted_in=True)]

    shown = plan(shown_for, resolve(shown_for, allowed, from_depends_on({"payments": []})))

    assert [(fault.begins, fault.ends) for fault in shown.faults] == [(0, 20), (20, 50)]
    assert shown.seconds == 60 + 50 + 60 + 60, "the second fault may wait for as long as the recovery"
    assert shown.problems == ()
