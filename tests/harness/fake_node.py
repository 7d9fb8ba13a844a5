"""A node without a kubelet: the test says what becomes of the pods that kube-scheduler binds to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection

BEAT_SECONDS = 1.0
ROOM = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "500Gi", "pods": "110"}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}


@contextmanager
def evicting(access: ClusterAccess, name: str, labels: dict[str, str]) -> Iterator[None]:
    """Have a node that evicts each pod of the namespace as soon as it is bound to it, as a node without memory does."""
    connection, done = Connection(access), threading.Event()
    connection.create("/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
    beating = threading.Thread(target=_be_kubelet, args=(connection, name, done))
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join()
        connection.delete(f"/api/v1/nodes/{name}", grace=0)
        connection.close()


def _be_kubelet(connection: Connection, name: str, done: threading.Event) -> None:
    while not done.wait(BEAT_SECONDS):
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")  # noqa: TID251  a kubelet's clock
        ready = {"type": "Ready", "status": "True", "reason": "Tested", "lastHeartbeatTime": now}
        status = {"conditions": [ready | {"lastTransitionTime": now}], "allocatable": ROOM, "capacity": ROOM}
        try:
            connection.patch(f"/api/v1/nodes/{name}/status", {"status": status})
            _evict_all(connection, name)
        except ApiError:
            continue


def _evict_all(connection: Connection, name: str) -> None:
    inside = f"/api/v1/namespaces/{connection.access.namespace}/pods"
    bound = json.loads(connection.get(inside, ("fieldSelector", f"spec.nodeName={name},status.phase=Pending")))
    for pod in bound["items"]:
        connection.patch(f"{inside}/{pod['metadata']['name']}/status", {"status": EVICTED})
