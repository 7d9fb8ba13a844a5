"""What a guard does in a cluster, one class for each kind of action: begin, step while it is held, end.

`end` takes back and returns what is left; it may be called again and again, also by a guard that never began.
"""

import time

from cluster.faults.kubernetes.api_client import Api, Body, RefusedError
from cluster.faults.kubernetes.container_actions import Stress, Term
from cluster.faults.kubernetes.guard_action import Action, NotPossibleError, pods_of, target_pod

__all__ = ["Action", "NotPossibleError", "action_of"]
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
CONFLICT = 409
FORCED = "chaos-mesh.chaos-mesh.org/cleanFinalizer"
PAUSE_SECONDS = 0.5
"""Between two deletions: the controller makes a new pod at once."""


class Delete(Action):
    """Deletes a pod, and each successor as soon as it has a node, unless `once`.

    A successor is a pod of the same controller that was not there at the beginning. It is claimed by a label, so that
    two guards never take the same one, and each holds down as many pods as it was told to: one. It is deleted before
    its containers run: a pod that is being deleted goes on to serve while it is the only one that could.
    """

    def begin(self) -> None:
        """Delete the target. Raises: NotPossibleError, RefusedError, AwayError."""
        pod = target_pod(self.api, self.spec)
        self._owner = _controller(pod)
        if not self._owner:
            raise NotPossibleError(f"{self.spec['pod']} has no controller that would bring it back: it is not deleted")
        self._there = {one["metadata"]["uid"] for one in pods_of(self.api, self.place)}
        self._claimed = ""
        self._delete(pod, int(self.values["grace_seconds"]))

    def step(self) -> None:
        """Delete the successor. Raises: RefusedError, AwayError."""
        if self.values["once"] or time.monotonic() < self._next:
            return
        new = [one for one in pods_of(self.api, self.place) if self._is_successor(one)]
        mine = [one for one in new if _claim(one) == self.name]
        free = [one for one in new if not _claim(one)]
        running = any(one["metadata"]["uid"] == self._claimed for one in mine)
        for pod in sorted(free, key=_age)[: 0 if running else 1]:
            mine += [pod] if self._take(pod) else []
        for pod in mine:
            if pod["spec"].get("nodeName"):
                self._delete(pod, min(int(self.values["grace_seconds"]), 1))

    def end(self) -> list[str]:
        """Let go of a successor that was claimed and not yet deleted."""
        return self.unlabel()

    def _is_successor(self, pod: Body) -> bool:
        meta = pod["metadata"]
        fresh = meta["uid"] not in self._there and "deletionTimestamp" not in meta
        return fresh and _controller(pod) == self._owner

    def _take(self, pod: Body) -> bool:
        """Claim a pod over the version that was read. Return whether it is claimed now."""
        meta = pod["metadata"]
        change = {"resourceVersion": meta["resourceVersion"], "labels": {self.label: self.name}}
        try:
            self.api.send("PATCH", f"{self.place}/{meta['name']}", {"metadata": change})
        except RefusedError as refused:
            if refused.status in {CONFLICT, 404}:
                return False
            raise
        self._claimed = meta["uid"]
        return True

    def _delete(self, pod: Body, grace: int) -> None:
        meta = pod["metadata"]
        body = {"gracePeriodSeconds": grace, "preconditions": {"uid": meta["uid"]}}
        try:
            self.api.send("DELETE", f"{self.place}/{meta['name']}", body)
        except RefusedError as refused:
            if refused.status in {CONFLICT, 404}:
                return
            raise
        self._next = time.monotonic() + PAUSE_SECONDS
        self.effect["ended"] = self.effect.get("ended", 0) + 1
        self._there.add(meta["uid"])


