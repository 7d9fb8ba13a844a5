"""The newest state of each of our pods, and who wants to know of its changes: one watch for all who wait."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cluster.kubernetes import names
from cluster.kubernetes.api_objects import Pod
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.list_watch import ListWatch, Source


class PodWatch:
    """The pods of one namespace, as the API server told them last. Begun at the first question."""

    def __init__(self, connection: Connection) -> None:
        path = f"/api/v1/namespaces/{connection.access.namespace}/pods"
        source = Source(title="pods", path=path, kind=Pod, query=(("labelSelector", names.SELECTOR),))
        self._watch: ListWatch[Pod] = ListWatch(connection, source, self)
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._ears: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)

    def pod(self, name: str) -> Pod | None:
        """Return the newest known state of a pod, None where none is known: the server may know more."""
        with self._lock:
            return self._pods.get(name)

    def seen(self, pod: Pod) -> None:
        """Take in a state that somebody has read."""
        with self._lock:
            known = self._pods.get(pod.metadata.name)
            if known is None or known.metadata.uid != pod.metadata.uid or _version(known) < _version(pod):
                self._pods[pod.metadata.name] = pod

    def forget(self, name: str) -> None:
        """Drop a pod that is gone."""
        with self._lock:
            self._pods.pop(name, None)

    @contextmanager
    def listening(self, name: str) -> Iterator[asyncio.Event]:
        """Give an event of the running loop that is set at each change of a pod."""
        ear = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._ears[name].add(ear)
            self._watch.begin()
        try:
            yield ear[1]
        finally:
            with self._lock:
                self._ears[name].discard(ear)
                if not self._ears[name]:
                    del self._ears[name]

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def listed(self, objects: Sequence[Pod]) -> None:
        """Take these for all pods."""
        with self._lock:
            known, self._pods = self._pods, {pod.metadata.name: pod for pod in objects}
            for name in known.keys() | self._pods.keys():
                self._tell(name)

    def changed(self, one: Pod) -> None:
        """Take in a pod, unless a reader was faster."""
        name = one.metadata.name
        with self._lock:
            known = self._pods.get(name)
            if known is None or _version(known) < _version(one):
                self._pods[name] = one
            self._tell(name)

    def deleted(self, one: Pod) -> None:
        """Drop a pod."""
        with self._lock:
            self._pods.pop(one.metadata.name, None)
            self._tell(one.metadata.name)

    def _tell(self, name: str) -> None:
        for loop, event in self._ears.get(name, ()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


def _version(pod: Pod) -> int:
    """Return the version of a state as a number. All versions of one cluster's server are numbers that rise."""
    version = pod.metadata.resource_version
    return int(version) if version.isdigit() else 0
