"""Service accounts of the cluster: their tokens, and a kubeconfig that has nothing else."""

import base64
import json
from pathlib import Path

import yaml

from cluster.kubernetes.connection import ClusterAccess, Connection


def token(connection: Connection, account: str) -> str:
    """Return a token of a service account in the namespace of the connection."""
    path = f"/api/v1/namespaces/{connection.access.namespace}/serviceaccounts/{account}/token"
    answer = connection.create(path, {"spec": {"expirationSeconds": 3600}})
    assert answer is not None
    return str(json.loads(answer)["status"]["token"])


def kubeconfig(access: ClusterAccess, bearer: str, target: Path) -> Path:
    """Write a kubeconfig like that of the administrator, with the token instead of his credentials."""
    assert access.kubeconfig is not None
    config = yaml.safe_load(access.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": bearer}
    for cluster in config["clusters"]:
        if file := cluster["cluster"].pop("certificate-authority", None):
            data = (access.kubeconfig.parent / file).read_bytes()
            cluster["cluster"]["certificate-authority-data"] = base64.b64encode(data).decode()
    target.write_text(yaml.safe_dump(config))
    return target