class Policy(Action):
    """Labels the pod and creates a network policy for the label. Connects to the pod, to see whether it is cut off."""

    def begin(self) -> None:
        """Label the pod, then create the policy. Raises: NotPossibleError, RefusedError, AwayError."""
        pod = target_pod(self.api, self.spec)
        self._address = _address(pod)
        self.effect["reached_before"] = int(self.reaches(self._address))
        meta = {"uid": pod["metadata"]["uid"], "labels": {self.label: self.name}}
        self.api.send("PATCH", f"{self.place}/{pod['metadata']['name']}", {"metadata": meta})
        self.api.send("POST", self._policies(), self.values["manifest"])

    def step(self) -> None:
        """Count the connections that were cut."""
        if self.effect["reached_before"] and not self.reaches(self._address):
            self.effect["cut"] = self.effect.get("cut", 0) + 1

    def end(self) -> list[str]:
        """Delete the policy, and remove the label."""
        path = f"{self._policies()}/{self.values['manifest']['metadata']['name']}"
        self.api.send_if_there("DELETE", path, {})
        left = ["its network policy is still there"] if self.api.find(path) else []
        return left + self.unlabel()

    def _policies(self) -> str:
        return POLICIES.format(self.spec["namespace"])


class Custom(Action):
    """Creates an object of an operator, which injects. The provider looks what the operator makes of it."""

    def begin(self) -> None:
        """Create the object. Raises: RefusedError, AwayError."""
        self.api.send("POST", self.values["path"], self.values["manifest"])
        self.effect["created"] = 1

    @property
    def path(self) -> str:
        """The path of the object in the API."""
        return f"{self.values['path']}/{self.values['manifest']['metadata']['name']}"

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return f"{self.values['manifest']['kind']} {self.path.rpartition('/')[2]}"


class Engine(Custom):
    """An object of Litmus, which is stopped and stays. Stopped is what the operator says, not what we asked for.

    An engine that no operator has taken up will never say so: it is stopped, and then deleted.
    """

    def end(self) -> list[str]:
        """Stop it, and say whether it has ended."""
        found = self.api.find(self.path)
        status = (found.get("status") or {}).get("engineStatus", "") if found else ""
        if found is None or status in {"stopped", "completed"}:
            return []
        self.api.patch(self.path, {"spec": {"engineState": "stop"}})
        if not status:
            self.api.send_if_there("DELETE", self.path, {})
        return [f"the {self.words} is {status or 'not taken up by an operator'}, and has not ended"]


class Mesh(Custom):
    """An object of Chaos Mesh, which is deleted. Its finalizer waits until everything is recovered."""

    def end(self) -> list[str]:
        """Delete it, and say whether it is gone. Who removes its finalizer by force leaves the fault."""
        found = self.api.find(self.path)
        if found is not None:
            annotations = found["metadata"].get("annotations") or {}
            self.effect["forced"] = int(annotations.get(FORCED) == "forced")
            self.api.send_if_there("DELETE", self.path, {})
            return [f"the {self.words} is still there"]
        if self.effect.get("forced"):
            return [f"the finalizer of the {self.words} was removed by force, and nothing says that it was recovered"]
        return []


def action_of(api: Api, spec: Body) -> Action:
    """Return the action of a specification. Raises: NotPossibleError if there is none of its kind."""
    kinds: dict[str, type[Action]] = {
        "delete": Delete,
        "term": Term,
        "stress": Stress,
        "policy": Policy,
        "engine": Engine,
        "mesh": Mesh,
    }
    return kinds[spec["kind"]](api, spec)


def _controller(pod: Body) -> str:
    """Return the UID of what brings the pod back, nothing if nothing does."""
    for owner in pod["metadata"].get("ownerReferences", []):
        if owner.get("controller") and owner["kind"] != "Job":
            return str(owner["uid"])
    return ""


def _claim(pod: Body) -> str:
    return str(pod["metadata"].get("labels", {}).get(Action.label, ""))


def _age(pod: Body) -> tuple[str, str]:
    return pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]


def _address(pod: Body) -> tuple[str, int]:
    """Return an address at which the pod listens, as far as it says so; port 0 if it does not."""
    ports = [port for one in pod["spec"]["containers"] for port in one.get("ports", [])]
    tcp = [int(port["containerPort"]) for port in ports if port.get("protocol", "TCP") == "TCP"]
    return str(pod["status"].get("podIP", "")), next(iter(tcp), 0)
