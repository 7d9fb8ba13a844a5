"""The experiment as a value, and as YAML both ways."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.experiment import Order
from chaos.experiment_reading import (
    check_experiment,
    describe_experiment_schema,
    experiment_from_yaml,
    experiment_to_raw,
    experiment_to_yaml,
)
from chaos.fault_types import PARAMETERS, Fault, FaultType, NetworkLatency, PodKill, Provider
from chaos.safety import BUILT_IN, LAPTOP_REASON
from chaos.target import TargetSelector
from model.problems import InvalidError

FULLEST: dict[FaultType, dict[str, Any]] = {
    FaultType.POD_DELETE: {"once": True, "gracePeriodSeconds": 5},
    FaultType.POD_KILL: {"once": True},
    FaultType.CONTAINER_KILL: {"once": False},
    FaultType.NETWORK_LATENCY: {"latencyMs": 300, "jitterMs": 50, "port": 8102},
    FaultType.NETWORK_PARTITION: {"direction": "both"},
    FaultType.NETWORK_PACKET_LOSS: {"percent": 30},
    FaultType.CPU_STRESS: {"loadPercent": 50, "workers": 2},
    FaultType.MEMORY_STRESS: {"megabytes": 64},
    FaultType.DISK_IO_STRESS: {"megabytes": 32, "workers": 1},
    FaultType.EXCEPTION_INJECTION: {"percent": 50, "status": 500, "pathPrefix": "/orders"},
}


def raw(**change: Any) -> dict[str, Any]:
    return {
        "name": "payments is killed",
        "fault": {"type": "pod-kill"},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {
            "healthChecks": [{"name": "orders", "type": "http", "url": "http://127.0.0.1:8101/health"}],
            "slo": {"name": "latency", "kind": "value", "query": "latency"},
        },
        "durationSeconds": 60,
        "haltConditions": [{"slo": "latency", "above": 5.0}],
        **change,
    }


def test_the_defaults() -> None:
    experiment = check_experiment(raw())

    assert experiment.provider is Provider.LOCAL
    assert experiment.hypothesis.tolerance_percent == 10
    assert (experiment.baseline, experiment.recovery) == (timedelta(seconds=60), timedelta(seconds=60))
    assert experiment.faults == (
        Fault(type=FaultType.POD_KILL, parameters=PodKill(), duration_seconds=60, name="1-pod-kill"),
    )
    assert experiment.target.claim == "local/shop/payments"
    assert {check.name: check.none for check in experiment.safety_checks} == dict.fromkeys(BUILT_IN, LAPTOP_REASON)


@pytest.mark.parametrize("kind", FaultType)
def test_every_fault_type_survives_yaml_both_ways(kind: FaultType) -> None:
    experiment = check_experiment(raw(fault={"type": kind.value, "parameters": FULLEST[kind]}))

    assert experiment_from_yaml(experiment_to_yaml(experiment)) == experiment
    assert type(experiment.faults[0].parameters) is PARAMETERS[kind]


def test_yaml_keeps_everything_else_too() -> None:
    experiment = check_experiment(
        raw(
            description="a game day",
            order="sequence",
            fault=None,
            faults=[
                {"type": "pod-kill", "durationSeconds": 20, "name": "first"},
                {"type": "network-latency", "durationSeconds": 30, "parameters": {"latencyMs": 100}},
            ],
            baselineSeconds=90,
            recoverySeconds=120,
            blastRadius={"maxTargets": 2, "maxPercent": 50.0, "services": ["payments"], "maxTrafficPercent": 20.0},
            safetyChecks={
                "activeIncidents": {"connection": "pagerduty", "severity": "warn", "staleAfterSeconds": 30},
                "registered": {"freeze": {"severity": "block"}},
            },
            load={"url": "http://127.0.0.1:8101/orders", "method": "POST", "body": "{}", "perSecond": 20.0},
            alpha=0.1,
            schedule={"recurring": [{"cron": "0 9 * * 1", "timezone": "Europe/Berlin"}]},
        )
    )

    assert experiment_from_yaml(experiment_to_yaml(experiment)) == experiment
    assert experiment.order is Order.SEQUENCE
    assert experiment.active == timedelta(seconds=50)
    assert experiment.longest_fault_window == timedelta(seconds=50 + 120), "the second waits for what the first killed"
    assert experiment.faults[1].parameters == NetworkLatency(latency_ms=100)


def test_the_single_forms_of_the_original_mean_the_same() -> None:
    single = raw()
    hypothesis = single["hypothesis"]
    lists = raw(
        fault=None,
        faults=[single["fault"]],
        hypothesis={"healthChecks": hypothesis["healthChecks"], "slos": [hypothesis["slo"]]},
    )

    assert check_experiment(single) == check_experiment(lists)


def test_a_fault_with_parameters_of_another_type_is_no_value() -> None:
    with pytest.raises(ValueError, match="has parameters of type"):
        Fault(type=FaultType.CPU_STRESS, parameters=PodKill(), duration_seconds=10, name="wrong")


def test_the_claim_is_a_path() -> None:
    assert TargetSelector(cluster="c", namespace="shop").claim == "k8s/c/shop"
    assert TargetSelector(cluster="c", namespace="shop", service="pay").claim == "k8s/c/shop/pay"


def test_the_schema_knows_every_key() -> None:
    schema: Any = describe_experiment_schema()

    assert set(experiment_to_raw(check_experiment(raw()))) <= set(schema["properties"])


def test_the_sample_in_prefect_is_an_experiment() -> None:
    entries = yaml.safe_load((Path(__file__).parents[3] / "prefect.yaml").read_text())
    raw = [one["parameters"]["experiment"] for one in entries["deployments"] if "experiment" in one["parameters"]]

    assert [check_experiment(one).target.environment for one in raw] == ["shop"]


@pytest.mark.parametrize(
    ("raw", "tool"),
    [
        ({"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "PodChaos"}, "Chaos Mesh"),
        ({"title": "x", "steady-state-hypothesis": {}, "method": []}, "Chaos Toolkit"),
    ],
)
def test_a_file_of_another_tool_is_known_as_one(raw: dict[str, object], tool: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_experiment(raw)

    [said] = [problem.message for problem in refused.value.problems if problem.path == ""]
    assert tool in said
    assert "assay chaos import" in said
