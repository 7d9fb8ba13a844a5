"""A trigger that starts a Prefect deployment, through the REST interface of its server.

The address and the password come from the variables that Prefect's own client reads. A run of Assay gets none of them
by itself: its request sets them in `env`, the password as a secret.
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
from pydantic import JsonValue

from events.brokers.broker import Broker
from events.triggers import HTTP_SECONDS, TriggerError, TriggerRefusedError, TriggerUnfitError

_NOT_FOUND = 404
_ANSWERED_BADLY = 400
_BROKEN = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentTrigger:
    """Starts a flow run of the deployment `name`, `flow/deployment`, and does not wait for its end."""

    name: str
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name.count("/") != 1 or not all(self.name.split("/")):
            raise ValueError(f"deployment: {self.name!r} is not of the form flow/deployment")

    @property
    def described(self) -> str:
        """Return what it does, in words."""
        return f"the Prefect deployment {self.name}"

    def fire(self, broker: Broker) -> JsonValue:
        """Start it. The outcome has `flowRunId`, and the parameters as `payload`."""
        del broker
        address = os.environ.get("PREFECT_API_URL", "")
        if not address:
            raise TriggerUnfitError("a deployment needs PREFECT_API_URL; set it in the environment of the test")
        parameters = dict(self.parameters)
        try:
            with httpx.Client(base_url=address, headers=_headers(os.environ), timeout=HTTP_SECONDS) as client:
                flow, _, deployment = self.name.partition("/")
                found = self._checked(client.get(f"/deployments/name/{quote(flow)}/{quote(deployment)}"))
                made = self._checked(
                    client.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
                )
        except httpx.HTTPError as error:
            raise TriggerError(f"Prefect's server does not answer: {error}") from error
        return {"payload": parameters, "flowRunId": made["id"]}

    def _checked(self, answer: httpx.Response) -> Mapping[str, str]:
        if answer.status_code == _NOT_FOUND:
            raise TriggerUnfitError(f"there is no deployment {self.name!r}")
        if answer.status_code >= _BROKEN:
            raise TriggerError(f"Prefect's server answered with {answer.status_code}")
        if answer.status_code >= _ANSWERED_BADLY:
            raise TriggerRefusedError(f"Prefect refused to start {self.name!r}: {answer.text[:500]}")
        found: Mapping[str, str] = answer.json()
        return found


def _headers(environment: Mapping[str, str]) -> Mapping[str, str]:
    if password := environment.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
    if key := environment.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    return {}
