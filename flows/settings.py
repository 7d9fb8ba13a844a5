"""What the worker process is told from outside, read once at its start."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from model.ids import PoolName, WorkerId

WORK_POOL = "assay"
"""The work pool in Prefect; `pool` below is the gate's."""
DEFAULT_POOL = PoolName("default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of one worker.

    `lease`: how long a run stays this worker's after its last sign of life; short means quick take-over, long
    means that a stall is forgiven. `prefect_limit`: Prefect-started runs on their way into the queue
    at once. Those that wait in it are not counted, or they would keep out more important ones. `cpu_share`: part of
    this machine's CPU and memory that tests may use. `api_url`: where people reach our API, for links.
    `allowed_hosts`: private hosts that git content may come from (decision 19). `cgroup`: a delegated folder of the
    kernel's control groups, in which each test gets one of its own. `log_level`: of the worker's own log.
    `allowed_entrypoints`: flows that the worker may import and run beside ours, as `module.function`.
    """

    database_url: str
    state: Path
    worker: WorkerId
    pool: PoolName = DEFAULT_POOL
    lease: timedelta = timedelta(seconds=20)
    prefect_limit: int = 500
    cpu_share: float = 1.0
    api_url: str = ""
    allowed_hosts: frozenset[str] = frozenset()
    cgroup: Path | None = None
    log_level: str = "INFO"
    allowed_entrypoints: frozenset[str] = frozenset()


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings (docs/settings.md). Raises: KeyError naming the variable that is missing."""
    return Settings(
        database_url=env["DATABASE_URL"],
        state=Path(env["ASSAY_STATE"]),
        worker=WorkerId(env.get("ASSAY_WORKER_NAME") or f"{socket.gethostname()}-{os.getpid()}"),
        pool=PoolName(env.get("ASSAY_POOL", "default")),
        lease=timedelta(seconds=float(env.get("ASSAY_LEASE_SECONDS", "20"))),
        prefect_limit=int(env.get("ASSAY_PREFECT_LIMIT", "500")),
        cpu_share=float(env.get("ASSAY_MACHINE_SHARE", "1.0")),
        api_url=env.get("ASSAY_URL", ""),
        cgroup=Path(env["ASSAY_CGROUP"]) if env.get("ASSAY_CGROUP") else None,
        allowed_hosts=hosts(env.get("ASSAY_ALLOWED_HOSTS", "")),
        log_level=env.get("ASSAY_LOG_LEVEL", "INFO"),
        allowed_entrypoints=names(env.get("ASSAY_ALLOWED_ENTRYPOINTS", "")),
    )


def names(text: str) -> frozenset[str]:
    """Return the names of a list with commas between; blanks around a name do not count."""
    return frozenset(filter(None, (name.strip() for name in text.split(","))))


def hosts(text: str) -> frozenset[str]:
    """Return the names of hosts that stand in a list with commas, as addresses write them: blanks and case are none."""
    return frozenset(filter(None, (name.strip().lower() for name in text.split(","))))
