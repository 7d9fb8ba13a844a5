"""How many requests a run costs the API server, counted by its own audit log.

`ASSAY_AUDIT_LOG` names that log; `make test-cluster` has the shared cluster write one.
"""

import json
import os
from pathlib import Path

import pytest
from harness.backends import ended, order, until_printed
from harness.beds.kubernetes import Bed

from cluster.backend import Backend

pytestmark = pytest.mark.cluster

MOST = 12


class AuditLog:
    """The requests in one namespace, from now on, but those of the cluster's own programs."""

    def __init__(self, path: Path, namespace: str) -> None:
        self._path = path
        self._namespace = namespace
        self._offset = path.stat().st_size

    def requests(self) -> list[str]:
        """Return verb and address of each request, without the watch that all runs share."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            events = [json.loads(line) for line in file.read().splitlines()]
        own = {
            event["auditID"]: f"{event['verb']} {event['requestURI']}"
            for event in events
            if f"/namespaces/{self._namespace}/" in event["requestURI"]
            and not event["user"]["username"].startswith("system:")
            and event["verb"] not in {"watch", "list"}
        }
        return list(own.values())


@pytest.fixture
def audited(bed: Bed) -> AuditLog:
    path = os.environ.get("ASSAY_AUDIT_LOG", "")
    if not path or not Path(path).exists():
        pytest.skip("ASSAY_AUDIT_LOG does not name the audit log of the cluster's API server")
    return AuditLog(Path(path), bed.access.namespace)


async def test_a_run_whose_log_is_followed_costs_few_requests(bed: Bed, audited: AuditLog) -> None:
    """The steps are those of a run, with a look each half second, and the log is followed by one request."""
    backend: Backend = bed.open()
    wanted = order(bed, "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done; exit 3")

    assert await backend.adopt(wanted.attempt, ()) is None
    await backend.launch(wanted)
    await until_printed(backend, wanted.attempt, "line 3\n")
    while not await backend.wait(wanted.attempt, 0.5):
        await backend.usage(wanted.attempt)
    ending = await ended(backend, wanted.attempt)
    output = (await backend.spool(wanted.attempt)).output.read_text()
    await backend.forget(wanted.attempt)

    asked = audited.requests()
    assert (ending.exit_code, output.count("line")) == (3, 6)
    assert len(asked) <= MOST, "\n".join(asked)
    assert sum("/log?" in one for one in asked) == 1, "\n".join(asked)
    assert sum("results.py" in one for one in asked) == 1, "\n".join(asked)
