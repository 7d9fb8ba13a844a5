"""The steady-state hypothesis: health checks and service level objectives, and the limits that halt an experiment."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from model.fields import FORBID, Name, ObjectName

DEFAULT_TOLERANCE_PERCENT = 10.0
Query = Annotated[str, Field(min_length=1, max_length=4096)]
Tolerance = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


def _url(text: str) -> str:
    """Accept an address of HTTP or HTTPS with a host and without a password."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(c.isspace() for c in text):
        raise ValueError("must be an address such as http://127.0.0.1:8101/health")
    try:
        parts.port  # noqa: B018  it is read, and checked, only here
    except ValueError as wrong:
        raise ValueError("must have a port from 1 to 65535, or none") from wrong
    if parts.username or parts.password:
        raise ValueError("must not hold a password; use a secret of the connection")
    return text


Url = Annotated[str, Field(max_length=2000), AfterValidator(_url)]


class Method(StrEnum):
    """The methods of the load generator."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"


class ProbeType(StrEnum):
    """How a health check looks."""

    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"
    KUBERNETES = "kubernetes"
    PROMETHEUS = "prometheus"


class Source(StrEnum):
    """Where the readings of an SLO come from: a Prometheus, or the experiment's own load."""

    PROMETHEUS = "prometheus"
    LOAD = "load"


class SloKind(StrEnum):
    """How an SLO is judged: bad over total of the whole window, or a test of the readings against the baseline."""

    RATIO = "ratio"
    VALUE = "value"


class Better(StrEnum):
    """Which direction of a value is the better one."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One probe. It fails after `failures` misses in a row.

    Which keys a type needs stands in `NEEDED`. A value of Prometheus or of a command is compared with `above` and
    `below`, which are the limits that it must not pass.
    """

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name for the report, unique in the experiment")]
    type: Annotated[ProbeType, Field(description="How it looks")]
    url: Annotated[Url | None, Field(description="http: what is asked")] = None
    status: Annotated[int, Field(ge=100, le=599, description="http: the expected status")] = 200
    host: Annotated[str | None, Field(min_length=1, max_length=253, description="tcp")] = None
    port: Annotated[int | None, Field(ge=1, le=65535, description="tcp")] = None
    command: Annotated[
        tuple[Annotated[str, Field(max_length=4096)], ...] | None,
        Field(min_length=1, max_length=100, description="command: program and arguments; it runs under the backend"),
    ] = None
    kind: Annotated[str | None, Field(min_length=1, max_length=63, description="kubernetes: Deployment, Pod")] = None
    object: Annotated[ObjectName | None, Field(description="kubernetes: the name of the object")] = None
    condition: Annotated[str | None, Field(min_length=1, max_length=100, description="kubernetes: Available")] = None
    query: Annotated[Query | None, Field(description="prometheus: a query with one value")] = None
    above: Annotated[float | None, Field(allow_inf_nan=False, description="A value above this is a miss")] = None
    below: Annotated[float | None, Field(allow_inf_nan=False, description="A value below this is a miss")] = None
    failures: Annotated[int, Field(ge=1, le=100, description="Misses in a row that are a failure")] = 3
    interval_seconds: Annotated[float, Field(ge=0.2, le=60, description="Between two looks")] = 1.0
    timeout_seconds: Annotated[float, Field(ge=0.1, le=30, description="A look that takes longer is a miss")] = 2.0


