import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from harness.folder_fixtures import of_folder
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness

WATCH = """while kill -0 $1 2>/dev/null; do sleep 2; done
for process in /proc/[0-9]*; do grep -q "$2" $process/environ 2>/dev/null && kill -KILL ${process#/proc/}; done"""
"""Ends the server when the tests were killed: the harness would leave it behind. It is known by its environment."""


@pytest.fixture(scope="module")
def prefect_server(request: pytest.FixtureRequest) -> str:
    """A real Prefect server for all tests of this folder; the settings of this process lead to it."""
    return of_folder(request, entered_server)


@contextmanager
def entered_server() -> Iterator[str]:
    """Start a Prefect server, and stop it.

    The engine sends no heartbeats: they add a second to each run, and nothing is learnt from them here.
    """
    mark, value = "ASSAY_TEST_SERVER", str(uuid4())
    watch = ["/bin/sh", "-c", WATCH, "sh", str(os.getpid()), f"{mark}={value}"]
    watcher = subprocess.Popen(watch, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        with temporary_settings({PREFECT_SERVER_ANALYTICS_ENABLED: False}), pytest.MonkeyPatch.context() as patch:
            patch.setenv(mark, value)
            with prefect_test_harness(server_startup_timeout=120):
                patch.undo()  # nobody else shall inherit it
                with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
                    yield SubprocessASGIServer().api_url
    finally:
        watcher.kill()
        watcher.wait()
