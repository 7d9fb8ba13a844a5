"""The settings of the worker process, read once at its start from environment variables."""

import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from cluster import backend_factory
from cluster.backend_factory import UnknownBackendError
from model.environment import EnvironmentSettings
from model.ids import PoolName, WorkerId

WORK_POOL = "assay"
"""The work pool in Prefect. (`Settings.pool` is the pool of our own queue.)"""
DEFAULT_POOL = PoolName("default")


def _seconds(value: object) -> object:
    """Return a number of seconds, written as text, as a duration; leave a duration as it is."""
    if not isinstance(value, str):
        return value
    try:
        return timedelta(seconds=float(value))
    except (ValueError, OverflowError):
        msg = "must be a number of seconds"
        raise ValueError(msg) from None


def _hosts(value: object) -> object:
    """Return a list with commas as a set of names, in lower case and without blanks, as addresses are compared."""
    if not isinstance(value, str):
        return value
    return frozenset(filter(None, (name.strip().lower() for name in value.split(","))))


def _names(value: object) -> object:
    """Return a list with commas as a set of names without blanks."""
    if not isinstance(value, str):
        return value
    return frozenset(filter(None, (name.strip() for name in value.split(","))))


def _backend(name: str) -> str:
    """Return the name of a backend. Raises: UnknownBackendError."""
    if name not in backend_factory.known():
        raise UnknownBackendError(name)
    return name


class Settings(EnvironmentSettings):
    """Settings of one worker."""

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        repr=False,
        description="the PostgreSQL with our tables: `postgresql://user:password@host/name`",
    )
    state: Path = Field(
        validation_alias="ASSAY_STATE",
        description="the folder with runs, logs, artifacts, sent content and virtual environments",
    )
    worker: WorkerId = Field(
        default_factory=lambda: WorkerId(f"{socket.gethostname()}-{os.getpid()}"),
        validation_alias="ASSAY_WORKER_NAME",
        description="the name under which it holds leases. A name that stays the same over a restart takes its runs "
        "up again at once",
    )
    pool: PoolName = Field(
        DEFAULT_POOL,
        validation_alias="ASSAY_POOL",
        description="the pool of our queue that it serves, and that this machine is a node of",
    )
    backend: Annotated[str, AfterValidator(_backend)] = Field(
        "local",
        validation_alias="ASSAY_BACKEND",
        description="what runs the tests of this worker: the name of a package of `cluster`. `local` is this machine",
    )
    lease: Annotated[timedelta, BeforeValidator(_seconds)] = Field(
        timedelta(seconds=20),
        gt=timedelta(0),
        validation_alias="ASSAY_LEASE_SECONDS",
        description="seconds that a run stays assigned to this worker after its last heartbeat. A short lease means "
        "that another worker takes over sooner, a long one that a stall costs nothing",
    )
    lost_after: Annotated[timedelta, BeforeValidator(_seconds)] = Field(
        timedelta(minutes=5),
        gt=timedelta(0),
        validation_alias="ASSAY_LOST_AFTER_SECONDS",
        description="seconds that a node may be without a live worker, or a node of a cluster not ready, before its "
        "runs are tried on other nodes. Only time in which the database was up and a worker looked counts",
    )
    prefect_limit: int = Field(
        500,
        ge=1,
        validation_alias="ASSAY_PREFECT_LIMIT",
        description="how many runs that Prefect started may be on their way into the queue at once. Runs that wait in "
        "the queue do not count, since they would keep out more important ones",
    )
    cpu_share: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias="ASSAY_MACHINE_SHARE",
        description="the part of this machine's CPU and memory that tests may use. Less than 1 leaves room for "
        "other work",
    )
    allowed_hosts: Annotated[frozenset[str], NoDecode, BeforeValidator(_hosts)] = Field(
        frozenset(),
        validation_alias="ASSAY_ALLOWED_HOSTS",
        description="private hosts that git content may come from, separated by commas. All other hosts "
        "need public addresses, so that no request reaches into the internal network (D19)",
    )
    git_ca_file: Path | None = Field(
        None,
        validation_alias="ASSAY_GIT_CA_FILE",
        description="a file with the certificate authorities of git hosts, where they are not public ones",
    )
    allowed_entrypoints: Annotated[frozenset[str], NoDecode, BeforeValidator(_names)] = Field(
        frozenset(),
        validation_alias="ASSAY_ALLOWED_ENTRYPOINTS",
        description="flows besides Assay's own that the worker may import and run, as `module.function`, separated by "
        "commas. Their code runs as the user of the worker. Every other deployment is refused before its code is "
        "imported",
    )
    cgroup: Path | None = Field(
        None,
        validation_alias="ASSAY_CGROUP",
        description="a delegated folder of the kernel's control groups. Each test then gets a group of its own, in "
        "which the kernel keeps its memory limit",
    )
    clusters: Annotated[frozenset[str], NoDecode, BeforeValidator(_names)] = Field(
        frozenset({"*"}),
        validation_alias="ASSAY_CLUSTERS",
        description="Kubernetes clusters whose pods this worker starts and watches, separated by commas, by the names "
        "that `assay cluster add` gave them. It begins within seconds after a cluster was added. `*` stands for every "
        "cluster that it can reach, empty for none",
    )
    place_within: Annotated[timedelta, BeforeValidator(_seconds)] = Field(
        timedelta(seconds=30),
        gt=timedelta(0),
        validation_alias="ASSAY_PLACE_SECONDS",
        description="seconds that a cluster may leave a pod unbound although the gate saw room for it. Then the run is "
        "placed on other nodes",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        validation_alias="ASSAY_LOG_LEVEL",
        description="the level of the worker's own log: `DEBUG`, `INFO`, `WARNING` or `ERROR`",
    )


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the worker's settings (docs/settings.md). Raises: InvalidError with every problem."""
    return Settings.read(environment)
