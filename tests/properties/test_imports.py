"""What is rendered for Litmus and Chaos Mesh is read back as the same experiment."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chaos.experiment import Experiment
from chaos.experiment_reading import check_experiment, experiment_to_raw
from chaos.fault_types import KILLS, Direction, FaultType, Provider
from chaos.imports.assembling import Options
from chaos.imports.formats import import_documents
from chaos.operator_limits import LITMUS_STATUSES
from chaos.rendering import render
from chaos.targets import Target
from model.document import read_yaml_documents, write_yaml

HEALTH = "http://web.example/health"
TARGET = Target(place="shop", service="web", name="web-1", identity="u")
PORTS = st.integers(1, 65535)
PERCENT = st.integers(1, 100)
COMMON: dict[FaultType, dict[str, st.SearchStrategy[Any]]] = {
    FaultType.POD_KILL: {},
    FaultType.NETWORK_LATENCY: {"latencyMs": st.integers(30_000, 60_000), "jitterMs": st.integers(0, 30_000)},
    FaultType.NETWORK_PACKET_LOSS: {"percent": PERCENT},
    FaultType.CPU_STRESS: {"loadPercent": PERCENT, "workers": st.integers(1, 16)},
    FaultType.MEMORY_STRESS: {"megabytes": st.integers(1, 65_536)},
}
PARAMETERS: dict[Provider, dict[FaultType, dict[str, st.SearchStrategy[Any]]]] = {
    Provider.LITMUS: COMMON
    | {
        FaultType.POD_DELETE: {},
        FaultType.CONTAINER_KILL: {"container": st.sampled_from(["app", "web-1"])},
        FaultType.NETWORK_LATENCY: COMMON[FaultType.NETWORK_LATENCY] | {"port": PORTS},
        FaultType.NETWORK_PACKET_LOSS: {"percent": PERCENT, "port": PORTS},
        FaultType.DISK_IO_STRESS: {"megabytes": st.just(1024), "workers": st.integers(1, 8), "path": st.just("/data")},
        FaultType.EXCEPTION_INJECTION: {
            "percent": PERCENT,
            "status": st.sampled_from(sorted(LITMUS_STATUSES)),
            "port": PORTS,
        },
    },
    Provider.CHAOS_MESH: COMMON
    | {
        FaultType.POD_DELETE: {"gracePeriodSeconds": st.integers(1, 300)},
        FaultType.CONTAINER_KILL: {"container": st.sampled_from(["app", "web-1"])},
        FaultType.NETWORK_PACKET_LOSS: {"percent": st.one_of(PERCENT, st.sampled_from([0.5, 12.25, 99.9]))},
        FaultType.NETWORK_PARTITION: {"direction": st.sampled_from([one.value for one in Direction])},
        FaultType.EXCEPTION_INJECTION: {
            "status": st.integers(400, 599),
            "port": PORTS,
            "pathPrefix": st.sampled_from(["/", "/orders", "/a/b-"]),
        },
    },
}


@st.composite
def experiments(draw: st.DrawFn, provider: Provider) -> Experiment:
    """One to three faults together, all of which the provider can do."""
    faults: list[dict[str, Any]] = []
    for kind in draw(st.lists(st.sampled_from(sorted(PARAMETERS[provider])), min_size=1, max_size=3)):
        values = {name: draw(value) for name, value in PARAMETERS[provider][kind].items()}
        parameters = values | ({"once": True} if kind in KILLS else {})
        seconds = draw(st.integers(5, 3600))
        faults.append({"type": kind, "parameters": parameters, "durationSeconds": seconds, "provider": provider})
    reason = f"imported from {'Litmus' if provider is Provider.LITMUS else 'Chaos Mesh'}, which has no such check"
    return check_experiment(
        {
            "name": "assay-fault-fault-1",
            "faults": faults,
            "target": {
                "cluster": "staging",
                "namespace": "shop",
                "labels": {"app": draw(st.sampled_from(["web", "api"]))},
                **({"count": 1} if provider is Provider.LITMUS else {}),
            },
            "hypothesis": {"healthChecks": [{"name": "health 1", "type": "http", "url": HEALTH}]},
            "durationSeconds": max(fault["durationSeconds"] for fault in faults),
            "haltConditions": [{"healthCheck": "health 1", "failures": 5}],
            "safetyChecks": {
                name: {"none": reason} for name in ("activeIncidents", "onCall", "recentDeployments", "systemHealth")
            },
        }
    )


@pytest.mark.parametrize("provider", [Provider.LITMUS, Provider.CHAOS_MESH])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_what_is_rendered_is_read_back_as_the_same_experiment(provider: Provider, data: st.DataObject) -> None:
    """Through YAML of several documents. What a manifest does not hold, the hypothesis and the labels, is given."""
    experiment = data.draw(experiments(provider))
    rendered = render(experiment, None, TARGET)
    assume(not any(one.refused for one in rendered))
    file = "---\n".join(write_yaml(one.document) for one in rendered)

    asked = Options(cluster="staging", labels=experiment.target.labels, health=(HEALTH,))
    imported = check_experiment(import_documents(read_yaml_documents(file), asked).document)

    assert experiment_to_raw(imported) == experiment_to_raw(experiment)
    assert render(imported, None, TARGET) == rendered


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KINDS = ("ChaosEngine", "PodChaos", "NetworkChaos", "StressChaos", "HTTPChaos", "Schedule", "Workflow", "StatusCheck")
KEYS = ("action", "mode", "selector", "duration", "experiments", "appinfo", "stressors", "delay", "templates", "entry")


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([*KINDS, "CronWorkflow"]),
    group=st.sampled_from(["litmuschaos.io/v1alpha1", "chaos-mesh.org/v1alpha1", "argoproj.io/v1alpha1"]),
    spec=st.dictionaries(st.sampled_from([*KEYS, "type", "podChaos", "entrypoint", "http"]), ANYTHING, max_size=5),
)
def test_no_object_makes_the_import_fail_otherwise(kind: str, group: str, spec: dict[str, Any]) -> None:
    """Whatever an object holds: an experiment that is valid, or its problems."""
    raw = {"apiVersion": group, "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    try:
        made = import_documents([raw], Options(cluster="staging", health=(HEALTH,)))
    except ValueError as error:
        assert getattr(error, "problems", ())  # noqa: PT017  both ways out are right
    else:
        check_experiment(made.document)
