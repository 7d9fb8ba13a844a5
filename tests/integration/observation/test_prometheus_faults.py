"""What the Prometheus client makes of a bad day: each ends as an error within its time, and none as a value."""

import pytest
from harness.scripted_http import Answer, Asked, serving

from cluster.observation.errors import RefusedError, UnreachableError
from cluster.observation.prometheus import PrometheusAccess, PrometheusSource

TOKEN = "a-token-that-must-not-be-shown"


def good(*values: str, **more: object) -> Answer:
    series = [{"metric": {}, "value": [1_764_500_000, value]} for value in values]
    return Answer(body={"status": "success", "data": {"resultType": "vector", "result": series}, **more})


def source(url: str, seconds: float = 5.0) -> PrometheusSource:
    return PrometheusSource(PrometheusAccess(url=url, token=TOKEN, tenant="shop"), seconds=seconds)


async def test_the_request_carries_the_token_the_tenant_and_the_server_s_own_time_limit() -> None:
    with serving(lambda _: good("7")) as server:
        found = await source(f"{server.url}/prefix/").value("up")

    assert found is not None
    assert found.value == 7
    [asked] = server.asked
    assert asked.path == "/prefix/api/v1/query"
    assert asked.query == {"query": ["up"], "timeout": ["4s"]}
    assert (asked.headers["authorization"], asked.headers["x-scope-orgid"]) == (f"Bearer {TOKEN}", "shop")


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (Answer(status=400, body={"status": "error", "error": "parse error"}), RefusedError, "mend it"),
        (Answer(status=401, text="who?"), RefusedError, "renew them"),
        (Answer(status=403, text="no"), RefusedError, "an administrator must"),
        (Answer(status=404, text="no"), RefusedError, "before /api/v1"),
        (Answer(status=422, body={"status": "error", "error": "many-to-many"}), RefusedError, "cannot be computed"),
        (Answer(status=429, text="slow down"), UnreachableError, "HTTP 429"),
        (Answer(status=503, text="starting"), UnreachableError, "HTTP 503: starting"),
        (Answer(text="<html>a login page</html>"), UnreachableError, "not one of Prometheus"),
        (Answer(body={"status": "success"}), UnreachableError, "not one of Prometheus"),
        (Answer(body={"status": "success", "data": {"result": 7}}), UnreachableError, "not one of Prometheus"),
        (Answer(body={"data": {"result": [{"value": "x"}]}}), UnreachableError, "not one of Prometheus"),
        (Answer(body={"data": {"result": [1, "seven"]}}), UnreachableError, "not one of Prometheus"),
        (good("1", warnings=["store gateway away"]), UnreachableError, "may be incomplete: store gateway away"),
    ],
)
async def test_what_is_no_answer_is_an_error_after_one_request(
    answer: Answer, error: type[Exception], message: str
) -> None:
    with serving(lambda _: answer) as server, pytest.raises(error, match=message) as raised:
        await source(server.url).value("up")

    assert TOKEN not in str(raised.value)
    assert len(server.asked) == 1, "the client library tries again by default"


async def test_a_server_that_hangs_is_unreachable_after_the_time_limit() -> None:
    with serving(lambda _: Answer(hangs=True)) as server, pytest.raises(UnreachableError, match="no answer"):
        await source(server.url, seconds=0.5).value("up")


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    with serving(lambda _: Answer()) as server:
        url = server.url

    with pytest.raises(UnreachableError, match="no answer"):
        await source(url).value("up")


async def test_a_redirect_to_another_host_does_not_carry_the_token() -> None:
    def elsewhere(_: Asked) -> Answer:
        return good("1")

    with serving(elsewhere) as other:
        away = Answer(status=302, body={}, headers={"Location": f"http://localhost:{other.port}/api/v1/query"})
        with serving(lambda _: away) as server, pytest.raises(UnreachableError, match="HTTP 302"):
            await source(server.url).value("up")

    assert other.asked == []
