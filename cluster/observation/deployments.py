"""What was deployed in a namespace lately, by the cluster's own objects. It blocks: call it from a thread."""

from datetime import datetime

from cluster.kubernetes.api_objects import ApiObject, Meta
from cluster.kubernetes.connection import Connection

PROGRESSING = "Progressing"
"""The condition whose update tells of a new template or a rollback. It stays when pods are killed or scaled."""


class _Condition(ApiObject):
    type: str
    last_update_time: datetime | None = None


class _Status(ApiObject):
    conditions: tuple[_Condition, ...] = ()


class _Deployment(ApiObject):
    metadata: Meta
    status: _Status = _Status()


class _DeploymentList(ApiObject):
    items: tuple[_Deployment, ...] = ()


def deployed_since(connection: Connection, namespace: str, since: datetime) -> tuple[str, ...]:
    """Return what was deployed after a moment, as sentences in order of names. Raises: ApiError, UnavailableError."""
    listed = connection.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")
    found = _DeploymentList.model_validate_json(listed).items
    moments = [(one.metadata.name, _changed(one)) for one in found]
    later = [(name, at) for name, at in moments if at is not None and at > since]
    return tuple(f"{name} was deployed at {at:%H:%M:%S} UTC" for name, at in sorted(later))


def _changed(deployment: _Deployment) -> datetime | None:
    times = [one.last_update_time for one in deployment.status.conditions if one.type == PROGRESSING]
    return next((time for time in times if time is not None), None)
