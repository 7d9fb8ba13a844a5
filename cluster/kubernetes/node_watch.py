"""What the nodes of a cluster have left, kept up to date by one watch of its nodes and one of its pods.

Of a pod only its node and its amounts are kept, so that a cluster of 100,000 pods costs a worker some megabytes. A node
is computed anew when it or a pod on it has changed, and stays the same object where that made no difference.
"""

import threading
from collections import defaultdict
from collections.abc import Sequence

from cluster.backend import UnavailableError
from cluster.kubernetes.api_objects import ApiNode, Pod
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.list_watch import ListWatch, Source
from cluster.kubernetes.node_facts import Use, left_of, node_of, use_of
from model.ids import NodeName
from scheduler.values.node import Node

FIRST_SECONDS = 60.0
"""How long the first lists may take."""
UNFINISHED = ("fieldSelector", "status.phase!=Succeeded,status.phase!=Failed")


class NodeWatch:
    """The nodes of a cluster with what others have left of them. Begun at the first question."""

    def __init__(self, connection: Connection) -> None:
        self._access = connection.access
        self._lock = threading.Lock()
        self._uses = _Uses()
        self._whole: dict[NodeName, Node] = {}
        self._left: dict[NodeName, Node] = {}
        self._stale: set[NodeName] = set()
        self._read: tuple[Node, ...] | None = None
        nodes = Source(title="nodes", path="/api/v1/nodes", kind=ApiNode)
        pods = Source(title="pods of all", path="/api/v1/pods", kind=Pod, query=(UNFINISHED,))
        self._watches: tuple[ListWatch[ApiNode], ListWatch[Pod]] = (
            ListWatch(connection, nodes, _NodeChanges(self)),
            ListWatch(connection, pods, _PodChanges(self)),
        )

    def read(self) -> Sequence[Node]:
        """Return the nodes in order of name. It is the same value again if nothing has changed.

        Raises: UnavailableError while they are not known.
        """
        for watch in self._watches:
            watch.begin()
        for watch in self._watches:
            if not watch.wait(FIRST_SECONDS):
                raise UnavailableError(f"cluster {self._access.name} does not list its nodes in time")
            if watch.trouble:
                raise UnavailableError(watch.trouble)
        return self.left()

    def close(self) -> None:
        """End the watches."""
        for watch in self._watches:
            watch.close()

    def take_nodes(self, nodes: Sequence[ApiNode]) -> None:
        """Take these for all nodes."""
        whole = [node_of(node, self._access.name, self._access.gpu) for node in nodes if not _is_leaving(node)]
        with self._lock:
            self._stale |= self._whole.keys()
            self._whole = {node.name: node for node in whole}
            self._stale |= self._whole.keys()

    def take_node(self, node: ApiNode, *, gone: bool = False) -> None:
        """Take in a node as it is now."""
        whole = node_of(node, self._access.name, self._access.gpu)
        with self._lock:
            if gone or _is_leaving(node):
                self._whole.pop(whole.name, None)
            elif self._whole.get(whole.name) == whole:
                return  # a heartbeat
            else:
                self._whole[whole.name] = whole
            self._stale.add(whole.name)

    def take_pods(self, pods: Sequence[Pod]) -> None:
        """Take these for all pods."""
        uses = {_key(pod): use_of(pod, self._access.name, self._access.gpu) for pod in pods}
        with self._lock:
            for key in self._uses.keys() - uses.keys():
                self._stale |= self._uses.put(key, None)
            for key, use in uses.items():
                self._stale |= self._uses.put(key, use)

    def take_pod(self, pod: Pod, *, gone: bool = False) -> None:
        """Take in a pod as it is now."""
        use = None if gone else use_of(pod, self._access.name, self._access.gpu)
        with self._lock:
            self._stale |= self._uses.put(_key(pod), use)

    def left(self) -> Sequence[Node]:
        """Return what is left of the nodes by all that was taken in."""
        with self._lock:
            return self._brought_up()

    def _brought_up(self) -> Sequence[Node]:
        """Compute anew what is stale."""
        different = self._read is None
        for name in self._stale:
            whole, known = self._whole.get(name), self._left.get(name)
            if whole is None:
                different = self._left.pop(name, None) is not None or different
                continue
            left = left_of(whole, self._uses.on(name))
            if left != known:
                self._left[name] = left
                different = True
        self._stale.clear()
        if different or self._read is None:
            self._read = tuple(self._left[name] for name in sorted(self._left))
        return self._read


class _Uses:
    """What pods take of their nodes, by pod and by node."""

    def __init__(self) -> None:
        self._of: dict[str, Use] = {}
        self._on: dict[NodeName, dict[str, Use]] = defaultdict(dict)

    def keys(self) -> set[str]:
        """Return the pods that take something."""
        return set(self._of)

    def on(self, node: NodeName) -> list[Use]:
        """Return what pods take of a node."""
        return list(self._on.get(node, {}).values())

    def put(self, pod: str, use: Use | None) -> set[NodeName]:
        """Note what a pod takes; None: nothing. Return the nodes for which that makes a difference."""
        known = self._of.pop(pod, None)
        if use is not None:
            self._of[pod] = use
        if known == use:
            return set()
        if known is not None:
            del self._on[known.node][pod]
            if not self._on[known.node]:
                del self._on[known.node]
        if use is not None:
            self._on[use.node][pod] = use
        return {one.node for one in (known, use) if one is not None}


class _NodeChanges:
    """Tells a watch of nodes what has changed among the nodes."""

    def __init__(self, to: NodeWatch) -> None:
        self._to = to

    def listed(self, objects: Sequence[ApiNode]) -> None:
        self._to.take_nodes(objects)

    def changed(self, one: ApiNode) -> None:
        self._to.take_node(one)

    def deleted(self, one: ApiNode) -> None:
        self._to.take_node(one, gone=True)


class _PodChanges:
    """Tells a watch of nodes what has changed among the pods."""

    def __init__(self, to: NodeWatch) -> None:
        self._to = to

    def listed(self, objects: Sequence[Pod]) -> None:
        self._to.take_pods(objects)

    def changed(self, one: Pod) -> None:
        self._to.take_pod(one)

    def deleted(self, one: Pod) -> None:
        self._to.take_pod(one, gone=True)


def _key(pod: Pod) -> str:
    return f"{pod.metadata.namespace}/{pod.metadata.name}"


def _is_leaving(node: ApiNode) -> bool:
    return node.metadata.deletion_timestamp is not None
