"""HTTP and TCP probes against real servers: each failure is a result that says what came."""

import socket
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from harness import api_server
from harness.scripted_http import Answer, serving

from cluster.kubernetes.connection import Connection
from cluster.observation.deployments import deployed_since
from cluster.observation.probes import LARGEST_BODY, ConditionProbe, HttpProbe, Prober, TcpProbe

LOCAL = Prober(frozenset({"127.0.0.1", "localhost"}))


async def test_an_answer_that_is_as_expected_is_healthy() -> None:
    with serving(lambda _: Answer(text="all 3 shards up")) as server:
        found = await LOCAL.http(HttpProbe(url=f"{server.url}/health?deep=1#top", seconds=5, contains="all 3"))

    assert (found.healthy, found.detail) == (True, "")
    assert found.seconds > 0
    [asked] = server.asked
    assert (asked.path, asked.query) == ("/health", {"deep": ["1"]})
    assert asked.headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(status=503, text="down"), "HTTP 503, expected 200 to 399"),
        (Answer(text="2 shards up"), "the body does not contain 'all'"),
        (Answer(text=" " * LARGEST_BODY + "all"), "the body does not contain 'all'"),
        (Answer(hangs=True), "no answer within 0.5 s"),
    ],
)
async def test_another_answer_is_unhealthy_and_the_detail_says_what_came(answer: Answer, detail: str) -> None:
    with serving(lambda _: answer) as server:
        found = await LOCAL.http(HttpProbe(url=server.url, seconds=0.5 if answer.hangs else 5, contains="all"))

    assert (found.healthy, found.detail.replace("ReadTimeout", "no answer within 0.5 s")) == (False, detail)


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    away = Answer(status=302, text="", headers={"Location": "/elsewhere"})
    with serving(lambda _: away) as server:
        found = await LOCAL.http(HttpProbe(url=server.url, seconds=5))
        strict = await LOCAL.http(HttpProbe(url=server.url, seconds=5, highest=299))

    assert (found.healthy, strict.healthy) == (True, False)
    assert [asked.path for asked in server.asked] == ["/", "/"]


async def test_a_port_that_nobody_listens_on_is_unhealthy() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        assert (await LOCAL.tcp(TcpProbe(host="localhost", port=port, seconds=5))).healthy

    http = await LOCAL.http(HttpProbe(url=f"http://127.0.0.1:{port}/", seconds=5))
    tcp = await LOCAL.tcp(TcpProbe(host="127.0.0.1", port=port, seconds=5))
    assert (http.healthy, tcp.healthy) == (False, False)
    assert "ConnectError" in http.detail
    assert "ConnectionRefusedError" in tcp.detail


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]:80/", "http://localhost/", "http://169.254.169.254/"]
)
async def test_a_private_address_is_not_reached_unless_the_operator_allows_its_host(url: str) -> None:
    found = await Prober().http(HttpProbe(url=url, seconds=5))

    assert not found.healthy
    assert "allowed_hosts" in found.detail


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "example.org", "http://", "http://[::1"])
async def test_what_is_no_http_address_is_unhealthy(url: str) -> None:
    assert not (await LOCAL.http(HttpProbe(url=url, seconds=5))).healthy


def test_what_was_deployed_lately_is_told_by_the_cluster(tmp_path: Path) -> None:
    changed = [("orders", "2026-11-30T08:30:00Z"), ("payments", "2026-11-30T07:00:00Z"), ("new", None)]
    items = [
        {
            "metadata": {"name": name},
            "status": {
                "conditions": [
                    {"type": "Available", "status": "True", "lastUpdateTime": "2026-11-30T08:40:00Z"},
                    *([{"type": "Progressing", "status": "True", "lastUpdateTime": at}] if at else []),
                ]
            },
        }
        for name, at in changed
    ]
    with api_server.serving() as server:
        server.answers = [api_server.Answer(body={"items": items})]
        connection = Connection(api_server.access(server, tmp_path / "kubeconfig"))
        found = deployed_since(connection, "shop", datetime(2026, 11, 30, 8, tzinfo=UTC))

    assert found == ("orders was deployed at 08:30:00 UTC",)
    assert server.asked == ["GET /apis/apps/v1/namespaces/shop/deployments"]


AVAILABLE = ConditionProbe(
    api="apps/v1", resource="deployments", namespace="shop", name="payments", condition="Available", seconds=5
)


def deployment(**conditions: str) -> dict[str, object]:
    told = [{"type": name, "status": status, "reason": f"{name}Is{status}"} for name, status in conditions.items()]
    return {"kind": "Deployment", "status": {"conditions": told}}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (deployment(Progressing="False", Available="True"), ""),
        (deployment(Available="False"), "Available is False, expected True (AvailableIsFalse)"),
        (deployment(Progressing="True"), "it has no condition Available"),
        ({}, "it has no condition Available"),
    ],
)
async def test_a_condition_is_read_from_the_object(tmp_path: Path, body: object, detail: str) -> None:
    with api_server.serving() as server:
        server.answers = [api_server.Answer(body=body)]
        found = await LOCAL.condition(AVAILABLE, Connection(api_server.access(server, tmp_path / "kubeconfig")))

    assert (found.healthy, found.detail) == (not detail, detail)
    assert server.asked == ["GET /apis/apps/v1/namespaces/shop/deployments/payments"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"spec": {"replicas": 2}, "status": {"availableReplicas": 2}}, ""),
        (deployment(Available="True") | {"spec": {"replicas": 4}}, "0 of 4 replicas are available"),
        ({"spec": {"replicas": 4}, "status": {"availableReplicas": 3}}, "3 of 4 replicas are available"),
        ({"spec": {}, "status": {}}, "it has no condition FullyAvailable"),
    ],
)
async def test_all_replicas_are_more_than_a_deployment_calls_available(
    tmp_path: Path, body: object, detail: str
) -> None:
    with api_server.serving() as server:
        server.answers = [api_server.Answer(body=body)]
        connection = Connection(api_server.access(server, tmp_path / "kubeconfig"))
        found = await LOCAL.condition(replace(AVAILABLE, condition="FullyAvailable"), connection)

    assert (found.healthy, found.detail) == (not detail, detail)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (api_server.Answer(status=404, body={"reason": "NotFound"}), "there is no /apis/apps/v1/namespaces/shop"),
        (api_server.Answer(status=403, body={"reason": "Forbidden"}), "may not get /apis/apps/v1/namespaces/shop"),
        (api_server.Answer(status=200, body=[1]), "Input should be an object"),
    ],
)
async def test_an_object_that_cannot_be_read_is_unhealthy(
    tmp_path: Path, answer: api_server.Answer, detail: str
) -> None:
    with api_server.serving() as server:
        server.answers = [answer]
        found = await LOCAL.condition(AVAILABLE, Connection(api_server.access(server, tmp_path / "kubeconfig")))

    assert not found.healthy
    assert detail in found.detail
