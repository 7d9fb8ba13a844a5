"""The objects of a guard, as bodies of requests: pure functions. The same fault gives the same bodies.

The pod fits Pod Security "restricted". With `node` it runs there, sees its processes and may end them: only a namespace
that is meant for that takes such a pod.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from chaos.fault_types import Provider
from chaos.manifests.naming import FAULT_LABEL, fault_name, object_name
from chaos.provider import FaultId
from cluster.kubernetes.pod import hardened
from model.json_values import JsonObject

ACCOUNT = "assay-fault-guard"
"""The service account of guards: deploy/kubernetes/chaos-rbac.yaml."""
GUARD = "guard"
PROGRAM = "/program"
PARTS = ("api_client", "container_actions", "guard", "guard_action", "guard_actions")
BEGIN = f"import sys; sys.path.append('{PROGRAM}'); from cluster.faults.kubernetes.guard import main; main()"
BACKOFF_LIMIT = 50
"""How often a guard that died is started again. It never gives up for a reason of its own."""
KEPT_SECONDS = 3600
"""So long the Job of a fault stays after its end, if no worker comes to remove it."""
GRACE_SECONDS = 30
"""A guard whose pod is deleted reverts within this time."""
Body = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a guard shall do: `kind` and `action` for one pod. `seconds` is the time until it reverts by itself.

    With `node` the guard runs on that node with its PID namespace. It takes back `tries` times, once a second, before
    what is left is a residual. `start_seconds` is what an operator may take to inject: the time begins after it.
    """

    fault: FaultId
    namespace: str
    pod: str
    uid: str
    kind: str
    action: Mapping[str, object]
    seconds: float
    heartbeat_seconds: float
    node: str | None = None
    provider: Provider = Provider.KUBERNETES
    tries: int = 60
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where guards run. `records` is the namespace of their records. It has an image with Python 3.10 or newer."""

    namespace: str
    records: str
    image: str


def records(fault: FaultId, data: Mapping[str, str]) -> Body:
    """Return the ConfigMap of a fault."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": object_name(fault), "labels": _labels(fault), "annotations": {FAULT_LABEL: fault}},
        "data": dict(data),
    }


def spec_text(order: Order) -> str:
    """Return what the guard reads."""
    spec = {
        "name": fault_name(order.fault),
        "namespace": order.namespace,
        "pod": order.pod,
        "uid": order.uid,
        "kind": order.kind,
        "action": dict(order.action),
        "seconds": order.seconds,
        "heartbeat_seconds": order.heartbeat_seconds,
        "node": order.node,
        "provider": order.provider,
        "tries": order.tries,
        "start_seconds": order.start_seconds,
    }
    return json.dumps(spec, sort_keys=True)


def program() -> Body:
    """Return the ConfigMap with the program. Its name follows from the text, so that versions live side by side."""
    folder = files("cluster.faults.kubernetes")
    texts = {f"{part}.py": folder.joinpath(f"{part}.py").read_text(encoding="utf-8") for part in PARTS}
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:12]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"assay-guard-{digest}", "labels": {"app.kubernetes.io/part-of": "assay"}},
        "immutable": True,
        "data": texts,
    }


def job(fault: FaultId, site: Site, program_name: str, node: str | None) -> Body:
    """Return the Job."""
    path = f"/api/v1/namespaces/{site.records}/configmaps/{object_name(fault)}"
    container: Body = {
        "name": GUARD,
        "image": site.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-I", "-S", "-B", "-c", BEGIN, path],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "program", "mountPath": PROGRAM, "readOnly": True}],
    }
    pod = hardened("", _labels(fault), container)
    spec: Body = {**pod["spec"]}  # type: ignore[dict-item]
    spec |= {
        "serviceAccountName": ACCOUNT,
        "automountServiceAccountToken": True,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "volumes": [{"name": "program", "configMap": {"name": program_name, "items": _items()}}],
    }
    spec |= _on_node(spec, node) if node else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": object_name(fault), "labels": _labels(fault)},
        "spec": {
            "backoffLimit": BACKOFF_LIMIT,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": _labels(fault)}, "spec": spec},
        },
    }


def _labels(fault: FaultId) -> dict[str, str]:
    return {FAULT_LABEL: fault_name(fault), "app.kubernetes.io/part-of": "assay"}


def _items() -> list[JsonObject]:
    return [{"key": f"{part}.py", "path": f"cluster/faults/kubernetes/{part}.py"} for part in PARTS]


def _on_node(spec: Mapping[str, object], node: str) -> Body:
    """Return what makes the pod see and end the processes of a node, and nothing more."""
    containers: list[Body] = spec["containers"]  # type: ignore[assignment]
    rights = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["KILL"]},
    }
    return {
        "hostPID": True,
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"runAsUser": 0, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [one | {"securityContext": rights} for one in containers],
    }
