"""Makes the pod of an attempt, as the body of a request: a pure function of the order and of the cluster's settings.

The pod fits Pod Security "restricted", and more: its root is read-only, and it has no token and no service links.
Three containers share one volume. `prepare` waits until a worker has put the content in place. `test` runs the test
under our shim. `keeper` holds the results until a worker has fetched them (D10).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.backend import AttemptId, LaunchOrder
from cluster.kubernetes import names, pod_paths
from cluster.kubernetes.pod_paths import KEEPER, PREPARE, TEST, USER
from model import secret
from model.config import ExecutionConfig, ImagePullPolicy, NodeSelectorTerm, Toleration, VolumeMount
from model.quantity import bytes_text, cpu_text, milli, whole
from model.resources import DEFAULT_GPU

GRACE_SECONDS = 10.0
"""Between TERM and KILL, when a test's time is up or it is cancelled."""
POD_GRACE_SECONDS = 15
"""The shim needs a moment after its test is killed."""
START_SECONDS = 900
"""What pulling an image and preparing the content may take."""
BACKSTOP_SECONDS = 600
"""How long a worker may be away after the time limit of the test, before the kubelet ends the pod (D10)."""
DISK = "4Gi"
"""The scratch disk of a test that names no size."""
KEEPER_CPU_MILLI = 1
KEEPER_MEMORY = 16 * 2**20
KEEPER_LIMIT = "128Mi"
PREPARE_LIMIT = 512 * 2**20
"""Memory that an installation may use, even if the test itself may use less."""

RANK_WEIGHTS = (100, 20, 10, 5, 2)
"""By how much the candidates are preferred, best first. kube-scheduler adds its own scores: the first is far ahead."""

Body = dict[str, object]
"""A part of a request's body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSite:
    """Where the pod is made, and by what it is filled in. `nodes` are its candidates by their names in the cluster."""

    namespace: str
    nodes: tuple[str, ...]
    image: str
    gpu: str = DEFAULT_GPU


def pod_of(order: LaunchOrder, site: PodSite, commit: str | None = None) -> Body:
    """Return the pod. `restricted.problems` says whether the order asks for something that no pod may have."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": names.pod_name(order.attempt),
            "namespace": site.namespace,
            "labels": names.labels(order.attempt),
            "annotations": _annotations(order, commit),
            "finalizers": [names.FINALIZER],
        },
        "spec": _spec(order, site),
    }


def _annotations(order: LaunchOrder, commit: str | None) -> dict[str, str]:
    own = {names.STAGE: ""}
    own |= {names.SECRETS: "1"} if order.secrets else {}
    own |= {names.NETWORK: "1"} if order.config.network.targets else {}
    return own | ({names.COMMIT: commit} if commit else {})


def tombstone(attempt: AttemptId) -> Body:
    """Return a pod that is never scheduled. It takes the name, so that the attempt can never start."""
    body = hardened(names.pod_name(attempt), names.labels(attempt), {"name": TEST, "image": "none.invalid/none"})
    body["metadata"]["finalizers"] = [names.FINALIZER]  # type: ignore[index]
    return body | {"spec": {**body["spec"], "schedulingGates": [{"name": names.GATE}]}}  # type: ignore[dict-item]


