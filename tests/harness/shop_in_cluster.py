"""The shop of the examples as real Deployments in a namespace that has opted in, and the manifest of the guards."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from chaos.target import OPT_IN_LABEL, OPT_IN_VALUE
from chaos.targets import Target
from cluster.faults.kubernetes.candidates import candidates
from cluster.kubernetes.api_objects import Pod, PodList
from cluster.kubernetes.connection import ClusterAccess, Connection
from harness import cluster_namespaces

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "deploy/kubernetes/chaos-rbac.yaml"
NAMESPACE_OF_MANIFEST = "assay-tests"
LITMUS_MANIFEST = ROOT / "deploy/kubernetes/litmus-rbac.yaml"
MESH_MANIFEST = ROOT / "deploy/kubernetes/chaos-mesh-rbac.yaml"
RBAC_MANIFEST = ROOT / "deploy/kubernetes/rbac.yaml"
HOST_MANIFEST = ROOT / "deploy/kubernetes/chaos-host-rbac.yaml"
SHOP = ROOT / "examples/shop/shop"
PORT = 8080
PATIENCE = 90.0
RBAC = "/apis/rbac.authorization.k8s.io/v1"
GROUPS = {"v1": "/api/v1", "apps/v1": "/apis/apps/v1", "networking.k8s.io/v1": "/apis/networking.k8s.io/v1"}
MORE = {
    "orders": [
        *("--inventory", f"http://inventory:{PORT}"),
        *("--payments", f"http://payments:{PORT}"),
        *("--retry-seconds", "8"),
    ],
    "inventory": ["--stock", "lamp=1000000"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopInCluster:
    """The running shop. `guards` is the access with the namespace of the guards. `made` is removed at the end."""

    namespace: str
    made: list[str]
    guards: ClusterAccess
    connection: Connection
    addresses: Mapping[str, str]

    def pods(self, namespace: str) -> Sequence[Pod]:
        return PodList.model_validate_json(self.connection.get(f"/api/v1/namespaces/{namespace}/pods")).items

    def target(self, service: str) -> Target:
        """Return the ready pod of a service."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            seen = [one for one in candidates(self.connection, self.namespace) if one.target.service == service]
            ready = [one.target for one in seen if one.ready]
            if ready:
                return ready[0]
            time.sleep(0.1)
        raise AssertionError(f"{service} does not get ready")

    def any_pod(self, namespace: str) -> Target | None:
        seen = candidates(self.connection, namespace)
        return seen[0].target if seen else None

    async def asked(self, service: str, path: str = "/health") -> tuple[int | None, float]:
        """Ask a service at its address in the cluster, and return the status, None without an answer, and seconds."""
        began = time.monotonic()
        try:
            async with httpx.AsyncClient(timeout=3, trust_env=False) as client:
                answer = await client.get(f"http://{self.addresses[service]}:{PORT}{path}")
        except httpx.TransportError:
            return None, time.monotonic() - began
        return answer.status_code, time.monotonic() - began

    async def until_ready(self, service: str) -> None:
        """Wait until a service answers. A pod whose container was ever restarted is replaced: it may be in back-off."""
        await asyncio.to_thread(self._replace_restarted, service)
        await asyncio.to_thread(self.target, service)
        async with asyncio.timeout(PATIENCE):
            while (await self.asked(service))[0] != 200:  # noqa: ASYNC110  another process, which sends no event
                await asyncio.sleep(0.1)

    def _replace_restarted(self, service: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        body = yaml.safe_load(self.connection.get(path))
        for pod in body["items"]:
            restarts = sum(one["restartCount"] for one in pod["status"].get("containerStatuses", []))
            if restarts and pod["metadata"]["labels"].get("app") == service:
                self.connection.delete(f"{path}/{pod['metadata']['name']}", grace=0)


@asynccontextmanager
async def shop_in_cluster(services: Sequence[str], guards: ClusterAccess | None = None) -> AsyncIterator[ShopInCluster]:
    """Run services of the shop. `guards` names the namespace of the guards; by default one is made.

    Without a cluster the test is skipped, and says what is missing.
    """
    own = guards is None
    guards = guards or cluster_namespaces.make(cluster_namespaces.usable()[0])
    namespace = f"shop-{secrets.token_hex(4)}"
    connection = Connection(guards)
    made = await asyncio.to_thread(_make, connection, namespace, services)
    try:
        addresses = await asyncio.to_thread(_addresses, connection, namespace, services)
        shop = ShopInCluster(made=made, namespace=namespace, guards=guards, connection=connection, addresses=addresses)
        for service in services:
            await shop.until_ready(service)
        yield shop
    finally:
        await asyncio.to_thread(_remove, connection, namespace, made, own=own)


def _make(connection: Connection, namespace: str, services: Sequence[str]) -> list[str]:
    """Make everything. Return the paths of what is in no namespace of ours."""
    labels = {OPT_IN_LABEL: OPT_IN_VALUE}
    connection.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    made = guard_manifest(connection, namespace)
    source = {path.name: path.read_text() for path in sorted(SHOP.glob("*.py"))}
    place = f"/api/v1/namespaces/{namespace}"
    connection.create(f"{place}/configmaps", {"metadata": {"name": "shop"}, "data": source})
    for service in services:
        deployment = _deployment(service, connection.access.image)
        connection.create(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment)
        ports = [{"port": PORT, "targetPort": PORT}]
        spec = {"selector": {"app": service}, "ports": ports}
        connection.create(f"{place}/services", {"metadata": {"name": service}, "spec": spec})
    connection.create(f"{place}/pods", _sleeper(connection.access.image))
    return made


def guard_manifest(connection: Connection, namespace: str) -> list[str]:
    """Apply the manifest for the namespace of the connection, and open `namespace`. Return what is in no namespace."""
    own = connection.access.namespace
    made = apply(connection, MANIFEST)
    bind(connection, namespace, "assay-fault-guard", own)
    bind(connection, namespace, "assay-fault-targets", own, account="assay")
    return made


def allow_host_guards(connection: Connection, namespace: str) -> list[str]:
    """Opt in to guards with the PID namespace of their node. Return the path of their namespace."""
    own = connection.access.namespace
    apply(connection, HOST_MANIFEST)
    bind(connection, namespace, "assay-fault-guard", f"{own}-host")
    return [f"/api/v1/namespaces/{own}-host"]


def apply(connection: Connection, manifest: Path) -> list[str]:
    """Apply a manifest with our namespace and names of our own. Return the paths of what is in no namespace."""
    own = connection.access.namespace
    made = []
    for document in yaml.safe_load_all(manifest.read_text().replace(NAMESPACE_OF_MANIFEST, own)):
        role = document.get("roleRef", {})
        for named in (document["metadata"], *([role] if role else [])):
            wide = document["kind"] if named is not role else role["kind"]
            named["name"] += f"-{own}" * wide.startswith("Cluster")
        path = _place(document, document["metadata"].get("namespace", own))
        connection.create(path, document)
        made += [f"{path}/{document['metadata']['name']}"] * document["kind"].startswith("Cluster")
    return made


def bind(connection: Connection, namespace: str, role: str, guards: str, account: str = "assay-fault-guard") -> None:
    body = {
        "metadata": {"name": f"{role}-{guards}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": f"{role}-{connection.access.namespace}",
        },
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": guards}],
    }
    connection.create(f"{RBAC}/namespaces/{namespace}/rolebindings", body)


def _place(document: Mapping[str, Any], namespace: str) -> str:
    version, kind = document["apiVersion"], document["kind"]
    if kind == "Namespace":
        return "/api/v1/namespaces"
    plural = "networkpolicies" if kind == "NetworkPolicy" else f"{kind.lower()}s"
    if kind.startswith("Cluster"):
        return f"{RBAC}/{plural}"
    return f"{GROUPS.get(version, RBAC)}/namespaces/{namespace}/{plural}"


def _deployment(service: str, image: str) -> dict[str, Any]:
    command = ["python3", "-m", "shop.serve", service, "--host", "0.0.0.0", "--port", str(PORT)]
    container = {
        "name": service,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*command, *MORE.get(service, ())],
        "env": [{"name": "PYTHONPATH", "value": "/app"}, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "ports": [{"containerPort": PORT}],
        "resources": {"requests": {"cpu": "10m"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "source", "mountPath": "/app/shop"}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1},
    }
    spec = {"containers": [container], "volumes": [{"name": "source", "configMap": {"name": "shop"}}]}
    return {
        "metadata": {"name": service},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": service}},
            "template": {"metadata": {"labels": {"app": service}}, "spec": spec},
        },
    }


def _sleeper(image: str) -> dict[str, Any]:
    """Return a pod that has opted out of what its namespace allows."""
    container = {"name": "sleeper", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"]}
    labels = {"app": "sleeper", OPT_IN_LABEL: "refused"}
    return {
        "metadata": {"name": "sleeper", "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def _addresses(connection: Connection, namespace: str, services: Sequence[str]) -> dict[str, str]:
    place = f"/api/v1/namespaces/{namespace}/services"
    return {one: yaml.safe_load(connection.get(f"{place}/{one}"))["spec"]["clusterIP"] for one in services}


def _remove(connection: Connection, namespace: str, made: Sequence[str], *, own: bool) -> None:
    for path in (*made, f"/api/v1/namespaces/{namespace}"):
        connection.delete(path, grace=0)
    if own:
        cluster_namespaces.remove(connection)
    connection.close()
