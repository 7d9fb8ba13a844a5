"""The pods of a namespace as candidates, and where its services answer. It blocks: call it from a thread."""

import re

from pydantic import Field

from chaos.target import is_protected
from chaos.targets import Candidate, Target, is_opted_in
from cluster.faults.kubernetes.target_check import is_ours
from cluster.kubernetes.api_objects import ApiNamespace, ApiObject, Meta, Pod, PodList
from cluster.kubernetes.connection import Connection

SERVICE_LABELS = ("app.kubernetes.io/name", "app", "k8s-app")
"""Which of its labels says of which service a pod is, the first one that it has; else the name of its controller."""
HEADLESS = {"", "None"}
_HASH = re.compile(r"-[0-9a-z]{5,10}$")


class ServicePort(ApiObject):
    """A port of a service."""

    port: int


class ServiceSpec(ApiObject):
    """Where a service answers."""

    cluster_ip: str = Field(default="", alias="clusterIP")
    ports: tuple[ServicePort, ...] = ()


class Service(ApiObject):
    """A service."""

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()


class ServiceList(ApiObject):
    """Services."""

    items: tuple[Service, ...] = ()


def candidates(connection: Connection, namespace: str) -> list[Candidate]:
    """Return the pods of a namespace that are not ended, in order. Raises: ApiError, UnavailableError."""
    listed = connection.get(f"/api/v1/namespaces/{namespace}/pods")
    space = ApiNamespace.model_validate_json(connection.get(f"/api/v1/namespaces/{namespace}"))
    pods = [pod for pod in PodList.model_validate_json(listed).items if _lives(pod)]
    ours = is_protected(namespace) or namespace == connection.access.namespace
    found = [_candidate(pod, space, ours=ours) for pod in pods]
    return sorted(found, key=lambda one: one.target)


def _candidate(pod: Pod, space: ApiNamespace, *, ours: bool) -> Candidate:
    meta = pod.metadata
    return Candidate(
        target=Target(place=space.metadata.name, service=service_of(pod), name=meta.name, identity=meta.uid),
        labels=dict(meta.labels),
        opted_in=is_opted_in(meta.labels, space.metadata.labels),
        ours=ours or is_ours(pod),
        ready=any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions),
    )


def addresses(connection: Connection, namespace: str) -> frozenset[str]:
    """Return where the services of a namespace answer, as `host:port`. Raises: ApiError, UnavailableError."""
    listed = ServiceList.model_validate_json(connection.get(f"/api/v1/namespaces/{namespace}/services"))
    found = set()
    for service in listed.items:
        name = f"{service.metadata.name}.{namespace}"
        hosts = {name, f"{name}.svc", f"{name}.svc.cluster.local", service.spec.cluster_ip} - HEADLESS
        found |= {f"{host}:{port.port}" for host in hosts for port in service.spec.ports}
    return frozenset(found)


def service_of(pod: Pod) -> str:
    """Return the service that a pod belongs to."""
    labels = pod.metadata.labels
    named = next((labels[name] for name in SERVICE_LABELS if labels.get(name)), None)
    return named or _HASH.sub("", _HASH.sub("", pod.metadata.name))


def _lives(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase in {"Pending", "Running"}
