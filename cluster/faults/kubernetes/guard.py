"""The guard of a fault in a cluster: the program of a Job that injects one fault, holds it, and takes it back.

A ConfigMap has what it shall do (`spec`), what it did (`state`), the worker's sign of life (`heartbeat`), and whether
it shall end (`ask`). It reverts when the fault expires, when it is asked to, and when the heartbeat has not changed for
too long by its own clock, so clocks need not agree. An operator may take `start_seconds` until it injects; the time of
the fault begins when the worker notes that it has. While the API server is away it can neither read a heartbeat nor
revert: it tries again until both are done.

It writes its first state only over the version that it has read. So a fault is injected once, and one that was reverted
before it began never begins. If the guard dies, its Job starts it again, and it finds a state: then it only reverts.
"""
# ruff: noqa: TID251
# a process of its own reads the clock

import json
import os
import signal
import sys
import time
from typing import Any

from cluster.faults.kubernetes.api_client import CONFLICT, Api, AwayError, Body, RefusedError
from cluster.faults.kubernetes.guard_actions import Action, NotPossibleError, action_of

TICK = 0.25
STATE_SECONDS = 1.0
"""How often its ConfigMap is read, and written if the effect has changed."""
REVERT_TRIES = 60
"""How often it takes back, once a second, before what is left becomes a residual."""


class Guard:
    """One fault."""

    def __init__(self, api: Api, path: str) -> None:
        self._api = api
        self._path = path
        self._spec: Body = {}
        self._state: Body = {}
        self._heartbeat = ""
        self._heard = time.monotonic()
        self._asked = False
        self._active = False
        self._until = 0.0

    def run(self) -> None:
        """Inject, hold, and take back; only take back if this fault was ever begun before."""
        mine = self._begin()
        if self._state.get("phase") == "reverted":
            return
        action = action_of(self._api, self._spec)
        reason = "the guard was started again"
        if mine:
            reason = self._inject(action) or self._hold(action)
        self._revert(action, reason)

    def ask(self, _number: int = 0, _frame: object = None) -> None:
        """End the fault soon: the pod of the guard is being deleted."""
        self._asked = True

    def _begin(self) -> bool:
        """Take the fault. Return whether this guard is the first, and may inject it."""
        while True:
            try:
                found = self._api.get(self._path)
                self._spec = json.loads(found["data"]["spec"])
                self._state = json.loads(found["data"].get("state") or "{}")
                if self._state:
                    return False
                self._state = {"phase": "pending"}
                version = {"resourceVersion": found["metadata"]["resourceVersion"]}
                self._api.send("PATCH", self._path, {"metadata": version, "data": self._data()})
            except AwayError:
                time.sleep(STATE_SECONDS)
            except RefusedError as refused:
                if refused.status != CONFLICT:
                    raise
            else:
                return True

    def _inject(self, action: Action) -> str:
        """Begin the fault. Return why it could not be, or nothing."""
        try:
            action.begin()
        except (NotPossibleError, RefusedError, AwayError) as failed:
            self._state["error"] = str(failed)
            return "it could not be injected"
        self._write(phase="injected", at=time.time())
        return ""

    def _hold(self, action: Action) -> str:
        """Hold the fault, and return why it is over."""
        seconds = float(self._spec["seconds"])
        self._until = time.monotonic() + seconds + float(self._spec.get("start_seconds", 0))
        patience = float(self._spec["heartbeat_seconds"])
        self._heard = time.monotonic()
        look_at = 0.0
        while True:
            now = time.monotonic()
            if now >= self._until:
                return "expired"
            if now >= look_at:
                look_at = now + STATE_SECONDS
                self._look(action)
            if self._asked:
                return "asked"
            if now - self._heard > patience:
                return "the heartbeat of the worker stopped"
            try:
                action.step()
            except AwayError:
                pass  # the next step is tried again; the heartbeat decides how long
            except (NotPossibleError, RefusedError) as failed:
                return str(failed)
            time.sleep(TICK)

    def _look(self, action: Action) -> None:
        """Read what the worker says, and write what the fault did."""
        try:
            found = self._api.find(self._path)
        except (AwayError, RefusedError):
            return
        data = found["data"] if found else {"ask": "revert"}
        self._asked = self._asked or data.get("ask") == "revert"
        if data.get("heartbeat", "") != self._heartbeat:
            self._heartbeat, self._heard = data.get("heartbeat", ""), time.monotonic()
        if data.get("note") and not self._active:
            self._active, self._until = True, time.monotonic() + float(self._spec["seconds"])
        if action.effect != self._state.get("effect"):
            self._write(effect=dict(action.effect))

    def _revert(self, action: Action, reason: str) -> None:
        """Take everything back, again until nothing is left, and write down what could not be taken back."""
        self._write(phase="reverting", reason=reason, effect=dict(action.effect))
        left = ["it could not be looked whether anything is left"]
        tries = 0
        while left and tries < int(self._spec.get("tries", REVERT_TRIES)):
            try:
                left = action.end()
                tries += 1
            except AwayError:
                pass  # nothing can be done before the API server is back
            except RefusedError as refused:
                left, tries = [str(refused)], tries + 1
            if left:
                time.sleep(STATE_SECONDS)
        while not self._write(phase="reverted", left=left, reverted_at=time.time(), effect=dict(action.effect)):
            time.sleep(STATE_SECONDS)

    def _write(self, **change: Any) -> bool:
        """Write the state. Return whether it is written, or nobody is there who wants it."""
        self._state.update(change)
        try:
            self._api.patch(self._path, {"data": self._data()})
        except (AwayError, RefusedError):
            return False
        return True

    def _data(self) -> Body:
        return {"state": json.dumps(self._state)}


def main() -> None:
    """Guard the fault of the ConfigMap whose path is the last argument."""
    guard = Guard(Api(), sys.argv[-1])
    signal.signal(signal.SIGTERM, guard.ask)
    guard.run()
    sys.stdout.flush()
    os._exit(0)  # a thread that still reads may not keep it


if __name__ == "__main__":
    main()
