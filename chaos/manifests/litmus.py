"""The ChaosEngine of a fault: the same fault gives the same manifest.

It names one pod, so that the operator widens nothing. It sends every parameter, since the defaults of Litmus are not
harmless: loss is 100%, latency 2 s, memory 500 MB. All values of `env` are strings.
Source: chaosengine_types.go of litmuschaos/chaos-operator, fault.yaml of each experiment in litmuschaos/chaos-charts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from chaos.fault_types import (
    ContainerKill,
    CpuStress,
    DiskIoStress,
    ExceptionInjection,
    Fault,
    MemoryStress,
    NetworkLatency,
    NetworkPacketLoss,
    PodDelete,
    PodKill,
    Provider,
)
from chaos.manifests.naming import FAULT_LABEL, fault_name, object_name
from chaos.provider import FaultId, refusal
from chaos.targets import Target
from model.json_values import JsonObject

GROUP = "litmuschaos.io"
VERSION = "v1alpha1"
PLURAL = "chaosengines"
ACCOUNT = "assay-litmus"
"""The service account of the experiment's pods: deploy/kubernetes/litmus-rbac.yaml."""
GRACE_SECONDS = 60
"""Never left out: without it the injector pods get no time at all to revert (chaos-runner exports 0)."""
NO_SIDECAR: JsonObject = {"sidecar.istio.io/inject": "false"}
"""A sidecar in a pod of Litmus refuses the API server until it is up, and the Job never completes.

A label of the runner: the CRD prunes all keys of `runnerAnnotations`, and Istio takes the label as well.
"""
GIGABYTE = 1024
NO_REVERT = frozenset({"pod-delete", "container-kill"})
"""Experiments that end something, so that there is nothing to revert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LitmusExperiment:
    """The experiment of a fault, and its variables. Those of all experiments come on top."""

    name: str
    env: Mapping[str, str]


def render_litmus(fault: Fault, target: Target, fault_id: FaultId) -> JsonObject:
    """Return the engine. Raises: ValueError if the fault is refused."""
    if problem := refusal(Provider.LITMUS, fault):
        raise ValueError(problem)
    experiment = experiment_of(fault)
    variables = {
        **experiment.env,
        "TOTAL_CHAOS_DURATION": str(fault.duration_seconds),
        "RAMP_TIME": "0",
        "SEQUENCE": "parallel",
        "DEFAULT_HEALTH_CHECK": "false",
    }
    env: list[JsonValue] = [{"name": name, "value": value} for name, value in sorted(variables.items())]
    components: JsonObject = {"env": env, "experimentAnnotations": dict(NO_SIDECAR)}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ChaosEngine",
        "metadata": {
            "name": object_name(fault_id),
            "namespace": target.place,
            "labels": {FAULT_LABEL: fault_name(fault_id)},
        },
        "spec": {
            "engineState": "active",
            "chaosServiceAccount": ACCOUNT,
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "jobCleanUpPolicy": "delete",
            "defaultHealthCheck": False,
            "selectors": {"pods": [{"namespace": target.place, "names": target.name}]},
            "components": {"runner": {"runnerLabels": dict(NO_SIDECAR)}},
            "experiments": [{"name": experiment.name, "spec": {"components": components}}],
        },
    }


def result_name(fault: Fault, fault_id: FaultId) -> str:
    """Return the name of the ChaosResult."""
    return f"{object_name(fault_id)}-{experiment_of(fault).name}"


def experiment_of(fault: Fault) -> LitmusExperiment:
    """Return the experiment that does what a fault says. Raises: ValueError if there is none."""
    match fault.parameters:
        case PodDelete() | PodKill() | ContainerKill() as kill:
            return _kill(kill, fault.duration_seconds)
        case NetworkLatency() | NetworkPacketLoss() as network:
            return _network(network)
        case CpuStress() | MemoryStress() | DiskIoStress() as stress:
            return _stress(stress)
        case ExceptionInjection() as error:
            return _status(error)
        case _:
            raise ValueError(f"Litmus has no experiment for {fault.type}")


def _kill(kill: PodDelete | PodKill | ContainerKill, seconds: int) -> LitmusExperiment:
    """Return the experiment that kills once in its time: a second deletion would look for a pod that is gone."""
    interval = {"CHAOS_INTERVAL": str(seconds)}
    if isinstance(kill, ContainerKill):
        env = {"SIGNAL": "SIGKILL", "TARGET_CONTAINER": kill.container or "", **interval}
        return LitmusExperiment(name="container-kill", env=env)
    return LitmusExperiment(name="pod-delete", env={"FORCE": str(isinstance(kill, PodKill)).lower(), **interval})


def _stress(stress: CpuStress | MemoryStress | DiskIoStress) -> LitmusExperiment:
    match stress:
        case CpuStress(load_percent=load, workers=workers):
            return LitmusExperiment(name="pod-cpu-hog", env={"CPU_CORES": str(workers), "CPU_LOAD": f"{load:.0f}"})
        case MemoryStress(megabytes=megabytes):
            env = {"MEMORY_CONSUMPTION": str(megabytes), "NUMBER_OF_WORKERS": "1"}
            return LitmusExperiment(name="pod-memory-hog", env=env)
        case disk:
            return _disk(disk)


def _network(fault: NetworkLatency | NetworkPacketLoss) -> LitmusExperiment:
    """Return the experiment on what the pod sends: its answers come from the port that the fault names."""
    ports = {"SOURCE_PORTS": str(fault.port)} if fault.port else {}
    interface = {"NETWORK_INTERFACE": "eth0", **ports}
    if isinstance(fault, NetworkLatency):
        env = {"NETWORK_LATENCY": str(fault.latency_ms), "JITTER": str(fault.jitter_ms), **interface}
        return LitmusExperiment(name="pod-network-latency", env=env)
    env = {"NETWORK_PACKET_LOSS_PERCENTAGE": f"{fault.percent:.0f}", **interface}
    return LitmusExperiment(name="pod-network-loss", env=env)


def _disk(disk: DiskIoStress) -> LitmusExperiment:
    env = {
        "FILESYSTEM_UTILIZATION_BYTES": str(disk.megabytes // GIGABYTE),  # it is named bytes, and counts gigabytes
        "FILESYSTEM_UTILIZATION_PERCENTAGE": "",
        "NUMBER_OF_WORKERS": str(disk.workers),
    }
    return LitmusExperiment(name="pod-io-stress", env=env | ({"VOLUME_MOUNT_PATH": disk.path} if disk.path else {}))


def _status(error: ExceptionInjection) -> LitmusExperiment:
    env = {
        "TARGET_SERVICE_PORT": str(error.port),
        "STATUS_CODE": str(error.status),
        "TOXICITY": f"{error.percent:.0f}",
        "MODIFY_RESPONSE_BODY": "true",
        "NETWORK_INTERFACE": "eth0",
    }
    return LitmusExperiment(name="pod-http-status-code", env=env)
