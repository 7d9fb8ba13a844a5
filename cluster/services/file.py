"""The file of the services of a local environment, and its check: a value, or all problems with their paths.

`${port}` in a command stands for the port that the service itself must listen on; `port` is the one of the proxy before
it, which everybody else uses.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from model.document import read_yaml
from model.examine import refuse
from model.fields import ENV_NAME_PATTERN, FORBID, EnvValue, ObjectName, RelativePath
from model.lenient import items, mapping, text
from model.plain import plain
from model.problems import Finding
from model.reading import Reader

PORT = "${port}"
Variable = Annotated[str, Field(min_length=1, max_length=256, pattern=ENV_NAME_PATTERN)]
"""A service may set any variable, also those that Assay sets for tests."""


class Restart(StrEnum):
    """Whether a service that ended is started again."""

    ALWAYS = "always"
    NEVER = "never"


class Chaos(StrEnum):
    """Whether experiments may aim at a service. It must be said."""

    ALLOWED = "allowed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a service shows that it is ready: an answer below 400 at `path`; without a path an accepted connection."""

    __pydantic_config__ = FORBID

    path: Annotated[str | None, Field(max_length=500, description="HTTP path, such as /health")] = None
    timeout_seconds: Annotated[float, Field(ge=0.1, le=30)] = 2.0
    start_seconds: Annotated[float, Field(ge=1, le=300, description="Longest time until it is ready")] = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service."""

    __pydantic_config__ = FORBID

    name: Annotated[ObjectName, Field(description="Name, unique in the file")]
    command: Annotated[
        tuple[Annotated[str, Field(max_length=4096)], ...],
        Field(min_length=1, max_length=100, description="Program and arguments; ${port} is its own port"),
    ]
    port: Annotated[int | None, Field(ge=1024, le=65535, description="Port of the proxy before it")] = None
    cwd: Annotated[RelativePath | None, Field(description="Folder, from that of the file")] = None
    env: Annotated[dict[Variable, EnvValue], Field(max_length=100)] = field(default_factory=dict)
    health: Annotated[Health, Field(description="How it shows that it is ready")] = field(default_factory=Health)
    depends_on: Annotated[tuple[ObjectName, ...], Field(max_length=50, description="Started before it")] = ()
    restart: Annotated[Restart, Field(description="Whether it is started again")] = Restart.ALWAYS
    chaos: Annotated[Chaos, Field(description="Whether experiments may aim at it")] = Chaos.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesForm:
    """The written form of the file."""

    __pydantic_config__ = FORBID

    name: Annotated[ObjectName, Field(description="Name of the environment")]
    services: Annotated[tuple[Service, ...], Field(min_length=1, max_length=50, description="The services")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services of an environment, each after those that it depends on. `folder` is that of the file."""

    name: str
    services: tuple[Service, ...]
    folder: Path


FORM = Reader(ServicesForm)


def check_services(raw: object, folder: Path) -> Services:
    """Return the services that `raw` describes. Raises: InvalidError with all problems."""
    seen = plain(raw)
    reading = FORM.read(seen.value)
    document = mapping(reading.raw)
    findings = (*_unique(document), *_known(document), *_circles(document), *_ports(document))
    refuse(seen, (*reading.findings, *(reading.as_sent(finding) for finding in findings)))
    form = reading.required()
    return Services(name=form.name, services=_in_order(form.services), folder=folder)


def read_services(path: Path) -> Services:
    """Return the services of a file. Raises: InvalidError with all problems; OSError."""
    return check_services(read_yaml(path.read_text(encoding="utf-8")), path.absolute().parent)


def _entries(document: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [mapping(entry) for entry in items(document.get("services"))]


def _unique(document: Mapping[str, object]) -> Iterator[Finding]:
    for key in ("name", "port"):
        first: dict[object, int] = {}
        for position, entry in enumerate(_entries(document)):
            value = entry.get(key)
            if isinstance(value, str | int) and first.setdefault(value, position) != position:
                message = f"is that of services[{first[value]}] too"
                yield Finding(location=("services", position, key), message=message)


def _known(document: Mapping[str, object]) -> Iterator[Finding]:
    names = {text(entry.get("name")) for entry in _entries(document)}
    for position, entry in enumerate(_entries(document)):
        for index, other in enumerate(items(entry.get("dependsOn"))):
            if text(other) not in names:
                message = f"{text(other)!r} is no service of this file"
                yield Finding(location=("services", position, "dependsOn", index), message=message)


def _circles(document: Mapping[str, object]) -> Iterator[Finding]:
    needs = {
        text(entry.get("name")): {text(one) for one in items(entry.get("dependsOn"))} for entry in _entries(document)
    }
    left = dict(needs)
    while ready := [name for name, others in left.items() if not others & left.keys()]:
        for name in ready:
            del left[name]
    if left:
        message = f"depend on each other in a circle: {', '.join(sorted(left))}"
        yield Finding(location=("services",), message=message)


def _ports(document: Mapping[str, object]) -> Iterator[Finding]:
    for position, entry in enumerate(_entries(document)):
        words = [text(word) for word in items(entry.get("command"))]
        used = any(PORT in word for word in words) or any(
            PORT in text(value) for value in mapping(entry.get("env")).values()
        )
        if entry.get("port") is not None and not used:
            message = f"must tell the service its port: write {PORT} where it takes it, here or in env"
            yield Finding(location=("services", position, "command"), message=message)
        if entry.get("port") is None and used:
            yield Finding(location=("services", position, "port"), message=f"is required, since {PORT} is used")


def _in_order(services: tuple[Service, ...]) -> tuple[Service, ...]:
    """Return the services with each after those that it depends on, else in the order of the file."""
    placed: list[Service] = []
    left = list(services)
    while left:
        names = {service.name for service in placed}
        following = next(service for service in left if set(service.depends_on) <= names)
        left.remove(following)
        placed.append(following)
    return tuple(placed)
