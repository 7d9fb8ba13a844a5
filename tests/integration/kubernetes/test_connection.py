"""Requests to an API server that is away, refuses, or breaks off."""

import pytest
from harness.api_server import Answer, Server

from cluster.backend import UnavailableError
from cluster.kubernetes import connection as module
from cluster.kubernetes.connection import ApiError, Connection

AWAY = Answer(status=503, body={"message": "not now"})
DROPPED = Answer(status=0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


def test_a_request_is_repeated_while_the_server_is_away(server: Server, connection: Connection) -> None:
    server.answers = [AWAY, DROPPED, Answer(status=429), Answer(body={"fine": True})]

    assert connection.get("/api/v1/nodes", ("limit", "1")) == b'{"fine": true}'
    assert server.asked == ["GET /api/v1/nodes?limit=1"] * 4


def test_a_server_that_stays_away_is_said_to_be_away(server: Server, connection: Connection) -> None:
    server.answers = [AWAY]

    with pytest.raises(UnavailableError, match="not now"):
        connection.get("/api/v1/nodes")
    assert len(server.asked) == module.TRIES


def test_a_refusal_names_verb_and_resource_and_is_not_repeated(server: Server, connection: Connection) -> None:
    body = {"reason": "Forbidden", "message": 'pods is forbidden: User "u" cannot create resource "pods"'}
    server.answers = [Answer(status=403, body=body)]

    with pytest.raises(ApiError, match=r'may not create /api/v1/pods.*cannot create resource "pods"'):
        connection.create("/api/v1/pods", {})
    assert len(server.asked) == 1


def test_what_is_there_already_is_not_made_again(server: Server, connection: Connection) -> None:
    """The answer to the first request may have been lost: the second one finds what it has made."""
    server.answers = [DROPPED, Answer(status=409, body={"reason": "AlreadyExists"})]

    assert connection.create("/api/v1/pods", {"kind": "Pod"}) is None
    assert server.bodies == [{"kind": "Pod"}] * 2


@pytest.mark.parametrize("verb", ["find", "patch", "delete"])
def test_what_is_gone_is_told_as_none(server: Server, connection: Connection, verb: str) -> None:
    server.answers = [Answer(status=404, body={"reason": "NotFound"})]
    calls = {
        "find": lambda: connection.find("/p"),
        "patch": lambda: connection.patch("/p", {}),
        "delete": lambda: connection.delete("/p", grace=0, uid="u"),
    }

    assert calls[verb]() is None


def test_a_namespace_that_is_missing_is_an_error(server: Server, connection: Connection) -> None:
    server.answers = [Answer(status=404, body={"reason": "NotFound", "message": 'namespaces "tests" not found'})]

    with pytest.raises(ApiError, match="namespaces"):
        connection.create("/api/v1/namespaces/tests/pods", {})


def test_a_deletion_is_of_one_object_only(server: Server, connection: Connection) -> None:
    server.answers = [Answer(body={})]

    connection.delete("/p", grace=7, uid="the-one")

    assert server.bodies == [{"gracePeriodSeconds": 7, "preconditions": {"uid": "the-one"}}]


def test_a_watch_yields_whole_lines_and_says_when_it_breaks_off(server: Server, connection: Connection) -> None:
    server.answers = [Answer(lines=({"n": 1}, {"n": 2})), Answer(lines=({"n": 3},), cut=True)]

    assert list(connection.watch("/w")) == [b'{"n": 1}', b'{"n": 2}']
    lines = connection.watch("/w")
    assert next(lines) == b'{"n": 3}'
    with pytest.raises(UnavailableError):
        next(lines)
