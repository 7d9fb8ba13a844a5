"""What the API server itself says about the objects of a run."""

import json

from cluster.kubernetes import names
from cluster.kubernetes.connection import ClusterAccess, Connection


def started_pods(access: ClusterAccess, run: str) -> set[str]:
    """Return the pods of a run whose test was ever started, by the events of the kubelet: also those that are gone."""
    connection = Connection(access)
    listed = json.loads(connection.get(f"/api/v1/namespaces/{access.namespace}/events"))
    connection.close()
    prefix = f"assay-{run.replace('-', '')}-"
    return {
        event["involvedObject"]["uid"]
        for event in listed["items"]
        if event["reason"] == "Started"
        and event["involvedObject"]["name"].startswith(prefix)
        and event["involvedObject"].get("fieldPath") == "spec.containers{test}"
    }


def kept_pods(access: ClusterAccess, run: str) -> set[str]:
    """Return the pods of a run that the API server has now."""
    connection = Connection(access)
    place, selector = f"/api/v1/namespaces/{access.namespace}/pods", f"{names.EXECUTION}={run}"
    listed = json.loads(connection.get(place, ("labelSelector", selector)))
    connection.close()
    return {pod["metadata"]["name"] for pod in listed["items"]}
