"""The written form of triggers, and how values are made of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from events.brokers.broker import Message
from events.command_trigger import CommandTrigger
from events.deployment_trigger import DeploymentTrigger
from events.event import PartitionNumber, Topic
from events.triggers import HttpTrigger, NoTrigger, ProduceTrigger, Trigger, check_request


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)


class ProduceForm(_Form):
    """One message to send."""

    topic: str = Field(min_length=1)
    key: str | None = None
    payload: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    partition: int | None = Field(default=None, ge=0)

    def value(self) -> ProduceTrigger:
        """Return the trigger."""
        message = Message(
            topic=Topic(self.topic),
            key=None if self.key is None else self.key.encode(),
            value=json.dumps(self.payload, allow_nan=False).encode(),
            headers=tuple((name, text.encode()) for name, text in self.headers.items()),
            partition=None if self.partition is None else PartitionNumber(self.partition),
        )
        return ProduceTrigger(message=message, payload=self.payload)


class HttpForm(_Form):
    """One call of a service."""

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)

    def value(self, allowed_hosts: Sequence[str]) -> HttpTrigger:
        """Return the trigger. Raises: ValueError if its host is not allowed, or the request cannot be sent so."""
        check_request(self.method, self.url, self.body, self.headers)
        return HttpTrigger(
            url=self.url, method=self.method, body=self.body, headers=self.headers, allowed_hosts=tuple(allowed_hosts)
        )


class CommandForm(_Form):
    """One program to run."""

    argv: list[str] = Field(min_length=1, max_length=100)
    timeout_ms: float = Field(default=30_000, gt=0, le=3_600_000)


class DeploymentForm(_Form):
    """One deployment to start."""

    name: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class TriggerForm(_Form):
    """What sets off the events: one of these, or nothing."""

    produce: ProduceForm | None = None
    http: HttpForm | None = None
    command: CommandForm | None = None
    deployment: DeploymentForm | None = None

    def value(self, allowed_hosts: Sequence[str], folder: Path | None) -> Trigger:
        """Return the trigger. A command starts in `folder`. Raises: ValueError for several, or a wrong one."""
        given = sorted(self.model_fields_set)
        if len(given) > 1:
            raise ValueError(f"a test has one trigger, here are {', '.join(given)}")
        if self.produce is not None:
            return self.produce.value()
        if self.http is not None:
            return self.http.value(allowed_hosts)
        if self.command is not None:
            return CommandTrigger(argv=tuple(self.command.argv), folder=folder, timeout_ms=self.command.timeout_ms)
        if self.deployment is not None:
            return DeploymentTrigger(name=self.deployment.name, parameters=self.deployment.parameters)
        return NoTrigger()
