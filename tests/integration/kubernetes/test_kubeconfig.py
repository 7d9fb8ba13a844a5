"""Kubeconfigs that cannot be used: each says why, at once, and what to do."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from harness import api_server
from harness.api_server import Answer, Server

from cluster.backend import UnavailableError
from cluster.kubernetes import connection as module
from cluster.kubernetes import kubeconfig
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection

Change = Callable[[Any], object]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.001)


@pytest.fixture
def opened(server: Server, tmp_path: Path) -> Iterator[Callable[[Change], Connection]]:
    """Give a way to open the server by a changed kubeconfig."""
    made: list[Connection] = []

    def open_changed(change: Change) -> Connection:
        made.append(Connection(changed(server, tmp_path / "kubeconfig", change), Random(1)))
        return made[-1]

    yield open_changed
    for one in made:
        one.close()


def changed(server: Server, file: Path, change: Change) -> ClusterAccess:
    access = api_server.access(server, file)
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))
    return access


def plugin(command: str, *words: str) -> Change:
    told = {"apiVersion": "client.authentication.k8s.io/v1", "command": command, "args": list(words)}
    return lambda config: config["users"][0].update(user={"exec": told})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (plugin("no-such-plugin"), "its exec plugin 'no-such-plugin' is missing, or gave no credentials"),
        (plugin("false"), "its exec plugin 'false' is missing, or gave no credentials"),
        (plugin("echo", "{}"), "its exec plugin 'echo' is missing, or gave no credentials"),
        (lambda config: config.update(users=[]), "names the user 'u', which is not in it"),
        (lambda config: config.pop("current-context"), "current-context"),
        (lambda config: config.update(contexts=7), "is no kubeconfig|cannot be used"),
    ],
    ids=["plugin missing", "plugin fails", "plugin prints something else", "no user", "no context", "no contexts"],
)
def test_what_gives_no_credentials_says_so(
    server: Server, opened: Callable[[Change], Connection], change: Change, words: str
) -> None:
    """Without that the cluster would be asked as nobody, and say that nobody may list its nodes."""
    with pytest.raises(UnavailableError, match=words) as refused:
        opened(change).get("/version")

    assert str(refused.value).startswith("cluster lab: ")
    assert server.asked == []


def test_a_plugin_that_does_not_end_holds_nobody_up(
    opened: Callable[[Change], Connection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started once, however often the cluster is asked for."""
    monkeypatch.setattr(kubeconfig, "OPEN_SECONDS", 0.01)
    started, end = tmp_path / "started", tmp_path / "end"
    connection = opened(plugin("sh", "-c", f"echo . >> {started}; until test -e {end}; do sleep 0.05; done"))

    with pytest.raises(UnavailableError, match="does not end, as if it asked a person"):
        connection.get("/version")
    end.touch()
    for thread in threading.enumerate():
        if thread.name == "assay-kubeconfig":
            thread.join()

    assert started.read_text() == ".\n"


def test_a_kubeconfig_without_credentials_is_fine_where_none_are_needed(
    server: Server, opened: Callable[[Change], Connection]
) -> None:
    server.answers = [Answer(body={"fine": True})]

    assert opened(lambda config: config["users"][0].update(user={})).get("/version") == b'{"fine": true}'
    assert server.tokens == [""]


def test_a_cluster_that_takes_us_for_nobody_says_that_there_were_no_credentials(
    server: Server, opened: Callable[[Change], Connection]
) -> None:
    server.answers = [Answer(status=403, body={"message": 'User "system:anonymous" cannot list resource "nodes"'})]

    with pytest.raises(ApiError, match="the kubeconfig gives no credentials"):
        opened(lambda config: config["users"][0].update(user={})).get("/api/v1/nodes")


def test_credentials_that_were_renewed_are_read_again(
    server: Server, opened: Callable[[Change], Connection], tmp_path: Path
) -> None:
    """A token of `kubectl create token` ends after an hour. The worker need not be started anew."""
    server.answers = [Answer(body={}), Answer(status=401, body={"message": "Unauthorized"}), Answer(body={})]
    connection = opened(lambda _: None)
    connection.get("/version")
    changed(server, tmp_path / "kubeconfig", lambda config: config["users"][0].update(user={"token": "new"}))

    with pytest.raises(ApiError, match=r"does not accept the credentials of .*kubeconfig, which may have expired"):
        connection.get("/version")
    connection.get("/version")

    assert server.tokens == ["t0ken", "t0ken", "new"]


def test_a_server_that_is_something_else_is_told_as_that(
    server: Server, opened: Callable[[Change], Connection]
) -> None:
    server.answers = [Answer(status=404, body={"detail": "Not Found"})]

    with pytest.raises(ApiError, match="HTTP 404, and no word of an API server: see `server` in the kubeconfig"):
        opened(lambda _: None).get("/version")
