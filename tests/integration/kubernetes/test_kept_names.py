"""How long the pods stay that only take the names of attempts."""

from typing import Any
from uuid import uuid4

import pytest
from harness.api_server import Answer, Server

from cluster.backend import AttemptId
from cluster.kubernetes import names
from cluster.kubernetes.cluster_pods import ClusterPods
from cluster.kubernetes.connection import Connection
from cluster.kubernetes.pod import tombstone
from cluster.kubernetes.watch import PodWatch
from model.ids import ExecutionId

ATTEMPT = AttemptId(execution_id=ExecutionId(uuid4()), number=1)
STANDING: dict[str, Any] = {"metadata": {"name": "tests"}}
GOING: dict[str, Any] = {"metadata": {"name": "tests", "deletionTimestamp": "2026-11-30T12:00:00Z"}}


def stone() -> dict[str, Any]:
    body: Any = tombstone(ATTEMPT)
    return body | {"metadata": body["metadata"] | {"uid": "u", "deletionTimestamp": "2026-11-30T11:00:00Z"}}


@pytest.mark.parametrize(
    ("namespace", "kept"),
    [
        (Answer(body=STANDING), []),
        (Answer(body=GOING), [ATTEMPT]),
        (Answer(status=403, body={"reason": "Forbidden"}), []),
    ],
    ids=["standing", "going", "not to be read"],
)
def test_a_name_is_given_back_early_only_with_its_namespace(
    server: Server, connection: Connection, namespace: Answer, kept: list[AttemptId]
) -> None:
    """By its finalizer it would keep the namespace from being removed for an hour."""
    server.answers = [Answer(body={"items": [stone()]}), namespace, Answer(body=stone())]
    pods = ClusterPods(connection, PodWatch(connection))

    found = pods.kept()
    for attempt in found:
        pods.forget(attempt)

    assert found == kept
    freed = [body for body in server.bodies if body == {"metadata": {"uid": "u", "finalizers": None}}]
    assert len(freed) == len(kept)
    assert names.FINALIZER in stone()["metadata"]["finalizers"]
