"""One watch of our pods for all who wait, in one thread: the newest state of each pod, and who wants to know of it."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from cluster.backend import UnavailableError
from cluster.kubernetes import names
from cluster.kubernetes.api_objects import Pod, PodList, PodStatus, WatchedObject, WatchEvent
from cluster.kubernetes.connection import ApiError, Connection

PAUSE = 1.0
GONE = 410
"""The server has forgotten the version from which a watch was to go on: the list has to be read again."""

log = logging.getLogger("assay.kubernetes")


class PodWatch:
    """The pods of one namespace, as the API server told them last. Begun at the first question."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._path = f"/api/v1/namespaces/{connection.access.namespace}/pods"
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._ears: dict[str, set[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = defaultdict(set)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

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
            self._begin()
        try:
            yield ear[1]
        finally:
            with self._lock:
                self._ears[name].discard(ear)
                if not self._ears[name]:
                    del self._ears[name]

    def close(self) -> None:
        """End the watch."""
        self._closed.set()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="assay-pods", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        version = ""
        while not self._closed.is_set():
            try:
                version = self._follow(version or self._list())
            except (UnavailableError, ApiError, ValidationError) as failed:
                version = ""
                if not self._closed.is_set():
                    log.warning("the watch of the pods begins anew: %s", failed)
                self._closed.wait(PAUSE)

    def _list(self) -> str:
        """Read all our pods. Return the version from which a watch goes on."""
        listed = PodList.model_validate_json(self._connection.get(self._path, ("labelSelector", names.SELECTOR)))
        with self._lock:
            known, self._pods = self._pods, {pod.metadata.name: pod for pod in listed.items}
            for name in known.keys() | self._pods.keys():
                self._tell(name)
        return listed.metadata.resource_version

    def _follow(self, version: str) -> str:
        """Take in events until the server ends the watch. Return the version of the last one, "" to begin anew."""
        query = (("labelSelector", names.SELECTOR), ("resourceVersion", version))
        try:
            for line in self._connection.watch(self._path, *query):
                event = WatchEvent.model_validate_json(line)
                if event.type == "ERROR":
                    return ""
                version = event.object.metadata.resource_version
                if event.type != "BOOKMARK":
                    self._take(event.type, event.object)
        except ApiError as refused:
            if refused.status == GONE:
                return ""
            raise
        return version

    def _take(self, kind: str, seen: WatchedObject) -> None:
        name = seen.metadata.name
        with self._lock:
            if kind == "DELETED":
                self._pods.pop(name, None)
            elif isinstance(seen.status, PodStatus):
                pod = Pod(metadata=seen.metadata, spec=seen.spec, status=seen.status)
                known = self._pods.get(name)
                if known is None or _version(known) < _version(pod):  # a reader may have been faster
                    self._pods[name] = pod
            self._tell(name)

    def _tell(self, name: str) -> None:
        for loop, event in self._ears.get(name, ()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


def _version(pod: Pod) -> int:
    """Return the version of a state as a number. All versions of one cluster's server are numbers that rise."""
    version = pod.metadata.resource_version
    return int(version) if version.isdigit() else 0
