"""Triggers: what sets off the events of a test. A trigger returns what it sent and got, for the scope of the test."""

import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import JsonValue

from events.brokers.broker import Broker, Message
from events.http_body import read_body

HTTP_SECONDS = 10.0
_ANSWERED_BADLY = 400
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")


class TriggerError(Exception):
    """The trigger did not work, so the test says nothing. Somebody must start the service."""


class TriggerUnfitError(TriggerError):
    """The trigger cannot work as it is written. Whoever wrote it must change it."""


class TriggerRefusedError(TriggerError):
    """What the trigger has called refused, or gave no value for the scope: the target has failed, or is misused."""


class Trigger(Protocol):
    """Sets off the events of a test."""

    @property
    def described(self) -> str:
        """Return what it does, in words."""
        ...

    def fire(self, broker: Broker) -> JsonValue:
        """Do it, and return what was sent and got as JSON. Raises: TriggerError; BrokerError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NoTrigger:
    """Something else sets off the events."""

    described = "none"

    def fire(self, broker: Broker) -> JsonValue:
        """Do nothing."""
        del broker
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProduceTrigger:
    """Sends one message. `payload` is what its value says, for the scope."""

    message: Message
    payload: JsonValue = None

    @property
    def described(self) -> str:
        """Return what it does, in words."""
        return f"a message to {self.message.topic}"

    def fire(self, broker: Broker) -> JsonValue:
        """Send it, and wait until the broker has it."""
        place = broker.produce(self.message)
        return {"payload": self.payload, "partition": place.partition, "offset": place.offset}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """Calls a service. Only hosts of `allowed_hosts` are called.

    `${env.NAME}` in a header stands for a variable, which a request fills from a secret.
    """

    url: str
    allowed_hosts: tuple[str, ...]
    method: str = "POST"
    body: JsonValue = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_host(self.url, self.allowed_hosts)

    @property
    def described(self) -> str:
        """Return what it does, in words. User and query may hold a password, so they are left out."""
        address = urlsplit(self.url)
        return f"{self.method} {address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"

    def fire(self, broker: Broker) -> JsonValue:
        """Call it once. Redirects are not followed, since they lead to other hosts."""
        del broker
        try:
            with httpx.stream(
                self.method,
                self.url,
                json=self.body,
                headers={name: _filled(text, os.environ) for name, text in self.headers.items()},
                timeout=HTTP_SECONDS,
                follow_redirects=False,
            ) as answer:
                body = read_body(answer, HTTP_SECONDS)
        except httpx.HTTPError as error:
            raise TriggerError(f"{self.described} failed: {str(error) or type(error).__name__}") from error
        if answer.status_code >= _ANSWERED_BADLY:
            raise TriggerRefusedError(f"{self.described} was answered with {answer.status_code}")
        return {"payload": self.body, "status": answer.status_code, "response": _json(body, answer.encoding)}


def _filled(text: str, environment: Mapping[str, str]) -> str:
    """Return a text with the values of the variables that it names. Raises: TriggerUnfitError if one is not set."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environment:
            raise TriggerUnfitError(f"the variable {name} is not set; set it in the environment of the test")
        return environment[name]

    return _VARIABLE.sub(value, text)


def check_request(method: str, url: str, body: JsonValue, headers: Mapping[str, str]) -> None:
    """Raise: ValueError if a request has an address, a header or a body that HTTP does not have."""
    try:
        json.dumps(body, allow_nan=False)
        httpx.Request(method, url, headers=dict(headers))
    except (httpx.InvalidURL, UnicodeEncodeError, ValueError) as error:
        raise ValueError(f"the request cannot be sent: {error}") from error
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not text.isprintable():
            raise ValueError(f"headers: {name!r} has a name or a value that HTTP does not have")


def check_host(url: str, allowed_hosts: Collection[str]) -> None:
    """Raise: ValueError if an address is none of a web service, or its host is not allowed."""
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname or address.port == 0:  # a wrong one raises
        raise ValueError(f"url: {url!r} is no address of a web service")
    if address.hostname not in allowed_hosts:
        raise ValueError(f"url: the host {address.hostname!r} is not one of allowedHosts")


def _json(body: bytes, encoding: str | None) -> JsonValue:
    """Return a body as JSON if it is that, else as text."""
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(encoding or "utf-8", "replace")
    return value
