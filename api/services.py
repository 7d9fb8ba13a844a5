"""The services that a request may use: stores, clock, random numbers. `api.app` builds them once."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import Annotated

from fastapi import Depends, Request

from api.settings import Settings
from db.engine import Database
from model.ids import PoolName, RunId, uuid7
from model.ports import Artifacts, Contents, Logs
from orchestrator import admission

_log = logging.getLogger(__name__)


class GatePasses:
    """Runs gate passes after changes, in one thread. A request for a pool whose pass has not begun is dropped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gate")
        self._requested: set[PoolName] = set()
        self._lock = threading.Lock()

    def request(self, pool: PoolName) -> None:
        """Request a gate pass without waiting for it.

        Workers try a pass each second, so a failure delays the admission by a second at most.
        """
        with self._lock:
            if pool in self._requested:
                return
            self._requested.add(pool)
        self._thread.submit(self._run, pool)

    def close(self) -> None:
        """Wait for the current pass and drop the requested ones."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _run(self, pool: PoolName) -> None:
        with self._lock:
            self._requested.discard(pool)
        try:
            self._database.call(lambda conn: admission.request(conn, pool, blocking=True))
        except Exception:  # noqa: BLE001  the request is committed, and a worker tries again
            _log.warning("a gate pass of the pool %s failed; a worker will try again", pool, exc_info=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services that live as long as the process."""

    settings: Settings
    database: Database
    logs: Logs
    artifacts: Artifacts
    contents: Contents
    gate_passes: GatePasses
    random: Random = field(default_factory=SystemRandom)

    def now(self) -> datetime:
        """Return the current time."""
        return datetime.now(UTC)  # noqa: TID251  the clock of this process

    def new_id(self) -> RunId:
        """Make the identifier of a new run."""
        return RunId(uuid7(self.now(), self.random))


def of(request: Request) -> Services:
    """Return the services of the application that serves `request`."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(of)]