def hardened(name: str, labels: Mapping[str, str], container: Body) -> Body:
    """Return a pod with one container that fits Pod Security "restricted"."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "securityContext": _POD_SECURITY,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "containers": [container | {"securityContext": _CONTAINER_SECURITY}],
        },
    }


def secret_of(order: LaunchOrder, namespace: str) -> Body | None:
    """Return the Secret with the values that the test is given, None if it is given none.

    Each variable that refers to a secret has an entry with its whole text. The values stand beside them under the
    names of their secrets, so that a worker that adopts the test knows what to mask.
    """
    if not order.secrets:
        return None
    variables = {f"env.{name}": secret.fill(order.env[name], order.secrets) for name in secret_variables(order)}
    values = {f"value.{name}": value for name, value in order.secrets.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.pod_name(order.attempt),
            "namespace": namespace,
            "labels": names.labels(order.attempt),
        },
        "immutable": True,
        "stringData": variables | values,
    }


def secret_variables(order: LaunchOrder) -> list[str]:
    """Return the variables that refer to secrets, in order."""
    return sorted(name for name, text in order.env.items() if secret.names([text]))


_POD_SECURITY: Body = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Body = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "privileged": False,
}


def _spec(order: LaunchOrder, site: PodSite) -> Body:
    disk = order.resources.ephemeral_storage or DISK
    spec: Body = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": order.config.timeout + START_SECONDS + BACKSTOP_SECONDS,
        "terminationGracePeriodSeconds": POD_GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD_SECURITY,
        "affinity": {"nodeAffinity": _node_affinity(order, site.nodes)},
        "nodeSelector": {k: v for k, v in order.config.node_selector.items() if k != names.CLUSTER},
        "tolerations": [_toleration(one) for one in order.config.tolerations],
        "volumes": [
            {"name": "assay", "emptyDir": {"sizeLimit": disk}},
            {"name": "tmp", "emptyDir": {"sizeLimit": disk}},
            *map(_volume, order.config.volumes),
        ],
        "initContainers": [_prepare(order, site)],
        "containers": [_test(order, site), _keeper(site)],
    }
    return spec | _classes(order.config)


def _classes(config: ExecutionConfig) -> Body:
    """Return the account and the classes that a request names. A class may not make the pod evict another one."""
    named: Body = {}
    if config.service_account:
        named["serviceAccountName"] = config.service_account
    if config.priority_class:
        named |= {"priorityClassName": config.priority_class, "preemptionPolicy": "Never"}
    if config.runtime_class:
        named["runtimeClassName"] = config.runtime_class
    return named


def _prepare(order: LaunchOrder, site: PodSite) -> Body:
    requests = _requests(order, site.gpu)
    limit = max(PREPARE_LIMIT, order.resources.memory_limit_bytes() or 0, whole(str(requests["memory"])))
    resources = {"requests": requests, "limits": _limits(order, site.gpu) | {"memory": bytes_text(limit)}}
    container = _container(PREPARE, site.image, pod_paths.python(pod_paths.WAIT))
    return container | {"imagePullPolicy": str(order.config.image_pull_policy), "resources": resources}


def _test(order: LaunchOrder, site: PodSite) -> Body:
    name = names.pod_name(order.attempt)
    variables = [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": f"env.{variable}"}}}
        for variable in secret_variables(order)
    ]
    command = pod_paths.python(pod_paths.BEGIN, f"{order.attempt.execution_id}/{order.attempt.number}")
    container = _container(TEST, site.image, command)
    mounts = [*_MOUNTS, *map(_mount, order.config.volumes)]
    resources = {"requests": _requests(order, site.gpu), "limits": _limits(order, site.gpu)}
    return container | {"env": variables, "resources": resources, "volumeMounts": mounts}


def _keeper(site: PodSite) -> Body:
    requests = {"cpu": cpu_text(KEEPER_CPU_MILLI), "memory": bytes_text(KEEPER_MEMORY), "ephemeral-storage": "0"}
    limits = {"memory": KEEPER_LIMIT, "ephemeral-storage": DISK}
    keeper = _container(KEEPER, site.image, pod_paths.python(pod_paths.KEEP))
    return keeper | {"resources": {"requests": requests, "limits": limits}}


_MOUNTS: tuple[Body, ...] = ({"name": "assay", "mountPath": pod_paths.ROOT}, {"name": "tmp", "mountPath": "/tmp"})  # noqa: S108  a volume of the pod's own


def _container(name: str, image: str, command: list[str]) -> Body:
    """Return a container. Only the first one, `prepare`, may pull: all of them run the image that it has pulled."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": str(ImagePullPolicy.IF_NOT_PRESENT),
        "command": command,
        "workingDir": "/",
        "securityContext": _CONTAINER_SECURITY,
        "volumeMounts": list(_MOUNTS),
    }


def _requests(order: LaunchOrder, gpu: str) -> dict[str, str]:
    """Return what the test requests: with the keeper's share it is what the gate has counted."""
    asked = order.resources
    requests = {
        "cpu": cpu_text(max(1, milli(asked.cpu_request) - KEEPER_CPU_MILLI)),
        "memory": bytes_text(max(KEEPER_MEMORY, whole(asked.memory_request) - KEEPER_MEMORY)),
        "ephemeral-storage": asked.ephemeral_storage or "0",
    }
    return requests | ({gpu: str(asked.gpu_request)} if asked.gpu_request else {})


def _limits(order: LaunchOrder, gpu: str) -> dict[str, str]:
    asked = order.resources
    limits = {"ephemeral-storage": asked.ephemeral_storage or DISK}
    if asked.cpu_limit:
        limits["cpu"] = asked.cpu_limit
    if asked.memory_limit:
        limits["memory"] = asked.memory_limit
    return limits | ({gpu: str(asked.gpu_request)} if asked.gpu_request else {})


def _node_affinity(order: LaunchOrder, nodes: tuple[str, ...]) -> Body:
    """Require one of the candidates, each together with each term of the user: terms are alternatives (D11).

    What the user prefers has decided their order already, so the pod prefers them by rank and by nothing else.
    """
    own = [_named(node) for node in nodes]
    terms = [one | _term(term) for one in own for term in order.config.affinity.required] or own
    affinity: Body = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    if len(own) > 1:
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": weight, "preference": one} for weight, one in zip(RANK_WEIGHTS, own, strict=False)
        ]
    return affinity


def _named(node: str) -> Body:
    """Return a term that one node fulfils. A requirement of `matchFields` takes exactly one value."""
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}


def _term(term: NodeSelectorTerm) -> Body:
    return {
        "matchExpressions": [
            {"key": one.key, "operator": str(one.operator), "values": list(one.values)}
            for one in term.match_expressions
            if one.key != names.CLUSTER  # the gate has looked at it: no node carries it
        ]
    }


def _toleration(one: Toleration) -> Body:
    given: Body = {"key": one.key, "operator": str(one.operator), "value": one.value}
    if one.effect is not None:
        given["effect"] = str(one.effect)
    if one.toleration_seconds is not None:
        given["tolerationSeconds"] = one.toleration_seconds
    return given


def _mount(mount: VolumeMount) -> Body:
    given: Body = {"name": mount.name, "mountPath": mount.mount_path, "readOnly": mount.read_only}
    return given | ({"subPath": mount.sub_path} if mount.sub_path else {})


def _volume(mount: VolumeMount) -> Body:
    if mount.config_map:
        return {"name": mount.name, "configMap": {"name": mount.config_map}}
    if mount.secret:
        return {"name": mount.name, "secret": {"secretName": mount.secret}}
    if mount.claim:
        return {"name": mount.name, "persistentVolumeClaim": {"claimName": mount.claim}}
    return {"name": mount.name, "emptyDir": {"sizeLimit": DISK}}
