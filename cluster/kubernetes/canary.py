"""Finds out whether a cluster enforces network policies, with three small pods. It blocks: call it from a thread.

One pod listens. Two others try to connect to it: the policy of the first allows that, the policy of the second does
not. Only if the first one connects and the second one does not, policies are enforced.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cluster.backend import Fault, LaunchError, UnavailableError
from cluster.kubernetes import network, pod_facts, pod_paths
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.pod import hardened
from model.config import ImagePullPolicy

PORT = 8080
WAIT_SECONDS = 60.0
PAUSE = 0.5
CONNECT_SECONDS = 8
"""How long a pod tries: a listener that is not ready yet refuses, a policy mostly drops."""
CANARY = "canary"
ROLE = "assay.internal/canary"
LISTEN = f"import socket; s = socket.create_server(('', {PORT}))\nwhile True: s.accept()[0].close()"
CONNECT = f"""
import socket, sys, time
end = time.monotonic() + {CONNECT_SECONDS}
while True:
    try:
        socket.create_connection((sys.argv[1], {PORT}), timeout=2).close()
        break
    except OSError:
        if time.monotonic() > end:
            sys.exit(1)
        time.sleep(0.2)
"""


class Enforcement(StrEnum):
    """Whether network policies have an effect."""

    ENFORCED = "enforced"
    IGNORED = "ignored"
    UNKNOWN = "unknown"
    """Also the allowed connection failed, so the other one says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the pods have found out. `words` explain it."""

    enforcement: Enforcement
    words: str


class ImageError(UnavailableError):
    """The cluster cannot run the image in which tests run. Whoever added the cluster corrects the name."""


class Requirement:
    """Lets a test start only where policies were seen to be enforced, if the row of the cluster requires that."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._enforced = not connection.access.network_required

    def meet(self) -> None:
        """Return if it is met. Many may ask at once; the cluster is looked at once. Raises: LaunchError."""
        with self._lock:
            if self._enforced:
                return
            found = look(self._connection)
            self._enforced = found.enforcement is Enforcement.ENFORCED
            if not self._enforced:
                cluster = self._connection.access.name
                raise LaunchError(
                    Fault.INFRASTRUCTURE, f"cluster {cluster} must enforce network policies: {found.words}"
                )


def look(connection: Connection) -> Found:
    """Start the pods and return what they found. Raises: ApiError, ImageError, UnavailableError."""
    name = f"assay-canary-{secrets.token_hex(4)}"
    made: list[str] = []
    try:
        return _look(connection, name, made)
    finally:
        for path in reversed(made):
            connection.delete(path, grace=0)


def _look(connection: Connection, name: str, made: list[str]) -> Found:
    namespace, image = connection.access.namespace, connection.access.image
    pods = f"/api/v1/namespaces/{namespace}/pods"
    labels = {role: {ROLE: f"{name}-{role}"} for role in ("server", "allowed", "denied")}
    for body in _policies(name, labels):
        _make(connection, f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", body, made)
    server = _make(connection, pods, _pod(f"{name}-server", labels["server"], image, LISTEN), made)
    address = _until(connection, server, lambda pod: pod.status.pod_ip if pod_facts.runs(pod, CANARY) else "")
    clients = {
        role: _make(connection, pods, _pod(f"{name}-{role}", labels[role], image, CONNECT, address), made)
        for role in ("allowed", "denied")
    }
    ends = {role: _until(connection, path, _end) for role, path in clients.items()}
    return _judged(allowed=ends["allowed"] == "Succeeded", denied=ends["denied"] == "Succeeded")


def _judged(*, allowed: bool, denied: bool) -> Found:
    """Return what it means which of the two pods have connected."""
    if not allowed:
        words = "a pod cannot connect to another one, although its policy allows it: see the network plugin"
        return Found(enforcement=Enforcement.UNKNOWN, words=words)
    if denied:
        words = "network policies have no effect here: a test can connect to whatever its node reaches"
        return Found(enforcement=Enforcement.IGNORED, words=words)
    return Found(enforcement=Enforcement.ENFORCED, words="network policies are enforced")


def _policies(name: str, labels: Mapping[str, Mapping[str, str]]) -> list[network.Body]:
    to_server: network.Body = {"to": [{"podSelector": {"matchLabels": dict(labels["server"])}}]}
    server = network.policy(f"{name}-server", labels["server"], [])
    spec = {"podSelector": {"matchLabels": dict(labels["server"])}, "policyTypes": ["Ingress"], "ingress": [{}]}
    return [
        server | {"spec": spec},
        network.policy(f"{name}-allowed", labels["allowed"], [to_server]),
        network.policy(f"{name}-denied", labels["denied"], []),
    ]


def _pod(name: str, labels: Mapping[str, str], image: str, *words: str) -> network.Body:
    """Return a pod that runs a small program. It ends by itself if nobody removes it."""
    pull = str(ImagePullPolicy.IF_NOT_PRESENT)
    container: dict[str, object] = {
        "name": CANARY,
        "image": image,
        "imagePullPolicy": pull,
        "command": pod_paths.python(*words),
    }
    body = hardened(name, labels, container)
    return body | {"spec": {**body["spec"], "activeDeadlineSeconds": int(2 * WAIT_SECONDS)}}  # type: ignore[dict-item]


def _make(connection: Connection, place: str, body: network.Body, made: list[str]) -> str:
    """Create an object and return its path, which is added to `made`."""
    path = f"{place}/{body['metadata']['name']}"  # type: ignore[index]
    connection.create(place, body)
    made.append(path)
    return path


def _end(pod: Pod) -> str:
    return pod.status.phase if pod.status.phase in {"Succeeded", "Failed"} else ""


def _until(connection: Connection, path: str, answer: Callable[[Pod], str]) -> str:
    """Read a pod until it gives an answer. Raises: ImageError, UnavailableError after a minute."""
    for _ in range(round(WAIT_SECONDS / PAUSE)):
        pod = Pod.model_validate_json(connection.get(path))
        if found := answer(pod):
            return found
        waiting = pod_facts.state(pod, CANARY).waiting
        if waiting is not None and (refused := pod_facts.refused_start(connection.access.image, waiting)):
            raise ImageError(refused[1])
        if problem := pod_facts.unschedulable(pod):
            raise UnavailableError(f"the canary of network policies finds no node: {problem}")
        connection.closing.wait(PAUSE)
    raise UnavailableError(f"the canary of network policies did not get ready in {WAIT_SECONDS:g} s")