NEEDED = {
    ProbeType.HTTP: ("url",),
    ProbeType.TCP: ("host", "port"),
    ProbeType.COMMAND: ("command",),
    ProbeType.KUBERNETES: ("kind", "object", "condition"),
    ProbeType.PROMETHEUS: ("query",),
}
CONDITION_KINDS = ("Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")
"""The kinds of objects whose conditions a health check can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """One service level objective.

    `ratio`: at least `objective` percent of the requests are good. From Prometheus, `bad` and `total` are queries of
    rates. `value`: the readings of `query` may not become worse than in the baseline by more than the tolerance.
    """

    __pydantic_config__ = FORBID

    name: Annotated[Name, Field(description="Name for the report, unique in the experiment")]
    kind: Annotated[SloKind, Field(description="ratio: bad over total; value: readings against the baseline")]
    source: Annotated[Source, Field(description="Where the readings come from")] = Source.PROMETHEUS
    objective: Annotated[
        float | None, Field(gt=0, lt=100, description="ratio: percent of good requests; the rest is the error budget")
    ] = None
    bad: Annotated[Query | None, Field(description="ratio from Prometheus: rate of bad requests")] = None
    total: Annotated[Query | None, Field(description="ratio from Prometheus: rate of all requests")] = None
    query: Annotated[Query | None, Field(description="value from Prometheus")] = None
    percentile: Annotated[
        float, Field(gt=0, lt=100, description="value from load: percentile of the latency of good requests")
    ] = 90.0
    better: Annotated[Better, Field(description="value: which direction is better")] = Better.LOWER
    tolerance_percent: Annotated[
        Tolerance | None, Field(description="How much worse is still within the hypothesis; default: its hypothesis's")
    ] = None
    step_seconds: Annotated[
        int, Field(ge=1, le=300, description="Time between two readings; a rate's window must be as long")
    ] = 5
    unit: Annotated[str, Field(max_length=20, description="For the report")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltCondition:
    """A hard limit that ends the fault at once: `failures` of the last `of` samples over it. Missing data counts.

    Exactly one of `slo` and `health_check` names what is watched. An SLO of kind ratio is read as its percentage of
    bad requests.
    """

    __pydantic_config__ = FORBID

    slo: Annotated[Name | None, Field(description="The name of an SLO")] = None
    health_check: Annotated[Name | None, Field(description="The name of a health check")] = None
    above: Annotated[float | None, Field(allow_inf_nan=False, description="A sample above this is over")] = None
    below: Annotated[float | None, Field(allow_inf_nan=False, description="A sample below this is over")] = None
    failures: Annotated[int, Field(ge=1, le=100, description="So many samples over the limit halt")] = 3
    of: Annotated[int | None, Field(ge=1, le=100, description="Of the last so many; default: as many")] = None

    @property
    def window(self) -> int:
        """Return how many of the last samples count."""
        return self.of or self.failures

    @property
    def watched(self) -> str:
        """Return the name of what is watched."""
        return self.slo or self.health_check or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What makes requests through all windows: a test that runs as long, or a small generator with a fixed rate.

    The generator does not wait for answers (open loop), so a slow target gets as many requests as a fast one. What
    a test is answered is not known here, so SLOs are then read from a Prometheus.
    """

    __pydantic_config__ = FORBID

    test: Annotated[
        Name | None, Field(description="The name of a test that the team has submitted; its newest version is run")
    ] = None
    url: Annotated[Url | None, Field(description="generator: what is asked")] = None
    method: Annotated[Method, Field(description="generator")] = Method.GET
    body: Annotated[str | None, Field(max_length=65_536, description="generator: JSON that is sent")] = None
    per_second: Annotated[float, Field(gt=0, le=500, description="generator: requests a second")] = 10.0
    timeout_seconds: Annotated[float, Field(ge=0.1, le=60, description="generator: later is bad")] = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HypothesisForm:
    """The written form of a hypothesis. The original's single `slo` is accepted beside the list."""

    __pydantic_config__ = FORBID

    title: Annotated[str, Field(max_length=500, description="A sentence for people")] = ""
    health_checks: Annotated[tuple[HealthCheck, ...], Field(max_length=50, description="Probes")] = ()
    slo: Annotated[Slo | None, Field(description="One objective; the same as a list with it")] = None
    slos: Annotated[tuple[Slo, ...], Field(max_length=20, description="Objectives")] = ()
    tolerance_percent: Annotated[Tolerance, Field(description="For all SLOs without their own")] = (
        DEFAULT_TOLERANCE_PERCENT
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What must stay true: every health check and every SLO."""

    title: str
    health_checks: tuple[HealthCheck, ...]
    slos: tuple[Slo, ...]
    tolerance_percent: float

    @property
    def commands(self) -> tuple[HealthCheck, ...]:
        """Return the health checks of type command."""
        return tuple(check for check in self.health_checks if check.type is ProbeType.COMMAND)

    def tolerance(self, slo: Slo) -> float:
        """Return the tolerance of an SLO as a share: 0.1 for ten percent."""
        percent = self.tolerance_percent if slo.tolerance_percent is None else slo.tolerance_percent
        return percent / 100
