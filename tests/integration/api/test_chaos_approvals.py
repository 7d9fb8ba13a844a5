"""Keys of persons, rules of teams and approvals over REST and by the command."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from harness.rest import REQUEST, Api

from api.app import ADMINISTRATION
from chaos.experiment_reading import experiment_from_yaml, experiment_to_raw

EXPERIMENT = experiment_to_raw(
    experiment_from_yaml(
        (Path(__file__).parents[3] / "examples" / "chaos" / "payments-slow.yaml").read_text(encoding="utf-8")
    )
)
RULES = {"rules": [{"name": "shop", "effect": "approve", "where": ["local/shop"]}]}


@pytest.fixture
def ben(client: httpx.Client) -> str:
    """Add a second person to the team of the local user; return his key."""
    client.post("/users", json={"name": "ben", "team": "default"}).raise_for_status()
    return str(client.post("/users/ben/keys").raise_for_status().json()["key"])


def submitted(client: httpx.Client) -> dict[str, Any]:
    """Submit by the address that does not look for targets, and return the execution."""
    run = client.post("/runs", json={"kind": "experiment", "spec": EXPERIMENT})
    assert run.status_code == 202, run.text
    found: dict[str, Any] = client.get(f"/chaos/executions/{run.json()['runId']}").json()
    return found


def with_key(api: Api, key: str) -> httpx.Client:
    return api.client(Authorization=f"Bearer {key}")


def test_a_person_is_known_by_the_key_and_administers_nothing(api: Api, client: httpx.Client, ben: str) -> None:
    with with_key(api, ben) as person:
        assert person.get("/quota").json()["user"]["name"] == "ben"
        assert person.post("/tests", json=REQUEST).status_code == 202
        for module in ADMINISTRATION:
            for route in module.router.routes:
                for method in route.methods - {"GET", "HEAD"}:  # type: ignore[attr-defined]
                    path = route.path.replace(":path", "").replace("{", "").replace("}", "")  # type: ignore[attr-defined]
                    answer = person.request(method, path, json={})
                    assert (method, path, answer.status_code) == (method, path, 403), answer.text
        [key] = client.get("/users/ben/keys").json()["keys"]
        assert client.delete(f"/users/ben/keys/{key['keyId']}").status_code == 204
        assert person.get("/quota").status_code == 401


def test_an_execution_waits_and_the_second_person_lets_it_go_on(api: Api, client: httpx.Client, ben: str) -> None:
    assert client.put("/teams/default/chaos-rules", json=RULES).json()["rules"]["rules"][0]["name"] == "shop"
    waiting = submitted(client)
    path, approval = f"/chaos/executions/{waiting['executionId']}", waiting["approval"]

    assert (waiting["status"], approval["state"], approval["approvers"]) == ("scheduled", "waiting", ["ben"])
    assert "for the approval of ben (shop)" in waiting["waitReason"]
    own = client.post(f"{path}/approve", json={"digest": approval["digest"]})
    assert (own.status_code, "you submitted it yourself" in own.json()["detail"]) == (403, True)
    with with_key(api, ben) as person:
        assert person.post(f"{path}/approve", json={}).status_code == 400
        assert person.post(f"{path}/approve", json={"digest": "sha256:" + 64 * "0"}).status_code == 409
        done = person.post(f"{path}/approve", json={"digest": approval["digest"], "comment": "seen"})
        assert (done.status_code, done.json()["approval"]["by"]) == (200, "ben"), done.text
        assert person.post(f"{path}/deny", json={}).status_code == 409
    assert client.get(path).json()["waitReason"] != waiting["waitReason"]


def test_a_team_that_refuses_answers_with_the_reason(client: httpx.Client, ben: str) -> None:
    client.put("/teams/default/chaos-rules", json={"maxBudgetPercent": 0.001}).raise_for_status()

    answer = client.post("/runs", json={"kind": "experiment", "spec": EXPERIMENT})

    assert answer.status_code == 409
    assert "the team default allows 0.001%" in answer.json()["detail"]
    assert client.put("/teams/nobodys/chaos-rules", json={}).status_code == 404
    assert client.get("/teams/nobodys/chaos-rules").status_code == 404
    wrong = client.put("/teams/default/chaos-rules", json={"rules": [{"name": "a"}], "windows": [{"start": "9"}]})
    assert [one["path"] for one in wrong.json()["problems"]] == ["rules[0].effect", "windows[0].start"]


def test_the_commands_do_the_same(
    api: Api, assay: Callable[..., Any], client: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    assert assay("user", "create", "ben", "--team", "default")[0] == 0
    key = assay("user", "key", "ben")[1].strip()
    assert "where: [local/shop]" in assay("team", "chaos-rules", "default", "--file", "rules.yaml")[1].replace(
        "\n  - local/shop", " [local/shop]"
    )
    first, second = (submitted(client)["shortId"] for _ in range(2))

    assert "waits for ben, until " in assay("chaos", "status", first)[1]
    code, _, said = assay("chaos", "approve", first)
    assert (code, "you submitted it yourself" in said) == (4, True)
    monkeypatch.setenv("ASSAY_API_KEY", key)
    code, _, said = assay("chaos", "approve", first, "--comment", "seen")
    assert (code, "network-latency for 30 s" in said, "service payments" in said) == (0, True, True), said
    assert assay("chaos", "deny", second, "--comment", "a release")[0] == 0
    assert assay("team", "chaos-rules", "default", "--file", "rules.yaml")[0] == 4
    ended = json.loads(assay("chaos", "status", second, "--json")[1])
    assert (ended["status"], ended["approval"]["state"]) == ("aborted", "denied")
    assert "denied: a release" in ended["reason"]
    assert [line.split("\t")[1] for line in assay("user", "keys", "ben")[1].splitlines()] == ["ben"]
