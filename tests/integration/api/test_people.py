"""Users and teams: added, listed, put into teams; all problems at once, and nothing is written then."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from harness.rest import Api

PROBLEM = "application/problem+json"


@pytest.fixture
def platform(client: httpx.Client, api: Api) -> str:
    """Add a team."""
    return str(client.post("/teams", json={"name": "platform"}).raise_for_status().json()["name"])


def names(client: httpx.Client, path: str, key: str) -> list[str]:
    return [one["name"] for one in client.get(path).json()[key]]


def test_a_new_team_has_a_quota_that_can_be_changed(client: httpx.Client, platform: str) -> None:
    changed = client.put("/quota", json={"team": platform, "maxConcurrentTests": 20, "maxCpu": "8", "weight": 2})

    assert changed.status_code == 200
    assert client.get("/quota", params={"team": platform}).json()["team"]["maxConcurrentTests"] == 20


def test_users_are_added_and_put_into_teams(client: httpx.Client, platform: str) -> None:
    anna = client.post("/users", json={"name": "anna", "email": "anna@example.com"})
    berta = client.post("/users", json={"name": "berta", "team": platform}).json()

    moved = client.put(f"/teams/{platform}/members/anna")

    assert (anna.status_code, anna.json()["team"], anna.json()["email"]) == (201, None, "anna@example.com")
    assert (berta["team"], berta["email"], berta["active"]) == (platform, "berta@localhost", True)
    assert moved.json()["team"] == platform
    assert names(client, f"/users?team={platform}", "users") == ["anna", "berta"]
    assert client.put(f"/teams/{platform}/members/anna").json() == moved.json()
    members = {team["name"]: team["members"] for team in client.get("/teams").json()["teams"]}
    assert members[platform] == 2


def test_a_user_who_changes_the_team_is_in_one_team(client: httpx.Client, platform: str) -> None:
    client.post("/users", json={"name": "anna", "team": "default"})

    client.put(f"/teams/{platform}/members/anna")

    assert "anna" not in names(client, "/users?team=default", "users")
    assert names(client, f"/users?team={platform}", "users") == ["anna"]


def test_all_problems_are_told_at_once_and_nothing_is_written(client: httpx.Client, api: Api) -> None:
    before = names(client, "/users", "users")

    answer = client.post("/users", json={"name": "an na", "email": "nowhere", "team": "nobodys", "role": "admin"})

    assert (answer.status_code, answer.headers["content-type"]) == (400, PROBLEM)
    assert [problem["path"] for problem in answer.json()["problems"]] == ["email", "name", "role", "team"]
    assert names(client, "/users", "users") == before


@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [
        ("POST /teams", {"name": "default"}, 409),
        ("POST /teams", {"name": "a/b"}, 400),
        ("POST /teams", {}, 400),
        ("POST /teams", {"name": None}, 400),
        ("POST /teams", {"name": "x" * 101}, 400),
        ("POST /users", {"name": "local"}, 409),
        ("POST /users", {"name": "other", "email": "prefect@localhost"}, 409),
        ("POST /users", {"name": "other", "team": "nobodys"}, 404),
        ("PUT /teams/nobodys/members/local", None, 404),
        ("PUT /teams/default/members/nobody", None, 404),
        ("GET /users?team=nobodys", None, 404),
    ],
)
def test_what_cannot_be_done_is_refused_with_problem_details(
    client: httpx.Client, api: Api, request_line: str, body: Any, status: int
) -> None:
    client.post("/users", json={"name": "taken", "email": "prefect@localhost"})

    answer = client.request(*request_line.split(" "), **({} if body is None else {"json": body}))

    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text


def test_lists_have_pages(client: httpx.Client, api: Api) -> None:
    for number in range(3):
        client.post("/teams", json={"name": f"t{number}"})

    first = client.get("/teams?limit=2").json()

    assert (first["total"], len(first["teams"])) == (4, 2)
    assert [team["name"] for team in client.get(first["links"]["next"].removeprefix("/api/v1")).json()["teams"]] == [
        "t1",
        "t2",
    ]


def test_the_commands_do_the_same(assay: Callable[..., Any], client: httpx.Client) -> None:
    assert assay("quota", "set", "--team", "platform", "--max-concurrent", "20")[0] == 4

    assert assay("team", "create", "platform")[0] == 0
    assert assay("user", "create", "anna", "--email", "anna@example.com")[0] == 0
    assert assay("team", "add", "platform", "anna")[0] == 0
    assert assay("quota", "set", "--team", "platform", "--max-concurrent", "20", "--weight", "2")[0] == 0

    assert assay("team", "list")[1].splitlines()[-1].split("\t")[:2] == ["platform", "1"]
    assert assay("user", "list", "--team", "platform")[1].split("\t")[:3] == ["anna", "platform", "anna@example.com"]
    assert assay("team", "create", "platform")[0] == 4
    assert assay("team", "add", "platform", "nobody")[0] == 4
