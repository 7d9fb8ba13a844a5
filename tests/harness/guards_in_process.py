"""Guards as threads of the test, with the token of their service account: the same program and rights without a Job."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from urllib.parse import urlsplit

from chaos.manifests.naming import object_name
from chaos.provider import FaultId
from cluster.faults.kubernetes.api_client import Api
from cluster.faults.kubernetes.guard import Guard
from cluster.faults.kubernetes.guard_jobs import GuardJobs, Record
from cluster.faults.kubernetes.guard_objects import ACCOUNT
from cluster.kubernetes.connection import Connection
from harness.cluster_accounts import token


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardThreads(GuardJobs):
    """Guards of one cluster, as threads. `api` is the API server with the rights of a guard."""

    api: Api
    threads: dict[str, threading.Thread] = field(default_factory=dict)

    def _start_job(self, fault: FaultId, node: str | None) -> None:
        assert node is None
        running = self.threads.get(fault)
        if running is None or not running.is_alive():
            guard = Guard(self.api, self._record(fault))
            self.threads[fault] = threading.Thread(target=guard.run, name=object_name(fault), daemon=True)
            self.threads[fault].start()

    def ensure_guard(self, fault: FaultId, record: Record) -> None:
        del record
        self._start_job(fault, None)

    def remove(self, fault: FaultId, record: Record) -> None:
        """Do nothing: a guard that has reverted has ended."""

    def left(self, fault: FaultId, record: Record) -> list[str]:
        del record
        running = self.threads.get(fault)
        return ["its guard has not ended"] if running is not None and running.is_alive() else []

    def trouble(self, fault: FaultId, node: str | None) -> str:
        del fault, node
        return "the thread of the guard has ended"


def guard_api(connection: Connection, folder: Path) -> Api:
    """Return the API server as a guard sees it: by the token of its service account."""
    (folder / "token").write_text(token(connection, ACCOUNT))
    configuration = connection.client().configuration
    copyfile(configuration.ssl_ca_cert, folder / "ca.crt")
    url = urlsplit(configuration.host)
    return Api(url.hostname, url.port, str(folder))
