"""Tests that the API refuses other origins, other host names and wrong keys (D19)."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from harness.rest import KEY, REQUEST, Api
from sqlalchemy import Connection, text

from api.auth import same_key
from api.settings import from_environment
from db import workers
from model.ids import PoolName, WorkerId


@pytest.mark.parametrize("path", ["/tests", "/tests/abc/cancel", "/quota", "/content/" + "0" * 64, "/nowhere"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"])
def test_a_preflight_from_another_origin_is_refused(shared_client: httpx.Client, path: str, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    answer = shared_client.options(path, headers=asked)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_unsafe_requests_of_another_origin_are_refused_even_with_the_key(client: httpx.Client, api: Api) -> None:
    for origin in ("http://evil.example", "null"):
        assert client.post("/tests", json=REQUEST, headers={"Origin": origin}).status_code == 403
    reading = client.get("/tests", headers={"Origin": "http://evil.example"})

    assert not [name for name in reading.headers if name.startswith("access-control")]
    assert client.post("/tests", json=REQUEST, headers={"Origin": api.url}).status_code == 202
    assert api.rows()["test_executions"] == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", ""])
def test_another_host_name_is_refused_against_dns_rebinding(shared_client: httpx.Client, host: str) -> None:
    for path in ("/tests", "/../../health", "/../../docs"):
        answer = shared_client.get(path, headers={"Host": host})

        assert answer.status_code == 400
        assert "executions" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost", "LOCALHOST:4300", "[::1]:4300"])
def test_loopback_names_are_served(shared_client: httpx.Client, host: str) -> None:
    assert shared_client.get("/tests", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", KEY])
def test_without_the_key_everything_is_401(shared_api: Api, header: str | None) -> None:
    with httpx.Client(base_url=shared_api.url, trust_env=False) as stranger:
        for method, path in routes(shared_api.url):
            answer = stranger.request(method, path, headers={} if header is None else {"Authorization": header})

            assert answer.status_code == 401, (method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["", "\n", "k" * 19, "  k" * 6])
def test_a_key_that_is_too_short_is_refused_at_the_start(tmp_path: Path, key: str) -> None:
    (tmp_path / "api-key").write_text(key)
    environment = {"ASSAY_STATE": str(tmp_path), "DATABASE_URL": "postgresql://"}

    with pytest.raises(ValueError, match=r"at least 20: remove the key file .* `assay up` makes a new one"):
        from_environment(environment)
    (tmp_path / "api-key").write_text("k" * 20 + "\n")

    assert from_environment(environment).api_key == "k" * 20


def test_an_empty_key_matches_nothing() -> None:
    assert not same_key("", "")
    assert not same_key("", KEY)
    assert not same_key(KEY, "")
    assert same_key(KEY, KEY)


def routes(url: str) -> list[tuple[str, str]]:
    """Return every operation of the API, with values for its parameters."""
    paths = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    return [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, operations in paths.items()
        for method in operations
        if path.startswith("/api/")
    ]


def test_health_needs_no_key_and_reveals_little(shared_api: Api) -> None:
    answer = httpx.get(f"{shared_api.url}/health", trust_env=False)

    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "database", "workers", "version"}


def test_health_counts_the_workers_that_work(api: Api) -> None:
    """One that is stopped looks like one that is away, as soon as two thirds of its lease have gone by."""
    worker, lease = WorkerId("one-of-health"), timedelta(seconds=30)
    seen = [health(api)]
    for silent in (0, 19, 21):
        api.db.call(lambda conn: workers.register(conn, worker, PoolName("default"), lease, ()))
        api.db.call(partial(age, silent))
        seen.append(health(api))

    assert seen == [("degraded", 0), ("ok", 1), ("ok", 1), ("degraded", 0)]


def age(seconds: int, conn: Connection) -> None:
    """Let all workers be silent for so long."""
    conn.execute(text("UPDATE workers SET expires_at = expires_at - make_interval(secs => :s)"), {"s": seconds})


def health(api: Api) -> tuple[str, int]:
    told = httpx.get(f"{api.url}/health", trust_env=False).json()
    return told["status"], told["workers"]


def test_live_needs_no_key_and_no_database(shared_api: Api) -> None:
    answer = httpx.get(f"{shared_api.url}/live", trust_env=False)

    assert (answer.status_code, answer.json()) == (200, {"live": True})


def test_addresses_with_a_nul_character_are_refused(shared_client: httpx.Client) -> None:
    assert shared_client.get("/pools/a%00b").status_code == 400
    assert shared_client.get("/tests?tag=a%00b").status_code == 400
    assert shared_client.get("/tests/%ff%fe").status_code == 404


def test_unknown_paths_and_methods_are_problems_too(shared_client: httpx.Client) -> None:
    for answer, status in ((shared_client.get("/nowhere"), 404), (shared_client.delete("/tests"), 405)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_wrong_method_is_answered_with_the_allowed_methods(shared_client: httpx.Client) -> None:
    answer = shared_client.delete("/quota")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PATCH, PUT")
