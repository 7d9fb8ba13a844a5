"""The service account of deploy/kubernetes/rbac.yaml: it can do its work, and no more. `check` says what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import cluster_namespaces
from harness.backends import order, run
from harness.beds.kubernetes import Bed
from harness.cluster_accounts import kubeconfig, token

from cluster.contents import ContentStore
from cluster.kubernetes.backend import Disk, KubernetesBackend
from cluster.kubernetes.check import check
from cluster.kubernetes.connection import ApiError, ClusterAccess, Connection

pytestmark = pytest.mark.cluster

MANIFEST = Path(__file__).resolve().parents[2] / "deploy/kubernetes/rbac.yaml"
PLACES = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A service account with the permissions of the manifest, and the administrator of the cluster."""

    own: ClusterAccess
    admin: ClusterAccess
    node: str


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    access, node = cluster_namespaces.usable()
    access = cluster_namespaces.make(access)
    connection = Connection(access)
    made = [_create(connection, document) for document in _manifest(access.namespace)]
    own = replace(access, kubeconfig=kubeconfig(access, token(connection, "assay"), tmp_path / "kubeconfig"))
    yield Account(own=own, admin=access, node=node)
    for path in filter(None, made):
        connection.delete(path, grace=0)
    cluster_namespaces.remove(connection)
    connection.close()


@pytest.fixture
def bed(account: Account, tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path, account.admin)
    yield made
    for backend in made._opened:
        backend.close()


async def test_the_account_runs_a_test_with_a_secret(account: Account, bed: Bed, tmp_path: Path) -> None:
    disk = Disk(runs=tmp_path / "runs", contents=ContentStore(tmp_path / "content"))
    backend = KubernetesBackend(account.own, disk)
    wanted = order(bed, 'echo "$T"; exit 3', env={"T": "${secrets.t}"}, secrets={"t": "value-of-it"})

    nodes = await backend.nodes()
    ending = await run(backend, wanted)
    output = (await backend.spool(wanted.attempt)).output.read_text()
    await backend.end(wanted.attempt)
    await backend.forget(wanted.attempt)
    backend.close()

    assert account.node in {node.name for node in nodes}
    assert (ending.exit_code, output) == (3, "value-of-it\n")
    assert not bed.holds("value-of-it\n")


@pytest.mark.parametrize(
    "path",
    ["/api/v1/secrets", "/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/default/pods"],
    ids=["all secrets", "secrets of another namespace", "pods of another namespace, to make one"],
)
def test_the_account_cannot_read_or_make_what_is_not_its_own(account: Account, path: str) -> None:
    connection = Connection(account.own)

    with pytest.raises(ApiError, match="may not") as refused:
        connection.create(path, {"metadata": {"name": "x"}}) if path.endswith("pods") else connection.get(path)

    assert refused.value.status == 403
    connection.close()


def test_the_check_finds_nothing_missing(account: Account) -> None:
    assert [finding for finding in check(account.own) if not finding.fine] == []


def test_the_check_names_what_is_missing_and_how_to_get_it(account: Account) -> None:
    connection = Connection(account.admin)
    connection.delete(
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{account.admin.namespace}/rolebindings/assay", grace=0
    )
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
    connection.patch(f"/api/v1/namespaces/{account.admin.namespace}", label)
    connection.close()

    wrong = [f"{finding.what}: {finding.words}" for finding in check(account.own) if not finding.fine]

    for resource in ("secrets", "networkpolicies"):
        words = f"permission: may not create, get, patch, delete {resource} in namespace {account.own.namespace}"
        assert f"{words}: see deploy/kubernetes/rbac.yaml" in wrong
    assert any(line.startswith("policy: ") and "kubectl label namespace" in line for line in wrong)


def test_the_check_of_a_namespace_that_is_not_there_says_how_to_make_it(account: Account) -> None:
    found = check(replace(account.admin, namespace="assay-tests-none"))

    assert "kubectl create namespace assay-tests-none" in next(f.words for f in found if f.what == "namespace")


def _manifest(namespace: str) -> list[dict[str, Any]]:
    """Return the objects of the manifest for another namespace: names that hold for the cluster get its name too."""
    text = MANIFEST.read_text().replace("assay-tests", namespace).replace("assay-nodes", f"assay-nodes-{namespace}")
    return [document for document in yaml.safe_load_all(text) if document["kind"] != "Namespace"]


def _create(connection: Connection, document: dict[str, Any]) -> str | None:
    """Create one object. Return its path if it is not in the namespace."""
    place = PLACES[document["kind"]].format(connection.access.namespace)
    assert connection.create(place, document) is not None
    return f"{place}/{document['metadata']['name']}" if "{}" not in PLACES[document["kind"]] else None
