"""What all actions of a guard in a cluster have: their values, the target, and the label of what they touch."""

import socket
from abc import ABC, abstractmethod
from typing import Any, ClassVar
from urllib.parse import quote

from cluster.faults.kubernetes.api_client import Api, Body

CONNECT_SECONDS = 1.0


class NotPossibleError(Exception):
    """The fault cannot be injected here. The message says why, and what to do."""


class Action(ABC):
    """One kind of action. `effect` counts what it was seen to do."""

    label: ClassVar[str] = "assay.dev/fault-target"

    def __init__(self, api: Api, spec: Body) -> None:
        self.api = api
        self.spec = spec
        self.name = str(spec["name"])
        """The name of the fault as the value of a label."""
        self.values: dict[str, Any] = dict(spec["action"])
        self.place = f"/api/v1/namespaces/{spec['namespace']}/pods"
        self.effect: dict[str, float] = {}

    @abstractmethod
    def begin(self) -> None:
        """Inject. Raises: NotPossibleError, RefusedError, AwayError."""

    def step(self) -> None:  # noqa: B027  most actions have nothing to do meanwhile
        """Do what is to be done now and then while the fault is held. Raises: RefusedError, AwayError."""

    @abstractmethod
    def end(self) -> list[str]:
        """Take back, and return what is left. Raises: RefusedError, AwayError."""

    def unlabel(self) -> list[str]:
        """Remove the label of this fault from the pods that have it."""
        for pod in pods_of(self.api, self.place, f"{self.label}={self.name}"):
            body = {"metadata": {"uid": pod["metadata"]["uid"], "labels": {self.label: None}}}
            self.api.patch(f"{self.place}/{pod['metadata']['name']}", body)
        return []

    @staticmethod
    def reaches(address: tuple[str, int]) -> bool:
        """Say whether a connection to this address is made."""
        try:
            socket.create_connection(address, CONNECT_SECONDS).close()
        except OSError:
            return False
        return True


def target_pod(api: Api, spec: Body) -> Body:
    """Return the target. Raises: NotPossibleError if it is another pod by now, RefusedError, AwayError."""
    pod = api.find(f"/api/v1/namespaces/{spec['namespace']}/pods/{quote(spec['pod'])}")
    if pod is None or pod["metadata"]["uid"] != spec["uid"]:
        raise NotPossibleError(f"{spec['pod']} is another pod than the one that was resolved: resolve again")
    return pod


def pods_of(api: Api, place: str, labels: str = "") -> list[Body]:
    """Return the pods of a namespace. Raises: RefusedError, AwayError."""
    query = {"labelSelector": labels} if labels else {}
    items: list[Body] = api.get(place, **query)["items"]
    return items
