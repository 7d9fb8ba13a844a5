"""Clusters by REST: rows, what may not stand in one, and a check that names what is missing."""

from pathlib import Path

import httpx
import pytest
from harness.stack import shell

NOWHERE = """
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {}}]
"""
CLUSTER = {"namespace": "assay-tests", "image": "python:3.12", "kubeconfig": "file:/nowhere/kubeconfig"}


def test_a_cluster_is_added_changed_listed_and_removed(client: httpx.Client) -> None:
    added = client.put("/clusters/lab", json=CLUSTER | {"labels": {"site": "north"}})
    changed = client.put("/clusters/lab", json={"namespace": "other", "image": "python:3.13"})
    listed = client.get("/clusters").json()["clusters"]
    removed = client.delete("/clusters/lab")

    assert (added.status_code, added.json()["kubeconfig"]) == (200, CLUSTER["kubeconfig"])
    assert added.json()["labels"] == {"site": "north"}
    assert listed == [changed.json()]
    assert (listed[0]["namespace"], listed[0]["kubeconfig"], listed[0]["labels"]) == ("other", None, {})
    assert removed.status_code == 204
    assert client.get("/clusters").json() == {"clusters": []}


def test_every_problem_of_a_cluster_is_told(client: httpx.Client) -> None:
    bad = {"namespace": "No", "image": "two words", "kubeconfig": "apiVersion: v1"}

    refused = client.put("/clusters/LAB", json=bad)

    assert refused.status_code == 400
    assert [problem["path"] for problem in refused.json()["problems"]] == ["image", "kubeconfig", "name", "namespace"]


POLICY = {
    "gpu": "amd.com/gpu",
    "priorityClasses": ["tests-low"],
    "runtimeClasses": ["gvisor"],
    "controlPlane": True,
    "networkRequired": True,
}
BEYOND = {"config": {"priorityClass": "tests-low", "runtimeClass": "gvisor", "tolerations": [{"operator": "Exists"}]}}


def test_what_no_cluster_allows_is_refused_at_submit_and_taken_once_one_does(client: httpx.Client) -> None:
    wanted = shell("true", **BEYOND)

    refused = client.post("/tests", json=wanted)
    added = client.put("/clusters/lab", json=CLUSTER | POLICY)
    taken = client.post("/tests", json=wanted)
    client.delete("/clusters/lab")

    assert refused.status_code == 400
    paths = [problem["path"] for problem in refused.json()["problems"]]
    assert paths == ["config.priorityClass", "config.runtimeClass", "config.tolerations[0].key"]
    assert {key: added.json()[key] for key in POLICY} == POLICY
    assert taken.status_code == 202


def test_a_policy_names_resources_and_classes_that_may_exist(client: httpx.Client) -> None:
    bad = {"gpu": "gpu", "priorityClasses": ["system-node-critical"], "runtimeClasses": ["No"]}

    refused = client.put("/clusters/lab", json=CLUSTER | bad)

    assert [problem["path"] for problem in refused.json()["problems"]] == ["gpu", "priorityClasses", "runtimeClasses"]


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/clusters/none"), ("POST", "/clusters/none/check")])
def test_an_unknown_cluster_is_not_found(client: httpx.Client, method: str, path: str) -> None:
    assert client.request(method, path).status_code == 404


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be used"),
        ("]", "cannot be used"),
        ("{}", "cannot be used"),
        (NOWHERE, "cannot be reached"),
    ],
    ids=["no file", "no YAML", "no configuration", "no server"],
)
def test_a_check_says_what_is_wrong_with_the_kubeconfig(
    client: httpx.Client, tmp_path: Path, text: str | None, words: str
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    client.put("/clusters/lab", json=CLUSTER | {"kubeconfig": f"file:{file}"})

    answer = client.post("/clusters/lab/check").json()

    finding, worker = answer["findings"]
    assert (answer["fine"], finding["what"], finding["fine"]) == (False, "connection", False)
    assert words in finding["words"]
    assert (worker["what"], worker["fine"]) == ("worker", False)
    client.delete("/clusters/lab")
